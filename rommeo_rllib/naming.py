"""What error messages have in common: values in short, and the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MOST_NAMES_LISTED = 12
_MOST_CHARACTERS = 80


def shown(value: object) -> str:
    """A value as error messages show it: on one line, and cut where it is long."""
    try:
        # A function's or class's own text says where it is in memory, too.
        text = " ".join(str(getattr(value, "__name__", None) or repr(value)).split())
    except Exception:  # Python writes no integer of thousands of digits.
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 3]}..."


def printable(text: object, keep: str = "") -> str:
    """A text from somebody's file without codes that command a terminal, which show as "\\x1b".

    Args:
        text: the text.
        keep: codes that are left as they are, such as the ends of lines.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in str(text))


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
    return f"unknown {field} {shown(name)}.{did_you_mean(name, names)} Allowed: {choice}."


def reject_unknown_keys(given: Iterable[object], allowed: Iterable[str], name: str) -> None:
    """Raises a ValueError that names the nearest right key for the first unknown one."""
    known = sorted(allowed)
    for key in given:
        if key not in known:
            raise ValueError(unknown_key_message(key, known, name))


def unknown_key_message(key: object, allowed: Iterable[str], name: str) -> str:
    """A sentence that says that `name` has no such key, and which was probably meant."""
    known = sorted(allowed)
    # All keys of a whole configuration would bury the hint.
    listed = len(known) <= _MOST_NAMES_LISTED
    choice = f" Allowed: {', '.join(known)}." if listed else ""
    return f"`{name}` has no key {shown(key)}.{did_you_mean(key, known)}{choice}"
