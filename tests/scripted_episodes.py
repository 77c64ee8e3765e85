"""Episodes by script: who observes when, cut into chunks as RLlib's env runner cuts them.

The reward says what everybody did. A step that an agent acted at pays `joint_code` of it; each
further env step that it waits for the outcome pays `WAITING`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.rllib_boundary.episodes import OrderedEpisode

NUM_ACTIONS = 4
WAITING = 1000.0


def joint_code(actions: Mapping[str, int], agents: Sequence[str]) -> float:
    """A number below 1000 that holds each agent's action, or that it did not act."""
    digits = [actions[agent] + 1 if agent in actions else 0 for agent in sorted(agents)]
    return float(sum(digit * (NUM_ACTIONS + 1) ** place for place, digit in enumerate(digits)))


@dataclass(frozen=True)
class End:
    """How an agent leaves before the episode's end."""

    step: int
    truncated: bool = False
    observed: bool = True


@dataclass(frozen=True)
class Script:
    """Who observes when.

    Attributes:
        observes: for each agent the env steps at which it gets an observation; the first is when
            it joins. It acts at each of them, unless that is its end.
        length: env steps of the episode.
        ending: "terminated", "truncated" or None for an episode that goes on.
        leaves: agents that end before the others.
        final_observations: whether those who wait get an observation with a termination of all.
    """

    observes: dict[str, tuple[int, ...]]
    length: int
    ending: str | None = None
    leaves: dict[str, End] = field(default_factory=dict)
    final_observations: bool = True

    @property
    def agents(self) -> list[str]:
        return sorted(self.observes)

    def end_of(self, agent: str) -> int | None:
        """The env step at which `agent`'s episode ends, if it does."""
        if agent in self.leaves:
            return self.leaves[agent].step
        return self.length if self.ending else None

    def observations_at(self, step: int) -> list[str]:
        """Who gets an observation at `step`."""
        got = []
        for agent, steps in self.observes.items():
            if step < steps[0]:
                continue
            end = self.end_of(agent)
            if end is not None and step >= end:
                if step == end and self._has_final_observation(agent):
                    got.append(agent)
            elif step in steps:
                got.append(agent)
        return got

    def acting_at(self, step: int) -> list[str]:
        """Who acts at `step`: those who have just observed, and are not at their end."""
        return [agent for agent in self.observations_at(step) if self.end_of(agent) != step]

    def would_act_at(self, step: int) -> frozenset[str]:
        """Who acts at `step`, or would if the time of all were not up then."""
        acting = set(self.acting_at(step))
        if step == self.length and self.ending:
            observed = self.observations_at(step)
            # RLlib does not let one in who comes at the very end.
            members = [agent for agent in observed if self.observes[agent][0] < step]
            acting.update(agent for agent in members if self._is_truncated(agent))
        return frozenset(acting)

    def _is_truncated(self, agent: str) -> bool:
        if agent in self.leaves:
            return self.leaves[agent].truncated
        return self.ending == "truncated"

    def _has_final_observation(self, agent: str) -> bool:
        if agent in self.leaves:
            return self.leaves[agent].observed or self.leaves[agent].truncated
        return self.final_observations or self.ending == "truncated"


@dataclass(frozen=True)
class Transition:
    """What must be found in the replay buffer."""

    step: int
    agent: str
    action: int
    others: dict[str, int]
    reward: float
    next_step: int | None
    terminated: bool
    next_acting: frozenset[str] | None
    """Who else acts at the agent's next step; None if it has terminated."""


def observation(episode: int, step: int, agent: str) -> np.ndarray:
    """An observation that says where it was made."""
    return np.array([episode, step, ord(agent[-1])], np.float32)


def play(
    script: Script,
    cuts: Sequence[int] = (),
    *,
    episode_number: int = 0,
    seed: int = 0,
    lookback: int = 1,
    policy_of: Any = None,
    env_steps: int | None = None,
) -> tuple[list[MultiAgentEpisode], list[Transition]]:
    """Plays a script.

    Args:
        script: who observes when.
        cuts: env steps after which the chunk is handed out.
        episode_number: goes into the observations.
        seed: of the actions.
        lookback: RLlib's `episode_lookback_horizon`.
        policy_of: maps (agent, episode) to a policy; each agent has its own if not given.
        env_steps: stop after this many.

    Returns:
        The chunks, and the transitions that are complete, by step and agent.
    """
    rng = np.random.default_rng(seed)
    agents = script.agents
    spaces = {agent: gym.spaces.Discrete(NUM_ACTIONS) for agent in agents}
    last = script.length if env_steps is None else min(env_steps, script.length)
    actions = {
        step: {agent: int(rng.integers(NUM_ACTIONS)) for agent in script.acting_at(step)}
        for step in range(script.length)
    }

    episode = OrderedEpisode(
        action_space=spaces,
        agent_to_module_mapping_fn=policy_of or (lambda agent, episode: f"policy_{agent}"),
    )
    episode.add_env_reset(
        observations={a: observation(episode_number, 0, a) for a in script.observations_at(0)}
    )
    chunks, transitions, pending = [], [], {}
    for step in range(last):
        now = step + 1
        for agent, action in actions[step].items():
            pending[agent] = (step, action, 0.0)
        rewards = {}
        for agent, (begun, action, paid) in pending.items():
            pay = joint_code(actions[step], agents) if begun == step else WAITING
            rewards[agent] = pay
            pending[agent] = (begun, action, paid + pay)
        observed = script.observations_at(now)
        leaving = {a: e for a, e in script.leaves.items() if e.step == now}
        is_last = now == script.length and script.ending is not None
        terminateds = {a: True for a, e in leaving.items() if not e.truncated}
        truncateds = {a: True for a, e in leaving.items() if e.truncated}
        if is_last:
            ends = terminateds if script.ending == "terminated" else truncateds
            ends.update({a: True for a in pending if a not in leaving})
        for agent in list(pending):
            is_end = now == script.end_of(agent)
            if agent in observed or is_end:
                begun, action, paid = pending.pop(agent)
                transitions.append(
                    Transition(
                        step=begun,
                        agent=agent,
                        action=action,
                        others={a: x for a, x in actions[begun].items() if a != agent},
                        reward=paid,
                        next_step=now if agent in observed else None,
                        terminated=agent in terminateds,
                        next_acting=(
                            None if agent in terminateds else script.would_act_at(now) - {agent}
                        ),
                    )
                )
        episode.add_env_step(
            {a: observation(episode_number, now, a) for a in observed},
            dict(actions[step]),
            rewards,
            terminateds={**terminateds, "__all__": is_last and script.ending == "terminated"},
            truncateds={**truncateds, "__all__": is_last and script.ending == "truncated"},
        )
        if episode.is_done:
            MultiAgentEnvRunner._prune_zero_len_sa_episodes(episode)
            chunks.append(episode.to_numpy())
            break
        if now in cuts or now == last:
            following = episode.cut(len_lookback_buffer=lookback)
            MultiAgentEnvRunner._prune_zero_len_sa_episodes(episode)
            chunks.append(episode.to_numpy())
            episode = following
    # A joint step is complete once everyone who acted there has seen the outcome.
    waiting = set() if chunks[-1].is_done else {begun for begun, *_ in pending.values()}
    complete = [t for t in transitions if t.step not in waiting]
    return chunks, sorted(complete, key=lambda t: (t.step, t.agent))


@st.composite
def any_script(draw: Any) -> tuple[Script, list[int]]:
    """A script, and env steps after which a chunk is handed out."""
    length = draw(st.integers(1, 8))
    agents = [f"agent_{number}" for number in range(draw(st.integers(2, 3)))]
    observes, leaves = {}, {}
    for agent in agents:
        joins = 0 if agent == agents[0] else draw(st.sampled_from([0, 0, *range(length + 1)]))
        later = draw(st.sets(st.integers(joins, length)) | st.just(set(range(joins, length + 1))))
        observes[agent] = tuple(sorted({joins, *later}))
        if joins < length and draw(st.integers(0, 3)) == 0:
            step = draw(st.integers(joins + 1, length))
            leaves[agent] = End(step, draw(st.booleans()), draw(st.booleans()))
    script = Script(
        observes,
        length,
        draw(st.sampled_from([None, "terminated", "truncated"])),
        leaves,
        draw(st.booleans()),
    )
    for step in range(length + 1):
        # RLlib ends an episode in which no agent is left, also where another would come.
        present = [agent for agent in agents if observes[agent][0] < step]
        left = [agent for agent in present if (script.end_of(agent) or length + 1) > step]
        assume(left or step == 0 or (script.ending and step == length))
    # RLlib cannot say that one agent terminates at the very time limit of all.
    at_the_limit = [e for e in leaves.values() if e.step == length and not e.truncated]
    assume(script.ending != "truncated" or not at_the_limit)
    return script, sorted(draw(st.sets(st.integers(1, length))))
