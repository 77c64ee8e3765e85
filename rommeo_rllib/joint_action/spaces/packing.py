"""Values of nested spaces as plain arrays.

*Packed* is how replay and samplers hold observations and actions: of a Dict or Tuple all leaves,
flattened, in one vector; of any other space the value as it is, in its own type (an image stays
uint8). Leaves of different types become float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import tree


def leaf_spaces(space: gym.Space) -> list[gym.Space]:
    """The spaces within a Dict (by sorted keys) or Tuple, however deep; any other space itself."""
    if isinstance(space, gym.spaces.Dict):
        return [leaf for key in sorted(space.spaces) for leaf in leaf_spaces(space.spaces[key])]
    if isinstance(space, gym.spaces.Tuple):
        return [leaf for part in space.spaces for leaf in leaf_spaces(part)]
    return [space]


def is_composite(space: gym.Space) -> bool:
    """Whether values of the space are nested: a Dict or a Tuple."""
    return isinstance(space, gym.spaces.Dict | gym.spaces.Tuple)


def pack(value: Any) -> np.ndarray:
    """One value, packed; an array that is packed already is returned itself."""
    if type(value) is np.ndarray or not _nested(value):
        return np.asarray(value)
    return _joined([np.ravel(leaf) for leaf in _leaves(value)])


def pack_batch(values: Any) -> np.ndarray:
    """Values whose leaves have a leading axis: a nest of (B, ...) -> (B, width)."""
    if not _nested(values):
        return np.asarray(values)
    return _joined([leaf.reshape(len(leaf), -1) for leaf in _leaves(values)])


def packed_shape(space: gym.Space) -> tuple[int, ...]:
    """The shape of a packed value."""
    if is_composite(space):
        return (sum(width(leaf) for leaf in leaf_spaces(space)),)
    assert space.shape is not None
    return space.shape


def packed_dtype(space: gym.Space, *, is_action: bool = False) -> np.dtype:
    """The type of a packed value; policies choose the numbers of a Box as float32.

    Args:
        space: of the value.
        is_action: whether the value is an action as policies choose it.
    """
    kinds = {
        np.dtype(np.float32) if is_action and isinstance(leaf, gym.spaces.Box) else leaf.dtype
        for leaf in leaf_spaces(space)
    }
    return np.dtype(kinds.pop() if len(kinds) == 1 else np.float32)


def blank(space: gym.Space) -> np.ndarray:
    """A packed value of the space that stands for none: zeros, of a choice its first option."""
    leaves = (
        np.zeros(leaf.shape or (), leaf.dtype) + np.asarray(getattr(leaf, "start", 0), leaf.dtype)
        for leaf in leaf_spaces(space)
    )
    return pack(nest(space, leaves))


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping | tuple)


def _leaves(value: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in tree.flatten(value)]


def _joined(leaves: Sequence[np.ndarray]) -> np.ndarray:
    kinds = {leaf.dtype for leaf in leaves}
    return np.concatenate(leaves, axis=-1, dtype=kinds.pop() if len(kinds) == 1 else np.float32)


def split(leaves: Sequence[gym.Space], packed: Any) -> list[Any]:
    """The leaves of packed values, (..., width) -> (..., *shape) each."""
    parts, start = [], 0
    for leaf in leaves:
        end = start + width(leaf)
        assert leaf.shape is not None
        parts.append(packed[..., start:end].reshape((*packed.shape[:-1], *leaf.shape)))
        start = end
    return parts


def nest(space: gym.Space, leaves: Iterator[Any]) -> Any:
    """Leaves in the order of :func:`leaf_spaces`, nested as the space is."""
    if isinstance(space, gym.spaces.Dict):
        return {key: nest(space.spaces[key], leaves) for key in sorted(space.spaces)}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(nest(part, leaves) for part in space.spaces)
    return next(leaves)


def width(space: gym.Space) -> int:
    """Numbers in a value of a leaf."""
    return int(np.prod(space.shape or ()))
