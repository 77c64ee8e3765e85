"""Who the agents are, whom each of them models, and which of them may share a policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import gymnasium as gym
import torch
from torch import Tensor

from rommeo_rllib.components import ActionComponent, action_size
from rommeo_rllib.joint_action.spaces.encoding import (
    action_components,
    encode_observations,
    layout,
    observation_size,
    to_env_units,
)
from rommeo_rllib.naming import did_you_mean

AgentID: TypeAlias = Hashable

_SPACES_OF_KIND = {
    "continuous": "bounded Box of floats",
    "unbounded": "Box of floats without bounds",
    "discrete": "Discrete, MultiDiscrete, MultiBinary",
}

OpponentGroups: TypeAlias = Mapping[AgentID, Collection[AgentID]]
"""For some agents, whom they model; all others model everybody."""


def sorted_agents(agents: Iterable[AgentID]) -> list[AgentID]:
    """Agent ids in the order in which opponents are numbered everywhere."""
    return sorted(agents, key=lambda agent: (type(agent).__name__, agent))


def opponents_by_agent(
    agents: Iterable[AgentID], opponent_groups: OpponentGroups | None = None
) -> dict[AgentID, list[AgentID]]:
    """For each agent the opponents that it models, in order: all others, unless it is told whom.

    Raises:
        ValueError: if `opponent_groups` names an agent that there is not, or an agent itself.
    """
    ordered = sorted_agents(agents)
    groups = opponent_groups or {}
    for agent, opponents in groups.items():
        for name in (agent, *opponents):
            if name not in ordered:
                raise ValueError(
                    f"`opponent_groups` names the agent {name!r}; allowed: {ordered}."
                    f"{did_you_mean(name, map(str, ordered))}"
                )
        if agent in opponents:
            raise ValueError(
                f"`opponent_groups` lists the agent {agent!r} among its own opponents "
                f"{list(opponents)}; allowed: others only."
            )
    return {
        agent: [o for o in ordered if o != agent and o in groups.get(agent, ordered)]
        for agent in ordered
    }


@dataclass(frozen=True)
class Opponents:
    """What one policy knows of the others, in order.

    Attributes:
        action_spaces: the action space of each.
        observation_spaces: the observation space of each; for central training only.
        policies: the id of each one's policy; for central training only.
    """

    action_spaces: tuple[gym.Space, ...]
    observation_spaces: tuple[gym.Space, ...] = ()
    policies: tuple[str, ...] = ()

    @cached_property
    def components(self) -> tuple[tuple[ActionComponent, ...], ...]:
        """For each opponent the components of its action."""
        return tuple(action_components(space, "An opponent") for space in self.action_spaces)

    @cached_property
    def all_components(self) -> tuple[ActionComponent, ...]:
        """The components of all opponents, one after the other."""
        return tuple(c for opponent in self.components for c in opponent)

    def encode(self, observations: Sequence[Tensor]) -> list[Tensor]:
        """What each opponent observed as the networks see it, (..., its observation size) each."""
        pairs = zip(self.observation_spaces, observations, strict=True)
        return [encode_observations(space, one) for space, one in pairs]

    def component_mask(self, opponent_mask: Tensor) -> Tensor:
        """(..., opponents) -> (..., components)."""
        return _repeat(opponent_mask, [len(opponent) for opponent in self.components])

    def action_mask(self, opponent_mask: Tensor) -> Tensor:
        """(..., opponents) -> (..., flat action of all opponents)."""
        return _repeat(opponent_mask, [action_size(opponent) for opponent in self.components])

    def to_env_units(self, actions: Tensor) -> Tensor:
        """The continuous ones among flat actions in [-1, 1], in the environment's own units."""
        sizes = [action_size(opponent) for opponent in self.components]
        parts = zip(self.action_spaces, actions.split(sizes, dim=-1), strict=True)
        return torch.cat([to_env_units(space, part) for space, part in parts], dim=-1)


def _repeat(mask: Tensor, counts: Sequence[int]) -> Tensor:
    if all(count == 1 for count in counts):
        return mask
    repeats = torch.tensor(counts, device=mask.device)
    return mask.repeat_interleave(repeats, dim=-1)


def shared_opponents(
    policy: str,
    agents: Sequence[AgentID],
    action_spaces: Mapping[AgentID, gym.Space],
    opponent_groups: OpponentGroups | None = None,
) -> Opponents:
    """What a policy that `agents` share sees of its opponents.

    Raises:
        ValueError: if two of the agents see different opponents, naming both, or one sees none.
    """
    modelled = opponents_by_agent(action_spaces, opponent_groups)
    for agent, space in action_spaces.items():
        action_components(space, f"Agent {agent!r}")
    seen = {agent: Opponents(tuple(action_spaces[o] for o in modelled[agent])) for agent in agents}
    first, *others = agents
    if not seen[first].components:
        raise ValueError(
            f"The agent {first!r} has nobody to model; an opponent model needs at least one other "
            f"agent. The environment's are {list(modelled)}."
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
    return _by_agent(space, "action")


def agent_observation_spaces(env_spaces: Any) -> dict[AgentID, gym.Space]:
    """The observation space of each agent; see :func:`agent_action_spaces`."""
    return _by_agent(env_spaces[0], "observation")


def reject_other_kinds(
    algorithm: str, kinds: Collection[str], action_spaces: Mapping[AgentID, gym.Space]
) -> None:
    """Raises a ValueError that names an agent whose action has a part of a kind not in `kinds`."""
    for agent, space in action_spaces.items():
        found = {str(part.kind) for part in action_components(space, f"Agent {agent!r}")}
        if not found <= set(kinds):
            allowed = ", ".join(_SPACES_OF_KIND[kind] for kind in sorted(kinds))
            raise ValueError(
                f"{algorithm} cannot serve agent {agent!r}, whose action space is {space}; "
                f"allowed for all agents: {allowed}, and Dict and Tuple of these."
            )


def central_opponents(
    policy: str,
    agents: Sequence[AgentID],
    opponents: Opponents,
    modelled: Mapping[AgentID, Sequence[AgentID]],
    observation_spaces: Mapping[AgentID, gym.Space],
    policy_of: Callable[[AgentID], str | None],
) -> Opponents:
    """What a policy that is trained centrally knows of its opponents.

    Args:
        policy: its id.
        agents: whom it acts for.
        opponents: what any policy knows of them.
        modelled: for each agent its opponents, in order.
        observation_spaces: of all agents.
        policy_of: an agent's policy, or None if that is not known before an episode.

    Raises:
        ValueError: if it is not certain which policy acts for an opponent, or what that one sees.
    """
    seen = []
    for agent in agents:
        policies = tuple(policy_of(opponent) or "" for opponent in modelled[agent])
        if not all(policies):
            raise ValueError(
                f"Policy {policy!r} is trained centrally, but `policy_mapping_fn` does not say "
                f"from the agent's id alone which policy acts for each of {modelled[agent]}."
            )
        seen.append((tuple(observation_spaces[o] for o in modelled[agent]), policies))
    for agent, other in zip(agents, seen, strict=True):
        if other != seen[0]:
            raise ValueError(
                f"Policy {policy!r} is trained centrally and shared by the agents {agents[0]!r} "
                f"and {agent!r}, whose opponents' policies or observation spaces differ: "
                f"{seen[0]} and {other}. Give each its own policy."
            )
    return Opponents(opponents.action_spaces, *seen[0])


def check_agents_of_policy(policy: str, agents: Sequence[AgentID], env_spaces: Any) -> None:
    """Checks that a policy can see and do what all of its `agents` see and do.

    Args:
        policy: its id.
        agents: those that are mapped to it.
        env_spaces: RLlib's pair of (observation, action) spaces.

    Raises:
        ValueError: if an agent's space is not supported, or two agents' spaces differ; it names
            the agents and the spaces.
    """
    observation_spaces = _by_agent(env_spaces[0], "observation")
    action_spaces = _by_agent(env_spaces[1], "action")
    for agent in agents:
        observation_size(observation_spaces[agent], f"Agent {agent!r}")
        for kind, spaces in (("observation", observation_spaces), ("action", action_spaces)):
            one, other = spaces[agents[0]], spaces[agent]
            # Actions are normalised, so that other bounds of a Box do no harm.
            if layout(one, bounds=kind != "action") != layout(other, bounds=kind != "action"):
                raise ValueError(
                    f"Policy {policy!r} is shared by the agents {agents[0]!r} and {agent!r}, whose "
                    f"{kind} spaces differ: {one} and {other}. Give each its own policy."
                )


def _by_agent(space: Any, kind: str) -> dict[AgentID, gym.Space]:
    if not isinstance(space, gym.spaces.Dict):
        raise ValueError(
            f"The environment's {kind} space is {space}; a multi-agent environment must give "
            f"`{kind}_spaces`, a dict with one space for each of `possible_agents`."
        )
    spaces: dict[Any, gym.Space] = dict(space.spaces)
    return {agent: spaces[agent] for agent in sorted_agents(spaces)}
