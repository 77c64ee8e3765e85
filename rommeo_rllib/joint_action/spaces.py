"""How spaces of the environment look to the networks.

An observation becomes a flat vector; an action becomes a flat vector of components (see
`rommeo_rllib.distributions`). Actions are those that RLlib stores: a bounded Box normalised to
[-1, 1], a Discrete choice as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rommeo_rllib.distributions import ActionComponent, action_size

AgentID: TypeAlias = Hashable


def action_components(space: gym.Space, owner: str) -> tuple[ActionComponent, ...]:
    """The components of an action of `space`.

    Args:
        space: Discrete, or a bounded Box of floats.
        owner: who acts in it, for the error.

    Raises:
        ValueError: if the space is of another kind.
    """
    if isinstance(space, gym.spaces.Discrete):
        return (ActionComponent("discrete", int(space.n)),)
    if isinstance(space, gym.spaces.Box) and np.issubdtype(space.dtype, np.floating):
        if not space.is_bounded():
            raise ValueError(
                f"{owner} has the action space {space}, which has no bounds in some dimension; "
                "give the Box finite bounds."
            )
        return (ActionComponent("continuous", int(np.prod(space.shape))),)
    raise ValueError(
        f"{owner} has the action space {space}; allowed: Discrete and bounded Box of floats."
    )


def encode_actions(space: gym.Space, actions: np.ndarray) -> np.ndarray:
    """Stored actions as the networks see them: (B, ...) -> float32 (B, action size)."""
    if isinstance(space, gym.spaces.Discrete):
        encoded = np.zeros((len(actions), int(space.n)), np.float32)
        encoded[np.arange(len(actions)), actions.reshape(-1) - space.start] = 1.0
        return encoded
    return np.asarray(actions, np.float32).reshape(len(actions), -1)


def decode_actions(space: gym.Space, actions: Tensor) -> Tensor:
    """Actions of the networks as RLlib stores them: (..., action size) -> (..., *space.shape)."""
    if isinstance(space, gym.spaces.Discrete):
        return actions.argmax(-1) + int(space.start)
    assert space.shape is not None
    return actions.reshape(*actions.shape[:-1], *space.shape)


def to_env_units(space: gym.Space, actions: Tensor) -> Tensor:
    """Continuous actions in [-1, 1] as the environment's own values, (..., action size) both."""
    assert isinstance(space, gym.spaces.Box)
    low = torch.as_tensor(space.low, dtype=actions.dtype, device=actions.device).flatten()
    high = torch.as_tensor(space.high, dtype=actions.dtype, device=actions.device).flatten()
    return low + 0.5 * (actions + 1.0) * (high - low)


def observation_size(space: gym.Space, owner: str) -> int:
    """Length of the flat vector of an observation.

    Raises:
        ValueError: if `space` is neither Discrete nor a Box.
    """
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    if isinstance(space, gym.spaces.Box):
        return int(np.prod(space.shape))
    raise ValueError(f"{owner} has the observation space {space}; allowed: Discrete and Box.")


def encode_observations(space: gym.Space, observations: Tensor) -> Tensor:
    """Observations as the networks see them: (..., *space.shape) -> (..., observation size).

    A Discrete observation becomes one-hot, also if it has a single value only.
    """
    if isinstance(space, gym.spaces.Discrete):
        return F.one_hot(observations.long() - int(space.start), int(space.n)).float()
    assert space.shape is not None
    leading = observations.shape[: observations.ndim - len(space.shape)]
    return observations.reshape(*leading, -1).float()


def sorted_agents(agents: Iterable[AgentID]) -> list[AgentID]:
    """Agent ids in the order in which opponents are numbered everywhere."""
    return sorted(agents, key=lambda agent: (type(agent).__name__, agent))


def opponents_of(agent: AgentID, agents: Iterable[AgentID]) -> list[AgentID]:
    """Whom `agent` models: all others, in order."""
    return [other for other in sorted_agents(agents) if other != agent]


@dataclass(frozen=True)
class Opponents:
    """What one policy knows of the others: the action space of each, in order."""

    action_spaces: tuple[gym.Space, ...]

    @cached_property
    def components(self) -> tuple[tuple[ActionComponent, ...], ...]:
        """For each opponent the components of its action."""
        return tuple(action_components(space, "An opponent") for space in self.action_spaces)

    @cached_property
    def all_components(self) -> tuple[ActionComponent, ...]:
        """The components of all opponents, one after the other."""
        return tuple(c for opponent in self.components for c in opponent)

    def component_mask(self, opponent_mask: Tensor) -> Tensor:
        """(..., opponents) -> (..., components)."""
        return _repeat(opponent_mask, [len(opponent) for opponent in self.components])

    def action_mask(self, opponent_mask: Tensor) -> Tensor:
        """(..., opponents) -> (..., flat action of all opponents)."""
        return _repeat(opponent_mask, [action_size(opponent) for opponent in self.components])

    def to_env_units(self, actions: Tensor) -> Tensor:
        """The continuous ones among flat actions in [-1, 1], in the environment's own units."""
        sizes = [action_size(opponent) for opponent in self.components]
        continuous = [
            to_env_units(space, part)
            for space, part in zip(self.action_spaces, actions.split(sizes, dim=-1), strict=True)
            if isinstance(space, gym.spaces.Box)
        ]
        return torch.cat(continuous, dim=-1) if continuous else actions[..., :0]


def _repeat(mask: Tensor, counts: Sequence[int]) -> Tensor:
    if all(count == 1 for count in counts):
        return mask
    repeats = torch.tensor(counts, device=mask.device)
    return mask.repeat_interleave(repeats, dim=-1)


def shared_opponents(
    policy: str, agents: Sequence[AgentID], action_spaces: Mapping[AgentID, gym.Space]
) -> Opponents:
    """What a policy that `agents` share sees of its opponents.

    Raises:
        ValueError: if two of the agents see different opponents; it names both.
    """
    for agent, space in action_spaces.items():
        action_components(space, f"Agent {agent!r}")
    seen = {
        agent: Opponents(tuple(action_spaces[o] for o in opponents_of(agent, action_spaces)))
        for agent in agents
    }
    first, *others = agents
    if not seen[first].components:
        raise ValueError(
            f"The environment has the agent {first!r} only; an opponent model needs at least one "
            "other agent."
        )
    for other in others:
        if seen[other].components != seen[first].components:
            raise ValueError(
                f"Policy {policy!r} is shared by the agents {first!r} and {other!r}, whose "
                f"opponents' action spaces differ: {seen[first].action_spaces} and "
                f"{seen[other].action_spaces}. Give each its own policy."
            )
    return seen[first]


def agent_action_spaces(env_spaces: Any) -> dict[AgentID, gym.Space]:
    """The action space of each agent, from RLlib's pair of (observation, action) spaces.

    Raises:
        ValueError: if the environment does not say which agent has which space.
    """
    space = env_spaces[1] if isinstance(env_spaces, tuple | list) else env_spaces
    if not isinstance(space, gym.spaces.Dict):
        raise ValueError(
            f"The environment's action space is {space}; a multi-agent environment must give "
            "`action_spaces`, a dict with one space for each of `possible_agents`."
        )
    spaces: dict[Any, gym.Space] = dict(space.spaces)
    return {agent: spaces[agent] for agent in sorted_agents(spaces)}
