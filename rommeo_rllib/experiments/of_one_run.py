"""What Tune copies and stores of an experiment although nobody restores it, see `listed_trials`."""

from __future__ import annotations

from typing import Any

from typing_extensions import Self


class OfOneRun:
    """For callbacks and the like, which are made anew for each run: copied they stay the same."""

    def __getstate__(self) -> None:
        return None

    def __deepcopy__(self, memo: Any) -> Self:
        return self
