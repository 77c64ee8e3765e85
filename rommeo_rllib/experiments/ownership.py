"""Whether files are the user's own: pickled objects of others' run whatever code they name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rommeo_rllib.errors import UsageError
from rommeo_rllib.naming import printable

_MOST_SHOWN = 3
# RLlib's other format, too, holds pickled texts.
_PICKLED = (".pkl", ".msgpack")


def require_own_files(folder: Path, *, trust: bool) -> None:
    """Raises a UsageError if pickled objects below a folder belong to another user.

    Args:
        folder: an experiment's; nothing is wrong with one that is not there.
        trust: whether somebody vouches for them.
    """
    if trust or not hasattr(os, "getuid"):
        return
    user = os.getuid()
    foreign = [
        path
        for path in (_below(folder, {folder.resolve()}) if folder.is_dir() else ())
        if path.suffix in _PICKLED and path.stat().st_uid != user
    ]
    if foreign:
        shown = ", ".join(path.relative_to(folder).as_posix() for path in foreign[:_MOST_SHOWN])
        more = f" and {len(foreign) - _MOST_SHOWN} more" if len(foreign) > _MOST_SHOWN else ""
        raise UsageError(
            f"--resume reads pickled checkpoints, and {printable(folder)} has {len(foreign)} of "
            f"another user's ({printable(shown)}{more}), which run whatever code they name; if you "
            "trust who made them, give --trust."
        )


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """All files, also behind links to other folders, each once."""
    for path in sorted(folder.iterdir()):
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        if path.is_dir():
            yield from _below(path, seen)
        elif path.is_file():
            yield path
