"""Versions of this package's own file formats: each file says the one that it was written in."""

from __future__ import annotations

from pathlib import Path

from rommeo_rllib.naming import printable, shown


def require_version(file: str | Path, found: object, newest: int) -> None:
    """Raises a ValueError unless a file's version can be read.

    Args:
        file: for the message.
        found: the version that it says.
        newest: the one that is written today; older ones are read, too.
    """
    if type(found) is not int or not 1 <= found <= newest:
        allowed = "1" if newest == 1 else f"1 to {newest}"
        raise ValueError(
            f"{printable(file)} is of version {printable(shown(found))}; allowed: {allowed}. Use "
            "the release of rommeo-rllib that wrote it."
        )
