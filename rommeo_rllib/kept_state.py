"""Which environments can be stored in a checkpoint."""

from typing import Any


def keeps_state(env: Any) -> bool:
    """Whether the class of an environment defines `get_state` and `set_state`.

    A wrapper that passes all calls on to what it wraps does not: its own state would be lost.
    """
    return all(callable(getattr(type(env), name, None)) for name in ("get_state", "set_state"))
