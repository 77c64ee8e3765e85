"""The spaces of a repeated game: one action is one number, Discrete or from a bounded Box."""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

# An action may leave its Box by this much, relative to the largest bound: networks compute in
# float32, whose rounding (1.2e-7, times the few operations that unsquash an action) is no mistake
# of the user.
_RELATIVE_TOLERANCE = 1e-6


def check_space(agent: str, space: Space[Any]) -> None:
    """Raise a `ValueError` unless `space` is Discrete or a bounded Box: shape (1,), low < high."""
    if isinstance(space, Discrete):
        return
    if isinstance(space, Box) and space.shape == (1,) and space.is_bounded():
        low, high = _bounds(space)
        if low < high:
            return
    raise ValueError(
        f"action space of {agent} must be Discrete or a bounded Box of shape (1,) with low < high, "
        f"got {space!r}."
    )


def observation_space(action_spaces: Sequence[Space[Any]], memory: bool) -> Box:
    """The space of a constant in [0, 1], shape (1,), or of the joint action, see `encode`."""
    if not memory:
        return Box(0.0, 1.0, (1,), np.float32)
    # A one-hot part lies in [0, 1], a scaled Box part in [-1, 1].
    low = [
        np.zeros(int(space.n)) if isinstance(space, Discrete) else -np.ones(1)
        for space in action_spaces
    ]
    lows = np.concatenate(low).astype(np.float32)
    return Box(lows, np.ones_like(lows), dtype=np.float32)


def first_action(space: Space[Any]) -> float:
    """The lowest action in `space`."""
    return int(space.start) if isinstance(space, Discrete) else float(cast(Box, space).low[0])


def read_action(agent: str, space: Space[Any], action: Any) -> float:
    """`action` as one number that lies in `space`, else a `ValueError`."""
    if isinstance(space, Discrete):
        if space.contains(action):
            return int(action)
    else:
        low, high = _bounds(space)
        tolerance = _RELATIVE_TOLERANCE * max(abs(low), abs(high))
        value = _only_number(action)
        # NaN fails both comparisons.
        if low - tolerance <= value <= high + tolerance:
            return min(max(value, low), high)
    raise ValueError(f"action of {agent} must lie in {space!r}, got {action!r}.")


def _only_number(action: Any) -> float:
    """The number in an action of shape (1,); NaN for anything else."""
    try:
        values = np.asarray(action, np.float64)
    except (TypeError, ValueError):
        return math.nan
    return float(values[0]) if values.shape == (1,) else math.nan


def _bounds(space: Space[Any]) -> tuple[float, float]:
    box = cast(Box, space)
    return float(box.low[0]), float(box.high[0])


def encode(space: Space[Any], action: Any) -> NDArray[np.float32]:
    """`action` for a network: one-hot, shape (n,), or scaled to [-1, 1], shape (1,)."""
    if isinstance(space, Discrete):
        one_hot = np.zeros(int(space.n), np.float32)
        one_hot[int(action) - int(space.start)] = 1.0
        return one_hot
    low, high = _bounds(space)
    return np.array([2.0 * (action - low) / (high - low) - 1.0], np.float32)
