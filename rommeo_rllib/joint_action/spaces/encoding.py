"""How observations and actions of any space look to the networks: *encoded*.

That is a flat vector of floats, choices as one-hot vectors. Actions are those that RLlib stores: a
bounded Box normalised to [-1, 1], all else as the environment has it. Both come in packed (see
`joint_action.packing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from torch import Tensor

from rommeo_rllib.components import ActionComponent, action_size
from rommeo_rllib.joint_action.spaces.packing import is_composite, leaf_spaces, nest, split, width

_ACTIONS_ALLOWED = (
    "Discrete, MultiDiscrete, MultiBinary, Box of floats (bounded in all dimensions or in none), "
    "and Dict and Tuple of these"
)
_OBSERVATIONS_ALLOWED = "Discrete, MultiDiscrete, MultiBinary, Box, and Dict and Tuple of these"


def layout(space: gym.Space, *, bounds: bool = True) -> tuple[Any, ...]:
    """What values of a space look like, comparable and hashable.

    Args:
        space: of any supported kind.
        bounds: also tell Boxes of different bounds apart.
    """
    nesting = str(nest(space, iter(range(len(leaf_spaces(space))))))
    return (nesting, *(_leaf_layout(leaf, bounds) for leaf in leaf_spaces(space)))


# Actions.


def action_components(space: gym.Space, owner: str) -> tuple[ActionComponent, ...]:
    """The components of an action of `space`.

    Args:
        space: Discrete, MultiDiscrete, MultiBinary, a Box of floats that is bounded in all
            dimensions or in none, or a Dict or Tuple of these.
        owner: who acts in it, for the error.

    Raises:
        ValueError: if the space is of another kind.
    """
    components: list[ActionComponent] = []
    for leaf in leaf_spaces(space):
        reason = _why_not_an_action(leaf)
        if reason is not None:
            where = "" if leaf is space else f", {leaf} in it"
            raise ValueError(
                f"{owner} has the action space {space}{where}, which {reason}; allowed: "
                f"{_ACTIONS_ALLOWED}."
            )
        components += _leaf_components(leaf)
    if not components:
        raise ValueError(
            f"{owner} has the action space {space}, which is empty; allowed: {_ACTIONS_ALLOWED}."
        )
    return tuple(components)


def encode_actions(space: gym.Space, actions: np.ndarray) -> np.ndarray:
    """Packed actions as the networks see them: (B, ...) -> float32 (B, action size)."""
    if not is_composite(space):
        return _encode_leaf_actions(space, actions)
    leaves = leaf_spaces(space)
    parts = zip(leaves, split(leaves, actions), strict=True)
    return np.concatenate([_encode_leaf_actions(leaf, part) for leaf, part in parts], axis=-1)


def decode_actions(space: gym.Space, actions: Tensor, *, env_units: bool = False) -> Tensor:
    """Actions of the networks, packed: (..., action size) -> (..., *packed_shape(space)).

    Args:
        space: the action space.
        actions: encoded.
        env_units: scale bounded Boxes to their bounds, instead of leaving that to RLlib.
    """
    if not is_composite(space):
        return _decode_leaf_actions(space, actions, env_units)
    parts = _decode_leaves(space, actions, env_units)
    return torch.cat([part.reshape(*actions.shape[:-1], -1) for part in parts], dim=-1)


def decode_nested_actions(space: gym.Space, actions: Tensor) -> Any:
    """Actions of the networks as RLlib wants them, nested as the space is."""
    return nest(space, iter(_decode_leaves(space, actions)))


def env_action(space: gym.Space, packed: np.ndarray) -> Any:
    """One packed action as the environment wants it, in its own units."""
    if not is_composite(space):
        return _in_env_units(space, packed)
    leaves = leaf_spaces(space)
    values = [
        _in_env_units(leaf, np.asarray(part, leaf.dtype)[()])
        for leaf, part in zip(leaves, split(leaves, packed), strict=True)
    ]
    return nest(space, iter(values))


def env_actions(space: gym.Space, packed: np.ndarray) -> Sequence[Any]:
    """Packed actions, (B, ...), as the environment wants them: B values."""
    if is_composite(space):
        return [env_action(space, one) for one in packed]
    return list(_in_env_units(space, packed))


def normalised_space(space: gym.Space) -> gym.Space:
    """The space of actions as policies choose them: bounded Boxes of floats become [-1, 1]."""
    if isinstance(space, gym.spaces.Dict):
        return gym.spaces.Dict({key: normalised_space(part) for key, part in space.items()})
    if isinstance(space, gym.spaces.Tuple):
        return gym.spaces.Tuple([normalised_space(part) for part in space])
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return gym.spaces.Box(-1.0, 1.0, space.shape, np.float32)
    return space


def to_env_units(space: gym.Space, actions: Tensor) -> Tensor:
    """The continuous parts of encoded actions, in the environment's own units.

    (..., action size) -> (..., continuous dimensions).
    """
    leaves = leaf_spaces(space)
    sizes = [action_size(_leaf_components(leaf)) for leaf in leaves]
    continuous = [
        _box_in_env_units(leaf, part)
        for leaf, part in zip(leaves, actions.split(sizes, dim=-1), strict=True)
        if isinstance(leaf, gym.spaces.Box)
    ]
    return torch.cat(continuous, dim=-1) if continuous else actions[..., :0]


# Observations.


def observation_size(space: gym.Space, owner: str) -> int:
    """Length of an encoded observation.

    Raises:
        ValueError: if `space`, or one within it, is of another kind than Discrete, MultiDiscrete,
            MultiBinary and Box.
    """
    for leaf in leaf_spaces(space):
        if not isinstance(leaf, _SUPPORTED):
            where = "" if leaf is space else f", {leaf} in it"
            raise ValueError(
                f"{owner} has the observation space {space}{where}; allowed: "
                f"{_OBSERVATIONS_ALLOWED}."
            )
    return sum(_encoded_width(leaf) for leaf in leaf_spaces(space))


def is_supported(space: gym.Space) -> bool:
    """Whether the space is Discrete, MultiDiscrete, MultiBinary, Box, or made of these."""
    return all(isinstance(leaf, _SUPPORTED) for leaf in leaf_spaces(space))


def encode_observations(space: gym.Space, observations: Any) -> Tensor:
    """Observations as the networks see them, (..., observation size).

    A choice becomes one-hot, also if it has a single value only; uint8 (an image) is scaled from
    its bounds to [0, 1].

    Args:
        space: the observation space.
        observations: packed, (..., *packed_shape(space)), or nested as the space is.
    """
    if not is_composite(space):
        return _encode_leaf_observations(space, observations)
    leaves = leaf_spaces(space)
    packed = isinstance(observations, Tensor)
    parts = split(leaves, observations) if packed else tree.flatten(observations)
    encoded = zip(leaves, parts, strict=True)
    return torch.cat([_encode_leaf_observations(leaf, part) for leaf, part in encoded], dim=-1)


# Leaves.

_SUPPORTED = (
    gym.spaces.Discrete,
    gym.spaces.MultiDiscrete,
    gym.spaces.MultiBinary,
    gym.spaces.Box,
)


def _why_not_an_action(space: gym.Space) -> str | None:
    if not isinstance(space, _SUPPORTED):
        return f"is a {type(space).__name__}"
    if space.shape is not None and 0 in space.shape:
        return "has no dimensions"
    if isinstance(space, gym.spaces.Box):
        if not np.issubdtype(space.dtype, np.floating):
            return "is a Box of integers (a MultiDiscrete says the same)"
        bounded = space.bounded_below | space.bounded_above
        if bounded.any() and not (space.bounded_below & space.bounded_above).all():
            return "has bounds on some sides only"
    return None


def _leaf_components(space: gym.Space) -> list[ActionComponent]:
    if isinstance(space, gym.spaces.Box):
        kind = "continuous" if space.is_bounded() else "unbounded"
        return [ActionComponent(kind, width(space))]  # type: ignore[arg-type]
    return [ActionComponent("discrete", int(n)) for n in _choices(space)]


def _choices(space: gym.Space) -> np.ndarray:
    """Of each choice that a leaf consists of, the number of its options."""
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.n])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.nvec.ravel()
    return np.full(width(space), 2)


def _first_options(space: gym.Space) -> np.ndarray:
    """Of each choice the number of its first option."""
    return np.broadcast_to(np.ravel(getattr(space, "start", 0)), _choices(space).shape)


def _one_hot_offsets(space: gym.Space) -> np.ndarray:
    """For each choice: its option k has its place in the encoded vector at k + offset."""
    sizes = _choices(space)
    return np.cumsum(sizes) - sizes - _first_options(space)


def _encoded_width(space: gym.Space) -> int:
    if isinstance(space, gym.spaces.Box | gym.spaces.MultiBinary):
        return width(space)
    return int(_choices(space).sum())


def _leaf_layout(space: gym.Space, bounds: bool) -> tuple[Any, ...]:
    if not isinstance(space, gym.spaces.Box):
        return (space.shape, tuple(_choices(space)), tuple(_first_options(space)))
    sides = (space.low.tobytes(), space.high.tobytes()) if bounds else ()
    return (space.shape, str(space.dtype), space.is_bounded(), *sides)


def _encode_leaf_actions(space: gym.Space, actions: np.ndarray) -> np.ndarray:
    if isinstance(space, gym.spaces.Box):
        return np.asarray(actions, np.float32).reshape(len(actions), -1)
    sizes = _choices(space)
    encoded = np.zeros((len(actions), int(sizes.sum())), np.float32)
    places = actions.reshape(len(actions), len(sizes)).astype(np.int64) + _one_hot_offsets(space)
    encoded[np.arange(len(actions))[:, None], places] = 1.0
    return encoded


def _decode_leaves(space: gym.Space, actions: Tensor, env_units: bool = False) -> list[Tensor]:
    leaves = leaf_spaces(space)
    sizes = [action_size(_leaf_components(leaf)) for leaf in leaves]
    parts = zip(leaves, actions.split(sizes, dim=-1), strict=True)
    return [_decode_leaf_actions(leaf, part, env_units) for leaf, part in parts]


def _decode_leaf_actions(space: gym.Space, actions: Tensor, env_units: bool) -> Tensor:
    assert space.shape is not None
    shape = (*actions.shape[:-1], *space.shape)
    if isinstance(space, gym.spaces.Box):
        return (_box_in_env_units(space, actions) if env_units else actions).reshape(shape)
    chosen = [part.argmax(-1) for part in actions.split(_choices(space).tolist(), dim=-1)]
    first = torch.as_tensor(_first_options(space).copy(), device=actions.device)
    return (torch.stack(chosen, dim=-1) + first).reshape(shape)


def _encode_leaf_observations(space: gym.Space, observations: Tensor) -> Tensor:
    assert space.shape is not None
    leading = observations.shape[: observations.ndim - len(space.shape)]
    flat = observations.reshape(*leading, -1)
    if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8:
        low, high = (torch.as_tensor(b, device=flat.device).flatten() for b in _range(space))
        return (flat - low) / (high - low)
    if isinstance(space, gym.spaces.Box | gym.spaces.MultiBinary):
        return flat.float()
    places = flat.long() + torch.as_tensor(_one_hot_offsets(space), device=flat.device)
    encoded = torch.zeros(*leading, _encoded_width(space), device=flat.device)
    return encoded.scatter_(-1, places, 1.0)


def _range(space: gym.spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    low = space.low.astype(np.float32)
    return low, np.maximum(space.high.astype(np.float32), low + 1.0)


def _in_env_units(space: gym.Space, action: np.ndarray) -> np.ndarray:
    """A stored action of a leaf; as RLlib's own connector computes it."""
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        scaled = space.low + (action + 1.0) * (space.high - space.low) / 2.0
        return np.minimum(np.maximum(scaled, space.low), space.high)  # np.clip is much slower.
    return action


def _box_in_env_units(space: gym.spaces.Box, actions: Tensor) -> Tensor:
    if not space.is_bounded():
        return actions
    low = torch.as_tensor(space.low, dtype=actions.dtype, device=actions.device).flatten()
    high = torch.as_tensor(space.high, dtype=actions.dtype, device=actions.device).flatten()
    return low + 0.5 * (actions + 1.0) * (high - low)
