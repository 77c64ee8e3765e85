"""Error messages that name the nearest right name."""

import difflib
from collections.abc import Iterable


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
    nearest = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown {field} {name!r}.{hint} Allowed: {', '.join(map(repr, names)) or 'none'}."
