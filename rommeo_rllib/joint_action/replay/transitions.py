"""Multi-agent episodes, taken apart into joint transitions: who did what at which env step.

RLlib hands out an episode in chunks, and an agent's transition spans several env steps where the
agent does not act at each of them. Here each transition is filed under the env step at which its
action was taken, so that the actions of different agents at that step can be put side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.spaces.space_utils import batch

from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.joint_action.spaces.packing import pack_batch


@dataclass
class AgentTransitions:
    """Transitions of one agent: `rows[k]` is the joint step at which the k-th was begun.

    Of several replicas all other fields hold one replica's transitions after the other's.
    """

    policy: str
    rows: np.ndarray
    obs: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray
    next_acting: Sequence[Set[AgentID]]
    """For each transition, who acts at this agent's own next step."""
    episodes: Sequence[str] = ()
    """For each transition its episode's id; empty if that is not known."""
    numbers: Sequence[int] = ()
    """For each transition which of the agent's in its episode it is, counted from 0."""

    def columns(self) -> tuple[np.ndarray, ...]:
        """The arrays beside `rows`, in the order of replay's columns."""
        return (self.obs, self.actions, self.rewards, self.next_obs, self.terminated)

    def of(self, index: int) -> AgentTransitions:
        """Those of one replica, counted from the first that is here."""
        part = slice(index * len(self.rows), (index + 1) * len(self.rows))
        obs, actions, rewards, next_obs, terminated = (column[part] for column in self.columns())
        return AgentTransitions(
            self.policy,
            self.rows,
            obs,
            actions,
            rewards,
            next_obs,
            terminated,
            self.next_acting[part],
            self.episodes[part],
            self.numbers[part],
        )


@dataclass
class JointSteps:
    """`length` consecutive joint steps of one or more replicas, in which the same agents acted.

    Attributes:
        length: joint steps of each replica.
        agents: the transitions begun at them.
        replica: the first replica.
        replicas: how many there are.
    """

    length: int
    agents: dict[AgentID, AgentTransitions]
    replica: int = 0
    replicas: int = 1

    def env_steps(self) -> int:
        """Env steps, as RLlib asks episodes for them; those of replica 0 stand for all."""
        return self.length if self.replica == 0 else 0

    def agent_steps(self) -> int:
        """Transitions of all agents, as RLlib asks episodes for them."""
        return sum(len(transitions.rewards) for transitions in self.agents.values())

    def of(self, index: int) -> JointSteps:
        """Those of one replica, counted from the first that is here."""
        agents = {agent: transitions.of(index) for agent, transitions in self.agents.items()}
        return JointSteps(self.length, agents, self.replica + index)


@dataclass
class _Ongoing:
    """What is known of an episode whose chunks are still coming in."""

    last_obs: dict[AgentID, int] = field(default_factory=dict)
    """For each living agent the env step of its latest observation: it acts at that step."""
    seen: set[AgentID] = field(default_factory=set)
    """Agents that had entered the episode before the current chunk."""
    open: dict[int, list[tuple[AgentID, AgentTransitions, int]]] = field(default_factory=dict)
    """Env steps held back, since an agent that acted there has not seen the outcome yet."""


class EpisodeJoiner:
    """Turns chunks of episodes into joint steps; remembers what hangs over to the next chunk."""

    def __init__(self) -> None:
        self._ongoing: dict[str, _Ongoing] = {}

    def join(self, episodes: Sequence[MultiAgentEpisode]) -> Iterator[JointSteps]:
        """Joint steps of the chunks, each env step exactly once.

        Args:
            episodes: all chunks of one round of sampling; an episode that is not among them has
                been lost (an env runner died) and is forgotten.

        Raises:
            ValueError: if a reward is not finite; it names agent, reward and env step.
        """
        known, self._ongoing = self._ongoing, {}
        for episode in episodes:
            ongoing = self._ongoing.pop(episode.id_, None) or known.pop(episode.id_, None)
            if ongoing is None:
                ongoing = _first_seen(episode)
            joined = _join_dense(episode, ongoing) or _join_sparse(episode, ongoing)
            if not episode.is_done:
                self._ongoing[episode.id_] = ongoing
            if joined.length:
                yield joined


def has_terminated(
    agent: AgentID, terminateds: Mapping[AgentID, bool], truncateds: Mapping[AgentID, bool]
) -> bool:
    """Whether an agent that ends has terminated, by what the environment returned.

    Its own flag counts most: it may terminate at the very time limit of all.
    """
    truncated = truncateds.get(agent, False) or truncateds.get("__all__", False)
    return terminateds.get(agent, False) or (terminateds.get("__all__", False) and not truncated)


def _first_seen(episode: MultiAgentEpisode) -> _Ongoing:
    # An episode that starts here, or one whose earlier chunks were lost: whoever has an
    # observation at the chunk's first env step acts there.
    skip = MultiAgentEpisode.SKIP_ENV_TS_TAG
    start = episode.env_t_started
    return _Ongoing(
        {
            agent: start
            for agent, steps in episode.env_t_to_agent_t.items()
            if len(steps.data) > steps.lookback and steps.data[steps.lookback] != skip
        },
        {agent for agent in episode.env_t_to_agent_t if start and not _joins(episode, agent)},
    )


def _joins(episode: MultiAgentEpisode, agent: AgentID) -> bool:
    """Whether the very first observation of `agent` comes after this chunk's first env step."""
    steps = episode.env_t_to_agent_t[agent]
    observed = (
        (index, agent_step)
        for index, agent_step in enumerate(steps.data)
        if agent_step != MultiAgentEpisode.SKIP_ENV_TS_TAG
    )
    # Whoever waits for the outcome of a first action has its observation in the look-back.
    index, agent_step = next(observed, (0, 0))
    return agent_step == 0 and index > steps.lookback


def _join_dense(episode: MultiAgentEpisode, ongoing: _Ongoing) -> JointSteps | None:
    """The common case, without a loop over steps: each agent acted at every env step."""
    start, length = episode.env_t_started, episode.env_t - episode.env_t_started
    dense = (
        not ongoing.open
        and len(episode.env_t_to_agent_t) == len(episode.agent_episodes)
        and ongoing.last_obs.keys() == episode.agent_episodes.keys()
        and all(step == start for step in ongoing.last_obs.values())
        and all(len(agent_episode) == length for agent_episode in episode.agent_episodes.values())
    )
    if not dense:
        return None
    rows = np.arange(length)
    everybody = set(episode.agent_episodes)
    # Where all have terminated nothing comes after; to count everybody then costs no column.
    at_end = {agent for agent in everybody if _acts_at_end(episode, agent)} or everybody
    next_acting = [everybody] * (length - 1) + [at_end]
    agents = {
        agent: _transitions(agent_episode, rows, episode, next_acting)
        for agent, agent_episode in episode.agent_episodes.items()
    }
    ongoing.seen.update(agents)
    ongoing.last_obs = {
        agent: episode.env_t
        for agent, agent_episode in episode.agent_episodes.items()
        if not agent_episode.is_done
    }
    return JointSteps(length, agents)


def _join_sparse(episode: MultiAgentEpisode, ongoing: _Ongoing) -> JointSteps:
    """Agents that come, go, take turns or wait for the outcome of an action."""
    observed = {
        agent: _observed_at(episode, agent, agent not in ongoing.seen)
        for agent in episode.env_t_to_agent_t
    }
    acting_at = _acting_at(episode, observed)
    for agent in episode.env_t_to_agent_t:
        joined_here = agent not in ongoing.seen
        acted_at = observed[agent].copy()
        unknown = 0
        if agent in ongoing.last_obs:
            acted_at.insert(0, ongoing.last_obs[agent])
        elif not joined_here:
            # It waits for the outcome of an action in a chunk that was lost: leave that out.
            unknown = 1
        agent_episode = episode.agent_episodes.get(agent)
        count = 0 if agent_episode is None else len(agent_episode) - unknown
        if agent_episode is not None and count > 0:
            rows = np.asarray(acted_at[:count], dtype=int)
            # The next own step is the one after; an agent without one has terminated.
            next_steps = [*acted_at[1:], None][:count]
            next_acting = [acting_at.get(step, set()) for step in next_steps]
            transitions = _transitions(agent_episode, rows, episode, next_acting, skip=unknown)
            for index, env_step in enumerate(rows):
                ongoing.open.setdefault(int(env_step), []).append((agent, transitions, index))
            acted_at = acted_at[count:]
        if acted_at and not (agent_episode is not None and agent_episode.is_done):
            ongoing.last_obs[agent] = acted_at[-1]
        elif agent_episode is not None and agent_episode.is_done:
            ongoing.last_obs.pop(agent, None)
    ongoing.seen.update(episode.env_t_to_agent_t)
    waiting = set() if episode.is_done else set(ongoing.last_obs.values()) - {episode.env_t}
    complete = sorted(step for step in ongoing.open if step not in waiting)
    return _assemble([ongoing.open.pop(step) for step in complete])


def _observed_at(episode: MultiAgentEpisode, agent: AgentID, joined_here: bool) -> list[int]:
    """Env steps of this chunk, after its first one, at which `agent` received an observation.

    The observation at the chunk's first env step is known from the chunk before, or from
    `_first_seen`.
    """
    steps, start = episode.env_t_to_agent_t[agent], episode.env_t_started
    # RLlib counts the steps of an agent that joins within a later chunk from the episode's start,
    # those of all others from the chunk's.
    first_env_step = 0 if joined_here else start - steps.lookback
    observed = (
        first_env_step + index
        for index, agent_step in enumerate(steps.data)
        if agent_step != MultiAgentEpisode.SKIP_ENV_TS_TAG
    )
    return [env_step for env_step in observed if env_step > start]


def _acting_at(
    episode: MultiAgentEpisode, observed: Mapping[AgentID, Sequence[int]]
) -> dict[int | None, set[AgentID]]:
    """Who acts at each env step of this chunk after its first one."""
    acting: dict[int | None, set[AgentID]] = {}
    for agent, steps in observed.items():
        for step in steps:
            acting.setdefault(step, set()).add(agent)
        agent_episode = episode.agent_episodes.get(agent)
        is_done = agent_episode is not None and agent_episode.is_done
        if steps and is_done and not (steps[-1] == episode.env_t and _acts_at_end(episode, agent)):
            acting[steps[-1]].discard(agent)
    return acting


def _acts_at_end(episode: MultiAgentEpisode, agent: AgentID) -> bool:
    """Whether an agent that has an observation at the chunk's end is to act on it.

    Also if everybody's time is up: values are then estimated as if the game went on.
    """
    agent_episode = episode.agent_episodes[agent]
    return not agent_episode.is_done or (episode.is_done and not agent_episode.is_terminated)


def _assemble(steps: list[list[tuple[AgentID, AgentTransitions, int]]]) -> JointSteps:
    rows: dict[AgentID, list[int]] = {}
    parts: dict[AgentID, list[tuple[AgentTransitions, int]]] = {}
    for row, acted in enumerate(steps):
        for agent, transitions, index in acted:
            rows.setdefault(agent, []).append(row)
            parts.setdefault(agent, []).append((transitions, index))
    return JointSteps(
        len(steps),
        {
            agent: AgentTransitions(
                policy=picked[0][0].policy,
                rows=np.asarray(rows[agent]),
                obs=np.stack([t.obs[i] for t, i in picked]),
                actions=np.stack([t.actions[i] for t, i in picked]),
                rewards=np.stack([t.rewards[i] for t, i in picked]),
                next_obs=np.stack([t.next_obs[i] for t, i in picked]),
                terminated=np.stack([t.terminated[i] for t, i in picked]),
                next_acting=[t.next_acting[i] for t, i in picked],
                episodes=[t.episodes[i] for t, i in picked],
                numbers=[t.numbers[i] for t, i in picked],
            )
            for agent, picked in parts.items()
        },
    )


def _transitions(
    agent_episode: SingleAgentEpisode,
    rows: np.ndarray,
    episode: MultiAgentEpisode,
    next_acting: Sequence[Set[AgentID]],
    skip: int = 0,
) -> AgentTransitions:
    observations = _packed(agent_episode.get_observations())[skip:]
    rewards = np.asarray(agent_episode.get_rewards(), np.float32)[skip:]
    if not np.isfinite(rewards).all():
        worst = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise ValueError(
            f"Agent {agent_episode.agent_id!r} received the reward {rewards[worst]} within the env "
            f"steps from {episode.env_t_started} on of its episode; rewards must be finite numbers."
        )
    terminated = np.zeros(len(rewards), np.float32)
    # RLlib marks an episode that a time limit ended for all agents as terminated, too; where it did
    # not, an agent that is marked as both has terminated at the very time limit.
    if len(rewards):
        cut_short = agent_episode.is_truncated and episode.is_terminated
        terminated[-1] = agent_episode.is_terminated and not cut_short
    begun = int(agent_episode.t_started) + skip
    return AgentTransitions(
        policy=str(agent_episode.module_id),
        rows=rows,
        obs=observations[:-1],
        actions=_packed(agent_episode.get_actions())[skip:],
        rewards=rewards,
        next_obs=observations[1:],
        terminated=terminated,
        next_acting=next_acting,
        episodes=[episode.id_] * len(rewards),
        numbers=range(begun, begun + len(rewards)),
    )


def _packed(values: Any) -> np.ndarray:
    """Observations or actions of an episode: a list of values, or a nest of arrays."""
    nested_list = isinstance(values, list) and isinstance(values[0], Mapping | tuple)
    return pack_batch(batch(values) if nested_list else values)
