"""Which cases of a matrix `make test` tries; the others are slow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def cases(all_of_them: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """What to give to `parametrize`: each value, marked as slow if it is not in `quick`."""
    values = list(all_of_them)
    assert all(value in values for value in quick), "what stands for the others is one of them"
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]
