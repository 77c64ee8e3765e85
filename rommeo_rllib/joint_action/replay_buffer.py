"""Replay of joint transitions, in contiguous arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.components import action_size
from rommeo_rllib.joint_action.encoding import action_components, encode_actions
from rommeo_rllib.joint_action.opponent_mask import OPPONENT_MASK
from rommeo_rllib.joint_action.packing import blank, packed_shape
from rommeo_rllib.joint_action.replay_files import ReplayFiles
from rommeo_rllib.joint_action.spaces import (
    AgentID,
    OpponentGroups,
    sorted_agents,
    whom_each_models,
)
from rommeo_rllib.joint_action.transitions import AgentTransitions, EpisodeJoiner, JointSteps

OPPONENT_ACTIONS = "opponent_actions"
"""All opponents' actions at the row's env step, as the networks see them; 0 where absent."""

PRIOR = "prior_"
"""Prefix of the columns that the opponent prior is fitted on."""

_ABSENT = -1
TRANSITION_COLUMNS = (
    Columns.OBS,
    Columns.ACTIONS,
    Columns.REWARDS,
    Columns.NEXT_OBS,
    Columns.TERMINATEDS,
)

Batch = dict[str, np.ndarray]


def opponent_column(name: str, number: int) -> str:
    """Name of a column ("obs", "new_obs") of an opponent, numbered in the order of opponents."""
    return f"opponent_{number}_{name}"


ColumnName: TypeAlias = tuple[AgentID, str]

Allocate: TypeAlias = Callable[[ColumnName, tuple[int, ...], np.dtype], np.ndarray]
"""Makes an array of zeros, given a column's name, shape and type."""


class JointReplayBuffer(ReplayFiles):
    """A ring of joint transitions: a row an env step, with the transitions of all who acted.

    Memory is the raw arrays' and grows linearly with the number of agents. Agent ids are sorted;
    an agent's opponents are all others, or those in its group, in that order.

    Args:
        capacity: env steps kept; the oldest goes first.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        seed: seeds the drawing of batches.
        allocate: makes an array of zeros for a (column's name, shape, dtype).
        opponent_groups: for some agents, whom they model; all others model everybody.

    Raises:
        ValueError: if `capacity` is not positive.
    """

    def __init__(
        self,
        capacity: int,
        action_spaces: Mapping[AgentID, gym.Space],
        seed: int | None = None,
        allocate: Allocate | None = None,
        opponent_groups: OpponentGroups | None = None,
    ):
        if capacity < 1:
            raise ValueError(f"`capacity` is {capacity}; allowed: at least 1 env step.")
        self.capacity = capacity
        self.agents = sorted_agents(action_spaces)
        self._action_spaces = dict(action_spaces)
        self._action_sizes = {
            agent: action_size(action_components(space, f"Agent {agent!r}"))
            for agent, space in action_spaces.items()
        }
        self._joiner = EpisodeJoiner()
        self._rng = np.random.default_rng(seed)
        self._allocate = allocate or (lambda name, shape, dtype: np.zeros(shape, dtype))
        self._columns: dict[AgentID, dict[str, np.ndarray]] = {}
        # For each agent and row the number of the policy that acted, or _ABSENT.
        self._acted_by = {agent: np.full(capacity, _ABSENT, np.int16) for agent in self.agents}
        # For each agent how many rows each policy acted in; _ABSENT, -1, is the last entry.
        self._counts = {agent: np.zeros(1, np.int64) for agent in self.agents}
        self._opponents = whom_each_models(self.agents, opponent_groups)
        self._opponent_groups = opponent_groups
        self._policies: list[str] = []
        self._size = 0
        self._next_row = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays at full capacity."""
        columns = (array for agent in self._columns.values() for array in agent.values())
        acted = (array for array in self._acted_by.values())
        return sum(a.nbytes for a in columns) + sum(a.nbytes for a in acted)

    def add(self, episodes: Sequence[MultiAgentEpisode]) -> None:
        """Stores the joint transitions of all chunks that one round of sampling brought.

        Raises:
            ValueError: if a reward is not finite, or an agent is not among the environment's.
        """
        for steps in self._joiner.join(episodes):
            self.add_steps(steps)

    def sample(
        self,
        policies: Iterable[str],
        batch_size: int,
        prior_window: int | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
    ) -> dict[str, Batch]:
        """A batch for each policy, drawn uniformly with replacement from the steps it acted in.

        Args:
            policies: policy ids; one that has not acted yet gets no batch.
            batch_size: rows of each batch.
            prior_window: if given, as many rows again, under names that begin with "prior_", are
                drawn from this many most recent env steps.
            observation_spaces: if given, those of all agents: batches then also have what each
                opponent observed, under the names that `opponent_column` gives.

        Returns:
            For each policy: obs, actions, rewards, new_obs, terminateds, opponent_actions,
            opponent_mask. All have `batch_size` rows, aligned by env step; actions are as the
            networks see them.
        """
        batches = {}
        for policy in policies:
            picked = self._draw(policy, batch_size, self._size)
            if not picked:
                continue
            batches[policy] = self._gather(picked, TRANSITION_COLUMNS)
            if observation_spaces is not None:
                batches[policy] |= self._opponent_observations(picked, observation_spaces)
            if prior_window is not None:
                # A policy that has been absent of late learns from all that it has seen.
                recent = self._draw(policy, batch_size, min(prior_window, self._size)) or picked
                prior = self._gather(recent, (Columns.OBS,))
                batches[policy] |= {PRIOR + name: column for name, column in prior.items()}
        return batches

    def sole_agents(self, policies: Iterable[str]) -> dict[str, AgentID] | None:
        """The one agent that each policy has always acted for.

        None unless all agents have acted at every stored env step, each by a policy of its own.
        """
        agents: dict[str, AgentID] = {}
        for agent, counts in self._counts.items():
            number = int(counts[:-1].argmax()) if len(counts) > 1 else 0
            if counts[number] != self._size or self._size == 0:
                return None
            agents[self._policies[number]] = agent
        return {p: agents[p] for p in policies} if agents.keys() >= set(policies) else None

    def draw_rows(self, size: int, window: int) -> np.ndarray:
        """Rows among the `window` newest, uniformly with replacement."""
        age = self._rng.integers(window, size=size)
        return (self._next_row - 1 - age) % self.capacity

    def add_steps(self, steps: JointSteps) -> None:
        """Stores joint transitions; raises as :meth:`add` does."""
        unknown = steps.agents.keys() - self._acted_by.keys()
        if unknown:
            raise ValueError(
                f"Agent {sorted_agents(unknown)[0]!r} acted, but the environment's "
                f"`possible_agents` are {self.agents}."
            )
        # More steps than fit: only the newest can stay.
        dropped = max(steps.length - self.capacity, 0)
        rows = (self._next_row + np.arange(dropped, steps.length)) % self.capacity
        for agent in self.agents:
            policies = np.full(len(rows), _ABSENT, np.int16)
            if agent in steps.agents:
                transitions = steps.agents[agent]
                kept = slice(None) if dropped == 0 else transitions.rows >= dropped
                acted = transitions.rows[kept] - dropped
                policies[acted] = self._policy_number(transitions.policy)
                self._write(agent, transitions, kept, rows[acted])
            self._mark(agent, rows, policies)
        self._next_row = (self._next_row + steps.length) % self.capacity
        self._size = min(self._size + steps.length, self.capacity)

    def _write(
        self,
        agent: AgentID,
        transitions: AgentTransitions,
        kept: slice | np.ndarray,
        target: np.ndarray,
    ) -> None:
        values = (
            transitions.obs,
            transitions.actions,
            transitions.rewards,
            transitions.next_obs,
            transitions.terminated,
        )
        if agent not in self._columns:
            self._columns[agent] = {
                name: self._allocate((agent, name), (self.capacity, *value.shape[1:]), value.dtype)
                for name, value in zip(TRANSITION_COLUMNS, values, strict=True)
            }
        for column, value in zip(self._columns[agent].values(), values, strict=True):
            column[target] = value[kept]

    def _mark(self, agent: AgentID, rows: np.ndarray, policies: np.ndarray) -> None:
        """Notes who acted for `agent` at `rows`, and keeps count of how often each did."""
        acted_by, counts = self._acted_by[agent], self._counts[agent]
        np.subtract.at(counts, acted_by[rows], 1)
        np.add.at(counts, policies, 1)
        acted_by[rows] = policies

    def _policy_number(self, policy: str) -> int:
        if policy not in self._policies:
            self._policies.append(policy)
            for agent, counts in self._counts.items():
                # The last entry is that of _ABSENT.
                self._counts[agent] = np.insert(counts, len(counts) - 1, 0)
        return self._policies.index(policy)

    def _draw(self, policy: str, batch_size: int, window: int) -> list[tuple[AgentID, np.ndarray]]:
        """Rows among the `window` newest in which `policy` acted, with the agent it acted for."""
        if policy not in self._policies:
            return []
        number = self._policies.index(policy)
        found = [(agent, self._count(agent, number, window)) for agent in self.agents]
        found = [(agent, count) for agent, count in found if count]
        if not found:
            return []
        total = sum(count for _, count in found)
        if len(found) == 1:
            shares = np.array([batch_size])
        else:
            shares = self._rng.multinomial(batch_size, [count / total for _, count in found])
        return [
            (agent, self._draw_rows(agent, number, int(share), count, window))
            for (agent, count), share in zip(found, shares, strict=True)
            if share
        ]

    def _count(self, agent: AgentID, number: int, window: int) -> int:
        """In how many of the `window` newest rows the policy acted for `agent`."""
        count = int(self._counts[agent][number])
        if window == self._size or count == 0:
            return count
        rows = (self._next_row - 1 - np.arange(window)) % self.capacity
        return int(np.count_nonzero(self._acted_by[agent][rows] == number))

    def _draw_rows(
        self, agent: AgentID, number: int, size: int, count: int, window: int
    ) -> np.ndarray:
        acted_by = self._acted_by[agent]
        found: list[np.ndarray] = []
        missing = size
        while missing > 0:
            rows = self.draw_rows(int(np.ceil(missing * window / count)), window)
            if count < window:
                rows = rows[acted_by[rows] == number][:missing]
            found.append(rows)
            missing -= len(rows)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _gather(
        self, picked: Sequence[tuple[AgentID, np.ndarray]], columns: Sequence[str]
    ) -> Batch:
        parts = [self._gather_agent(agent, rows, columns) for agent, rows in picked]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _gather_agent(self, agent: AgentID, rows: np.ndarray, columns: Sequence[str]) -> Batch:
        opponents = self._opponents[agent]
        if not opponents:  # Of a policy that does not learn here: nothing to be known.
            return _own_columns(self._columns[agent], self._action_spaces[agent], rows, columns)
        present = [self._present(opponent, rows) for opponent in opponents]
        if all(acted.all() for acted in present):
            return gather(self._columns, self._action_spaces, agent, opponents, rows, columns)
        batch = _own_columns(self._columns[agent], self._action_spaces[agent], rows, columns)
        actions = [
            self._opponent_actions(opponent, rows, acted)
            for opponent, acted in zip(opponents, present, strict=True)
        ]
        batch[OPPONENT_MASK] = np.stack(present, axis=-1).astype(np.float32)
        batch[OPPONENT_ACTIONS] = np.concatenate(actions, -1)
        return batch

    def _present(self, agent: AgentID, rows: np.ndarray) -> np.ndarray:
        """Whether `agent` acted, for each of `rows`."""
        if self._counts[agent][:-1].max(initial=0) == self._size:
            return np.ones(len(rows), bool)
        return self._acted_by[agent][rows] != _ABSENT

    def _opponent_actions(
        self, opponent: AgentID, rows: np.ndarray, present: np.ndarray
    ) -> np.ndarray:
        space, width = self._action_spaces[opponent], self._action_sizes[opponent]
        if opponent not in self._columns:
            return np.zeros((len(rows), width), np.float32)
        actions = self._columns[opponent][Columns.ACTIONS]
        encoded = np.zeros((len(rows), width), np.float32)
        encoded[present] = encode_actions(space, actions[rows[present]])
        return encoded

    def _opponent_observations(
        self,
        picked: Sequence[tuple[AgentID, np.ndarray]],
        spaces: Mapping[AgentID, gym.Space],
    ) -> Batch:
        parts: dict[str, list[np.ndarray]] = {}
        for agent, rows in picked:
            for number, opponent in enumerate(self._opponents[agent]):
                present, none = self._present(opponent, rows), blank(spaces[opponent])
                for name in (Columns.OBS, Columns.NEXT_OBS):
                    column = np.repeat(none[np.newaxis], len(rows), axis=0)
                    if opponent in self._columns:
                        column[present] = self._columns[opponent][name][rows[present]]
                    parts.setdefault(opponent_column(name, number), []).append(column)
        return {name: np.concatenate(columns) for name, columns in parts.items()}

    # Checkpoints; see `ReplayFiles`.

    def get_state(
        self,
        components: Any = None,
        *,
        not_components: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The stored transitions, oldest first, and what else is needed to go on as before."""
        rows = (self._next_row - self._size + np.arange(self._size)) % self.capacity
        arrays = {}
        for index, agent in enumerate(self.agents):
            arrays[f"{index}/acted_by"] = self._acted_by[agent][rows]
            for name, column in self._columns.get(agent, {}).items():
                arrays[f"{index}/{name}"] = column[rows]
        manifest = {
            "agents": [str(agent) for agent in self.agents],
            "policies": self._policies,
            "rng": self._rng.bit_generator.state,
            "size": self._size,
        }
        return {"arrays": arrays, "manifest": manifest}

    def set_state(self, state: dict[str, Any]) -> None:
        """Replaces the content by that of `state`; of more rows than fit, the newest are kept.

        Raises:
            ValueError: if the state is of other agents, or its arrays do not fit together.
        """
        manifest, arrays = state["manifest"], state["arrays"]
        agents = [str(agent) for agent in self.agents]
        if manifest["agents"] != agents:
            raise ValueError(
                f"The stored replay is of the agents {manifest['agents']}, the environment's are "
                f"{agents}."
            )
        wrong = {n: len(a) for n, a in arrays.items() if len(a) != manifest["size"]}
        if wrong:
            raise ValueError(
                f"The stored replay has {manifest['size']} rows by its manifest, but {wrong}."
            )
        for index, agent in enumerate(self.agents):
            stored, space = arrays.get(f"{index}/{Columns.ACTIONS}"), self._action_spaces[agent]
            if stored is not None and stored.shape[1:] != packed_shape(space):
                raise ValueError(
                    f"The stored replay has actions of the shape {stored.shape[1:]} for agent "
                    f"{agent!r}, whose action space is {space}."
                )
        size = min(manifest["size"], self.capacity)
        self._policies = list(manifest["policies"])
        self._size, self._next_row = size, size % self.capacity
        self._columns, self._joiner = {}, EpisodeJoiner()
        for index, agent in enumerate(self.agents):
            self._acted_by[agent][:] = _ABSENT
            self._counts[agent] = np.zeros(len(self._policies) + 1, np.int64)
            self._mark(agent, np.arange(size), _newest(arrays[f"{index}/acted_by"], size))
            columns = {}
            for name in TRANSITION_COLUMNS:
                stored = arrays.get(f"{index}/{name}")
                if stored is not None:
                    shape = (self.capacity, *stored.shape[1:])
                    columns[name] = self._allocate((agent, name), shape, stored.dtype)
                    columns[name][:size] = _newest(stored, size)
            if columns:
                self._columns[agent] = columns
        self._rng.bit_generator.state = manifest["rng"]

    def get_ctor_args_and_kwargs(self) -> tuple[tuple, dict[str, Any]]:
        """What RLlib stores to build an equal buffer."""
        return (self.capacity, self._action_spaces), {"opponent_groups": self._opponent_groups}


def gather(
    columns: Mapping[AgentID, Mapping[str, np.ndarray]],
    action_spaces: Mapping[AgentID, gym.Space],
    agent: AgentID,
    opponents: Sequence[AgentID],
    rows: np.ndarray,
    names: Sequence[str],
) -> Batch:
    """One agent's batch from rows at which everybody acted; see :meth:`JointReplayBuffer.sample`.

    Args:
        columns: for each agent its columns, whose first axis `rows` counts.
        action_spaces: the action space of each agent.
        agent: whose batch.
        opponents: whom it models, in order.
        rows: (B,).
        names: the columns wanted beside the opponents'.
    """
    batch = _own_columns(columns[agent], action_spaces[agent], rows, names)
    actions = [
        encode_actions(action_spaces[o], columns[o][Columns.ACTIONS][rows]) for o in opponents
    ]
    batch[OPPONENT_MASK] = np.ones((len(rows), len(opponents)), np.float32)
    batch[OPPONENT_ACTIONS] = actions[0] if len(actions) == 1 else np.concatenate(actions, -1)
    return batch


def _own_columns(
    own: Mapping[str, np.ndarray], space: gym.Space, rows: np.ndarray, names: Sequence[str]
) -> Batch:
    batch = {name: own[name][rows] for name in names}
    if Columns.ACTIONS in batch:
        batch[Columns.ACTIONS] = encode_actions(space, batch[Columns.ACTIONS])
    return batch


def _newest(array: np.ndarray, count: int) -> np.ndarray:
    return array[len(array) - count :]
