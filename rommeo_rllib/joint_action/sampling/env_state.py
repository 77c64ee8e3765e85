"""States of environments, with which a restored run continues its present episodes.

An environment takes part if its class defines `get_state()` and `set_state(state)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import ray.cloudpickle as pickle

from rommeo_rllib.joint_action.sampling.env_border import EnvBorder

T = TypeVar("T")


def stored_states(borders: Sequence[EnvBorder]) -> list[bytes] | None:
    """The pickled state of each environment; None unless all of them have one."""
    if not all(border.keeps_state for border in borders):
        return None
    states = []
    for border in borders:

        def store(border: EnvBorder = border) -> bytes | None:
            state = border.get_state()
            return None if state is None else pickle.dumps(state)

        state = _told(border, "get_state", store)
        if state is None:
            return None
        states.append(state)
    return states


def restore_states(borders: Sequence[EnvBorder], states: Sequence[bytes]) -> bool:
    """Hands the states of :func:`stored_states` back; whether all were taken up."""
    if len(borders) != len(states) or not all(border.keeps_state for border in borders):
        return False
    for border, state in zip(borders, states, strict=True):

        def restore(border: EnvBorder = border, state: bytes = state) -> bool:
            border.set_state(pickle.loads(state))
            return True

        if not _told(border, "set_state", restore):
            return False
    return True


def _told(border: EnvBorder, method: str, call: Callable[[], T]) -> T | None:
    """What is returned; None, with a warning, if the environment fails.

    A checkpoint is worth more than the present episodes.
    """
    try:
        return call()
    except Exception as error:
        warnings.warn(
            f"{border.name}: {method}() failed ({type(error).__name__}: {error}); a restored run "
            "begins new episodes.",
            stacklevel=2,
        )
        return None


def comparable(setting: Any) -> Any:
    """A setting as plain data that `==` compares, also after it has been stored.

    Arrays are compared by their content, functions and classes by name, other objects by class.
    """
    if isinstance(setting, Mapping):
        return {key: comparable(value) for key, value in setting.items()}
    if isinstance(setting, list | tuple):
        return [comparable(value) for value in setting]
    if isinstance(setting, np.ndarray):
        return setting.shape, str(setting.dtype), setting.tolist()
    if setting is None or isinstance(setting, bool | int | float | str | bytes | np.generic):
        return setting
    named = setting if hasattr(setting, "__qualname__") else type(setting)
    return f"{named.__module__}.{named.__qualname__}"
