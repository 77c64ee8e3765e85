"""Whether files are the user's own: pickled objects of others' run whatever code they name."""

from __future__ import annotations

import os
from pathlib import Path

from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.naming import printable

_PICKLED = "*.pkl"
_MOST_SHOWN = 3


def require_own_files(folder: Path, *, trust: bool) -> None:
    """Raises a UsageError if pickled objects below a folder belong to another user.

    Args:
        folder: an experiment's; nothing is wrong with one that is not there.
        trust: whether somebody vouches for them.
    """
    if trust or not hasattr(os, "getuid"):
        return
    user = os.getuid()
    files = sorted(folder.rglob(_PICKLED))
    foreign = [file for file in files if file.is_file() and file.stat().st_uid != user]
    if foreign:
        shown = ", ".join(file.relative_to(folder).as_posix() for file in foreign[:_MOST_SHOWN])
        more = f" and {len(foreign) - _MOST_SHOWN} more" if len(foreign) > _MOST_SHOWN else ""
        raise UsageError(
            f"--resume reads pickled checkpoints, and {printable(folder)} has {len(foreign)} of "
            f"another user's ({printable(shown)}{more}), which run whatever code they name; if you "
            "trust who made them, give --trust."
        )
