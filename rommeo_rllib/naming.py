"""Error messages that name the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_NAMES_LISTED = 12


def did_you_mean(name: object, allowed: Iterable[str]) -> str:
    """ " Did you mean 'x'?" with the nearest of `allowed`, or an empty text if none is near."""
    nearest = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def unknown_name_message(field: str, name: object, allowed: Iterable[str]) -> str:
    """Say that `name` is no allowed value of `field`, and which one was probably meant.

    Args:
        field: What the name stands for, for example "game" or "render_mode".
        name: The value that was given.
        allowed: The values that would have been right.

    Returns:
        One sentence, ready for a `ValueError`.
    """
    names = sorted(allowed)
    choice = ", ".join(map(repr, names[:_MOST_NAMES_LISTED])) or "none"
    if len(names) > _MOST_NAMES_LISTED:
        choice += ", ..."
    return f"unknown {field} {name!r}.{did_you_mean(name, names)} Allowed: {choice}."


def reject_unknown_keys(given: Iterable[object], allowed: Iterable[str], name: str) -> None:
    """Raises a ValueError that names the nearest right key for the first unknown one."""
    known = sorted(allowed)
    for key in given:
        if key not in known:
            # All keys of a whole configuration would bury the hint.
            listed = len(known) <= _MOST_NAMES_LISTED
            choice = f" Allowed: {', '.join(known)}." if listed else ""
            raise ValueError(f"`{name}` has no key {key!r}.{did_you_mean(key, known)}{choice}")
