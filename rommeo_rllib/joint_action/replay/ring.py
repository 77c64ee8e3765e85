"""A ring of joint transitions, in contiguous arrays: what is stored, and how it is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.components import action_size
from rommeo_rllib.joint_action.replay.columns import NEXT_ABSENT, TRANSITION_COLUMNS, Allocate
from rommeo_rllib.joint_action.replay.files import ReplayFiles
from rommeo_rllib.joint_action.replay.transitions import AgentTransitions, EpisodeJoiner, JointSteps
from rommeo_rllib.joint_action.spaces.agents import (
    AgentID,
    OpponentGroups,
    sorted_agents,
    whom_each_models,
)
from rommeo_rllib.joint_action.spaces.encoding import action_components, is_supported
from rommeo_rllib.joint_action.spaces.packing import packed_dtype, packed_shape
from rommeo_rllib.process_memory import lazy_zeros

ABSENT = -1
"""Stands in place of a policy's number where an agent did not act."""


class ReplayRing(ReplayFiles):
    """A ring of joint transitions: a row an env step, with the transitions of all who acted.

    Memory is the raw arrays' and grows linearly with the number of agents. Agent ids are sorted;
    an agent's opponents are all others, or those in its group, in that order.

    Args:
        capacity: env steps kept; the oldest goes first.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        observation_spaces: what is stored of each agent's observations; without it columns have the
            shapes and types of the first values.
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
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
    ):
        if capacity < 1:
            raise ValueError(f"`capacity` is {capacity}; allowed: at least 1 env step.")
        self.capacity = capacity
        self.agents = sorted_agents(action_spaces)
        self._action_spaces = dict(action_spaces)
        # An agent whose policy is of another kind may observe anything.
        self._observation_spaces = {
            agent: space
            for agent, space in (observation_spaces or {}).items()
            if is_supported(space)
        }
        self._action_sizes = {
            agent: action_size(action_components(space, f"Agent {agent!r}"))
            for agent, space in action_spaces.items()
        }
        self._joiner = EpisodeJoiner()
        self._rng = np.random.default_rng(seed)
        self._allocate = allocate or (lambda name, shape, dtype: lazy_zeros(shape, dtype))
        self._columns: dict[AgentID, dict[str, np.ndarray]] = {}
        # For each agent and row the number of the policy that acted, or ABSENT.
        self._acted_by = {agent: np.full(capacity, ABSENT, np.int16) for agent in self.agents}
        # For each agent how many rows each policy acted in; ABSENT, -1, is the last entry.
        self._counts = {agent: np.zeros(1, np.int64) for agent in self.agents}
        self._opponents = whom_each_models(self.agents, opponent_groups)
        self._opponent_numbers = {
            agent: [self.agents.index(opponent) for opponent in opponents]
            for agent, opponents in self._opponents.items()
        }
        self._opponent_groups = opponent_groups
        self._policies: list[str] = []
        self._size = 0
        self.next_row = 0

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
        rows = (self.next_row + np.arange(dropped, steps.length)) % self.capacity
        for agent in self.agents:
            policies = np.full(len(rows), ABSENT, np.int16)
            if agent in steps.agents:
                transitions = steps.agents[agent]
                kept = slice(None) if dropped == 0 else transitions.rows >= dropped
                acted = transitions.rows[kept] - dropped
                policies[acted] = self._policy_number(transitions.policy)
                self._write(agent, transitions, kept, rows[acted])
            self._mark(agent, rows, policies)
        self._advance(steps.length)

    @property
    def has_all_columns(self) -> bool:
        """Whether every agent has acted before, so that there are arrays for it."""
        return len(self._columns) == len(self.agents)

    def next_rows(self, length: int) -> np.ndarray:
        """Where the next joint steps go, (length,)."""
        return (self.next_row + np.arange(length)) % self.capacity

    def mark_written(self, rows: np.ndarray, policies: Mapping[AgentID, str]) -> None:
        """Notes that the next rows' columns have been written, each agent having acted."""
        for agent, policy in policies.items():
            self._mark(agent, rows, np.full(len(rows), self._policy_number(policy), np.int16))
        self._advance(len(rows))

    def _advance(self, length: int) -> None:
        self.next_row = (self.next_row + length) % self.capacity
        self._size = min(self._size + length, self.capacity)

    def _write(
        self,
        agent: AgentID,
        transitions: AgentTransitions,
        kept: slice | np.ndarray,
        target: np.ndarray,
    ) -> None:
        values = dict(zip(TRANSITION_COLUMNS, transitions.columns(), strict=True))
        columns = self._columns.setdefault(agent, {})
        for name, value in values.items():
            if name not in columns:
                self._add_column(agent, name, value.shape[1:], value.dtype)
            columns[name][target] = self._fitting(agent, name, value, columns[name])[kept]
        absent = self.absences(transitions)
        if absent is not None:
            self.add_absences(agent)
            columns[NEXT_ABSENT][target] = absent[kept]
        elif NEXT_ABSENT in columns:
            columns[NEXT_ABSENT][target] = False

    def _add_column(
        self, agent: AgentID, name: str, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        space, is_action = self._space_of(agent, name)
        if space is not None:
            shape, dtype = packed_shape(space), packed_dtype(space, is_action=is_action)
        array = self._allocate((agent, name), (self.capacity, *shape), dtype)
        self._columns[agent][name] = array

    def _space_of(self, agent: AgentID, name: str) -> tuple[gym.Space | None, bool]:
        """The space of a column's values, if they have one, and whether it is of actions."""
        if name == Columns.ACTIONS:
            return self._action_spaces[agent], True
        if name in (Columns.OBS, Columns.NEXT_OBS):
            return self._observation_spaces.get(agent), False
        return None, False

    def _fitting(
        self, agent: AgentID, name: str, values: np.ndarray, column: np.ndarray
    ) -> np.ndarray:
        """Values in the column's type; a ValueError if they do not fit into it as they are.

        What environments return has been converted before; connectors and policies of another kind
        may bring anything.
        """
        if values.dtype == column.dtype and values.shape[1:] == column.shape[1:]:
            return values
        space, _ = self._space_of(agent, name)
        where = f"declared: {space}" if space is not None else f"before: {column.shape[1:]}"
        if values.shape[1:] != column.shape[1:]:
            raise ValueError(
                f"Agent {agent!r} brought {name!r} of the shape {values.shape[1:]} to the replay; "
                f"{where}."
            )
        converted = values.astype(column.dtype)
        loses = not np.can_cast(values.dtype, column.dtype, "same_kind")
        if loses and not np.array_equal(converted, values):
            raise ValueError(
                f"Agent {agent!r} brought {name!r} of {values.dtype} to the replay, which do not "
                f"fit into {column.dtype} as they are; {where}."
            )
        return converted

    def absences(self, transitions: AgentTransitions) -> np.ndarray | None:
        """Who does not act at each transition's next step, (rows, agents); None for nobody."""
        if set(map(len, transitions.next_acting)) == {len(self.agents)}:
            return None
        return np.array(
            [[agent not in acting for agent in self.agents] for acting in transitions.next_acting]
        )

    def add_absences(self, agent: AgentID) -> None:
        """Makes the column of who is absent at an agent's next steps, if there is none yet."""
        if NEXT_ABSENT not in self._columns[agent]:
            self._add_column(agent, NEXT_ABSENT, (len(self.agents),), np.dtype(bool))

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
                # The last entry is that of ABSENT.
                self._counts[agent] = np.insert(counts, len(counts) - 1, 0)
        return self._policies.index(policy)

    # Checkpoints; see `ReplayFiles`.

    def get_state(
        self,
        components: Any = None,
        *,
        not_components: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The stored transitions, oldest first, and what else is needed to go on as before."""
        rows = (self.next_row - self._size + np.arange(self._size)) % self.capacity
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
            for name in (Columns.ACTIONS, Columns.OBS, Columns.NEXT_OBS):
                stored = arrays.get(f"{index}/{name}")
                space, is_action = self._space_of(agent, name)
                kind = "action" if is_action else "observation"
                if stored is None or space is None:
                    continue
                if stored.shape[1:] != packed_shape(space):
                    raise ValueError(
                        f"The stored replay has {name!r} of the shape {stored.shape[1:]} for agent "
                        f"{agent!r}, whose {kind} space is {space}."
                    )
        size = min(manifest["size"], self.capacity)
        self._policies = list(manifest["policies"])
        self._size, self.next_row = size, size % self.capacity
        had_absences = {agent for agent, own in self._columns.items() if NEXT_ABSENT in own}
        self._columns, self._joiner = {}, EpisodeJoiner()
        for index, agent in enumerate(self.agents):
            self._acted_by[agent][:] = ABSENT
            self._counts[agent] = np.zeros(len(self._policies) + 1, np.int64)
            self._mark(agent, np.arange(size), _newest(arrays[f"{index}/acted_by"], size))
            for name in (*TRANSITION_COLUMNS, NEXT_ABSENT):
                stored = arrays.get(f"{index}/{name}")
                if stored is not None:
                    columns = self._columns.setdefault(agent, {})
                    self._add_column(agent, name, stored.shape[1:], stored.dtype)
                    stored = self._fitting(agent, name, stored, columns[name])
                    columns[name][:size] = _newest(stored, size)
            if agent in had_absences and f"{index}/{NEXT_ABSENT}" not in arrays:
                # Its memory may be shared with other replicas', and holds what was there before.
                self._columns.setdefault(agent, {})
                self.add_absences(agent)
                self._columns[agent][NEXT_ABSENT][:size] = False
        self._rng.bit_generator.state = manifest["rng"]

    def get_ctor_args_and_kwargs(self) -> tuple[tuple, dict[str, Any]]:
        """What RLlib stores to build an equal buffer."""
        return (self.capacity, self._action_spaces), {
            "opponent_groups": self._opponent_groups,
            "observation_spaces": self._observation_spaces,
        }


def _newest(array: np.ndarray, count: int) -> np.ndarray:
    return array[len(array) - count :]
