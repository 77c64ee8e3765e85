"""Storage of joint transitions: rings of contiguous arrays, one ring for each replica."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns

from rommeo_rllib.components import action_size
from rommeo_rllib.joint_action.replay.columns import NEXT_ABSENT, SUCCESSOR, TRANSITION_COLUMNS
from rommeo_rllib.joint_action.replay.transitions import AgentTransitions, JointSteps
from rommeo_rllib.joint_action.spaces.agents import AgentID, sorted_agents
from rommeo_rllib.joint_action.spaces.encoding import action_components, is_supported
from rommeo_rllib.joint_action.spaces.packing import packed_dtype, packed_shape
from rommeo_rllib.process_memory import lazy_zeros

ABSENT = -1
"""Stands in place of a policy's number where an agent did not act."""

NO_SUCCESSOR = -1
_Place: TypeAlias = tuple[str, int]
"""An episode, and which of an agent's transitions in it."""

BYTES_OF_LINKS = 8
"""That an agent's transition takes, where successors are linked."""


class JointStorage:
    """Rings of joint transitions: a row an env step, with the transitions of all who acted.

    Rows of all replicas stand in common arrays: the ring of replica r takes up `capacity` rows from
    row r * capacity on. Memory is the raw arrays' and grows linearly with the number of agents.

    Args:
        capacity: env steps kept of each replica; the oldest goes first.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        observation_spaces: what is stored of each agent's observations; without it columns have the
            shapes and types of the first values.
        replicas: number of rings.
        links: whether to note where each agent's next transition stands.

    Attributes:
        agents: all agents, sorted.
        columns: for each agent its columns, (replicas * capacity, ...).
        policies: the policies that have acted, by their numbers.
        acted_by: for each agent and row the number of the policy that acted, or ABSENT.
        counts: for each agent how many rows of each replica each policy acted in,
            (replicas, policies + 1); ABSENT, -1, is the last entry.
        sizes: rows in use of each replica, (replicas,).
        written: env steps ever stored of each replica, (replicas,).

    Raises:
        ValueError: if `capacity` is not positive.
    """

    def __init__(
        self,
        capacity: int,
        action_spaces: Mapping[AgentID, gym.Space],
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
        replicas: int = 1,
        *,
        links: bool = False,
    ):
        if capacity < 1:
            raise ValueError(f"`capacity` is {capacity}; allowed: at least 1 env step.")
        self.capacity, self.replicas, self.links = capacity, replicas, links
        self.agents = sorted_agents(action_spaces)
        self.action_spaces = dict(action_spaces)
        # An agent whose policy is of another kind may observe anything.
        self.observation_spaces = {
            agent: space
            for agent, space in (observation_spaces or {}).items()
            if is_supported(space)
        }
        self.action_sizes = {
            agent: action_size(action_components(space, f"Agent {agent!r}"))
            for agent, space in action_spaces.items()
        }
        rows = replicas * capacity
        self.columns: dict[AgentID, dict[str, np.ndarray]] = {}
        self.acted_by = {agent: np.full(rows, ABSENT, np.int16) for agent in self.agents}
        self.counts = {agent: np.zeros((replicas, 1), np.int64) for agent in self.agents}
        self.policies: list[str] = []
        self.sizes = np.zeros(replicas, np.int64)
        self.written = np.zeros(replicas, np.int64)
        # For each replica and agent the transitions that lack a neighbour: where they stand, as
        # env steps ever stored, and how many they lack.
        self._unlinked: list[dict[AgentID, OrderedDict[_Place, list[int]]]] = [
            {agent: OrderedDict() for agent in self.agents} for _ in range(replicas)
        ]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays at full capacity."""
        columns = [array for agent in self.columns.values() for array in agent.values()]
        return sum(array.nbytes for array in (*columns, *self.acted_by.values()))

    def add(self, steps: JointSteps) -> np.ndarray:
        """Stores joint transitions.

        Returns:
            The rows that have been written.

        Raises:
            ValueError: if an agent is not among the environment's, or a value does not fit.
        """
        unknown = steps.agents.keys() - self.acted_by.keys()
        if unknown:
            raise ValueError(
                f"Agent {sorted_agents(unknown)[0]!r} acted, but the environment's "
                f"`possible_agents` are {self.agents}."
            )
        replicas = range(steps.replica, steps.replica + steps.replicas)
        starts = self.written[replicas.start : replicas.stop] % self.capacity
        if len(replicas) > 1 and (starts != starts[0]).any():
            return np.concatenate([self.add(steps.of(index)) for index in range(steps.replicas)])
        # More steps than fit: only the newest can stay.
        dropped = max(steps.length - self.capacity, 0)
        rows = (int(starts[0]) + np.arange(dropped, steps.length)) % self.capacity
        written = self._in_all(replicas, rows)
        for agent in self.agents:
            policies = np.full(len(rows), ABSENT, np.int16)
            if agent in steps.agents:
                transitions = steps.agents[agent]
                kept = transitions.rows >= dropped if dropped else None
                acted = transitions.rows if kept is None else transitions.rows[kept] - dropped
                policies[acted] = self._policy_number(transitions.policy)
                target = self._in_all(replicas, rows[acted])
                self._write(agent, transitions, steps.replicas, kept, target)
                if self.links and transitions.episodes:
                    for replica in replicas:
                        self._link(agent, replica, steps, dropped)
            self._mark(agent, replicas, written, policies)
        self.written[replicas.start : replicas.stop] += steps.length
        np.minimum(self.written, self.capacity, out=self.sizes)
        return written

    def newest(self, replica: int, age: np.ndarray) -> np.ndarray:
        """Rows of a replica by their age: 0 for the newest."""
        row = (int(self.written[replica]) - 1 - age) % self.capacity
        return row + replica * self.capacity if replica else row

    def acts_always(self, agent: AgentID) -> bool:
        """Whether one policy has acted for the agent in all rows of every replica."""
        counts = self.counts[agent][:, :-1]
        if counts.shape[1] == 1:
            return bool((counts[:, 0] == self.sizes).all())
        return bool(counts.shape[1]) and bool((counts.max(axis=1) == self.sizes).all())

    def present(self, agent: AgentID, rows: np.ndarray) -> np.ndarray:
        """Whether the agent acted, for each of the rows."""
        if self.acts_always(agent):
            return np.ones(len(rows), bool)
        return self.acted_by[agent][rows] != ABSENT

    def next_own_rows(self, agent: AgentID, rows: np.ndarray) -> np.ndarray:
        """Where the agent's next transition in the same episode stands; -1 if that is not there."""
        replicas = rows // self.capacity
        successors = self.columns[agent][SUCCESSOR][rows]
        stored = successors >= self.written[replicas] - self.sizes[replicas]
        found = successors % self.capacity + replicas * self.capacity
        return np.where(stored & (successors != NO_SUCCESSOR), found, -1)

    def _in_all(self, replicas: range, rows: np.ndarray) -> np.ndarray:
        """Rows of a ring as rows of the arrays, one replica's after the other."""
        if replicas == range(1):
            return rows
        return (np.array(replicas)[:, np.newaxis] * self.capacity + rows).ravel()

    def _write(
        self,
        agent: AgentID,
        transitions: AgentTransitions,
        replicas: int,
        kept: np.ndarray | None,
        target: np.ndarray,
    ) -> None:
        if kept is not None and replicas > 1:
            kept = np.tile(kept, replicas)
        values = dict(zip(TRANSITION_COLUMNS, transitions.columns(), strict=True))
        columns = self.columns.setdefault(agent, {})
        for name, value in values.items():
            if name not in columns:
                self.add_column(agent, name, value.shape[1:], value.dtype)
            fitting = self.fitting(agent, name, value, columns[name])
            columns[name][target] = fitting if kept is None else fitting[kept]
        absent = self._absences(transitions)
        if absent is not None:
            self.add_absences(agent)
            columns[NEXT_ABSENT][target] = absent if kept is None else absent[kept]
        elif NEXT_ABSENT in columns:
            columns[NEXT_ABSENT][target] = False
        if self.links:
            self.add_successors(agent)
            columns[SUCCESSOR][target] = NO_SUCCESSOR

    def _link(self, agent: AgentID, replica: int, steps: JointSteps, dropped: int) -> None:
        """Tells transitions of one replica where their successors are, and its predecessors."""
        transitions = steps.agents[agent]
        unlinked, successors = self._unlinked[replica][agent], self.columns[agent][SUCCESSOR]
        first = int(self.written[replica])
        base = replica * self.capacity
        part = slice(*(len(transitions.rows) * (replica - steps.replica + i) for i in (0, 1)))
        columns = (transitions.episodes, transitions.numbers, transitions.terminated)
        of_replica = (column[part] for column in columns)
        for row, episode, number, terminated in zip(transitions.rows, *of_replica, strict=True):
            if row < dropped:
                continue
            at = first + int(row)
            lacks = 2 - (number == 0) - bool(terminated)
            before = unlinked.get((episode, number - 1))
            if before is not None:
                successors[base + before[0] % self.capacity] = at
                self._has_neighbour(unlinked, (episode, number - 1))
                lacks -= 1
            # Steps at which somebody waits for an outcome come late.
            after = unlinked.get((episode, number + 1))
            if after is not None:
                successors[base + at % self.capacity] = after[0]
                self._has_neighbour(unlinked, (episode, number + 1))
                lacks -= 1
            if lacks > 0:
                unlinked[episode, number] = [at, lacks]
        # Of episodes that were cut short; nobody comes after what has been overwritten.
        while unlinked and next(iter(unlinked.values()))[0] < first - self.capacity:
            unlinked.popitem(last=False)

    @staticmethod
    def _has_neighbour(unlinked: dict[_Place, list[int]], place: _Place) -> None:
        unlinked[place][1] -= 1
        if unlinked[place][1] == 0:
            del unlinked[place]

    def add_column(
        self, agent: AgentID, name: str, shape: tuple[int, ...], dtype: np.dtype
    ) -> None:
        """Makes an agent's column; its space, if it has one, says what that holds."""
        space, is_action = self.space_of(agent, name)
        if space is not None:
            shape, dtype = packed_shape(space), packed_dtype(space, is_action=is_action)
        array = lazy_zeros((self.replicas * self.capacity, *shape), dtype)
        self.columns.setdefault(agent, {})[name] = array

    def add_absences(self, agent: AgentID) -> None:
        """Makes the column of who is absent at an agent's next steps, if there is none yet."""
        if NEXT_ABSENT not in self.columns[agent]:
            self.add_column(agent, NEXT_ABSENT, (len(self.agents),), np.dtype(bool))

    def add_successors(self, agent: AgentID) -> None:
        """Makes the column of where an agent's next transitions stand, if there is none yet."""
        if SUCCESSOR not in self.columns[agent]:
            self.add_column(agent, SUCCESSOR, (), np.dtype(np.int64))
            self.columns[agent][SUCCESSOR][:] = NO_SUCCESSOR

    def space_of(self, agent: AgentID, name: str) -> tuple[gym.Space | None, bool]:
        """The space of a column's values, if they have one, and whether it is of actions."""
        if name == Columns.ACTIONS:
            return self.action_spaces[agent], True
        if name in (Columns.OBS, Columns.NEXT_OBS):
            return self.observation_spaces.get(agent), False
        return None, False

    def fitting(
        self, agent: AgentID, name: str, values: np.ndarray, column: np.ndarray
    ) -> np.ndarray:
        """Values in the column's type; a ValueError if they do not fit into it as they are.

        What environments return has been converted before; connectors and policies of another kind
        may bring anything.
        """
        if values.dtype == column.dtype and values.shape[1:] == column.shape[1:]:
            return values
        space, _ = self.space_of(agent, name)
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

    def _absences(self, transitions: AgentTransitions) -> np.ndarray | None:
        """Who does not act at each transition's next step, (rows, agents); None for nobody."""
        if set(map(len, transitions.next_acting)) == {len(self.agents)}:
            return None
        return np.array(
            [[agent not in acting for agent in self.agents] for acting in transitions.next_acting]
        )

    def _mark(
        self, agent: AgentID, replicas: range, rows: np.ndarray, policies: np.ndarray
    ) -> None:
        """Notes who acted for `agent` at `rows`, and keeps count of how often each did."""
        acted_by, counts = self.acted_by[agent], self.counts[agent]
        if len(replicas) == 1:
            np.subtract.at(counts[replicas.start], acted_by[rows], 1)
            np.add.at(counts[replicas.start], policies, 1)
            acted_by[rows] = policies
            return
        of_replicas = np.repeat(replicas, len(policies))
        policies = np.tile(policies, len(replicas))
        np.subtract.at(counts, (of_replicas, acted_by[rows]), 1)
        np.add.at(counts, (of_replicas, policies), 1)
        acted_by[rows] = policies

    def _policy_number(self, policy: str) -> int:
        if policy not in self.policies:
            self.policies.append(policy)
            for agent, counts in self.counts.items():
                # The last entry is that of ABSENT.
                self.counts[agent] = np.insert(counts, counts.shape[1] - 1, 0, axis=1)
        return self.policies.index(policy)

    # Checkpoints: one replica's at a time.

    def get_state(self, replica: int) -> dict[str, Any]:
        """A replica's transitions, oldest first: `arrays` by name, and a `manifest` for JSON."""
        size = int(self.sizes[replica])
        rows = self.newest(replica, np.arange(size)[::-1])
        oldest = int(self.written[replica]) - size
        arrays = {}
        for index, agent in enumerate(self.agents):
            arrays[f"{index}/acted_by"] = self.acted_by[agent][rows]
            for name, column in self.columns.get(agent, {}).items():
                stored = column[rows]
                if name == SUCCESSOR:
                    stored = np.where(stored >= oldest, stored - oldest, NO_SUCCESSOR)
                elif name == NEXT_ABSENT and self.replicas > 1 and not stored.any():
                    continue  # It is there for another replica's sake.
                arrays[f"{index}/{name}"] = stored
        manifest = {
            "agents": [str(agent) for agent in self.agents],
            "policies": self.policies,
            "size": size,
        }
        if self.links:
            manifest["unlinked"] = [
                [
                    [*place, at - oldest, lacks]
                    for place, (at, lacks) in self._unlinked[replica][agent].items()
                    if at >= oldest
                ]
                for agent in self.agents
            ]
        return {"arrays": arrays, "manifest": manifest}

    def set_state(self, replica: int, state: Mapping[str, Any]) -> None:
        """Replaces a replica's content; of more rows than fit, the newest are kept.

        Raises:
            ValueError: if the state is of other agents, or its arrays do not fit together.
        """
        manifest, arrays = state["manifest"], state["arrays"]
        self._check_state(manifest, arrays)
        if self.replicas == 1:
            self.columns.clear()  # What has no declared space may have other shapes.
        size = min(manifest["size"], self.capacity)
        lost = manifest["size"] - size
        for policy in manifest["policies"]:
            self._policy_number(policy)
        numbers = np.array([*map(self.policies.index, manifest["policies"]), ABSENT], np.int16)
        self.written[replica] = self.sizes[replica] = size
        own = np.arange(self.capacity) + replica * self.capacity
        rows = own[:size]
        for index, agent in enumerate(self.agents):
            self.acted_by[agent][own] = ABSENT
            self.counts[agent][replica] = 0
            self._unlinked[replica][agent] = OrderedDict()
            stored = arrays[f"{index}/acted_by"][lost:]
            np.add.at(self.counts[agent][replica], numbers[stored], 1)
            self.acted_by[agent][rows] = numbers[stored]
            for name in (*TRANSITION_COLUMNS, NEXT_ABSENT):
                if f"{index}/{name}" in arrays:
                    stored = arrays[f"{index}/{name}"][lost:]
                    if name not in self.columns.get(agent, {}):
                        self.add_column(agent, name, stored.shape[1:], stored.dtype)
                    column = self.columns[agent][name]
                    column[rows] = self.fitting(agent, name, stored, column)
                elif name == NEXT_ABSENT and name in self.columns.get(agent, {}):
                    self.columns[agent][name][rows] = False
            if self.links and agent in self.columns:
                self.add_successors(agent)
                stored = arrays.get(f"{index}/{SUCCESSOR}", np.full(manifest["size"], -1))[lost:]
                known = np.where(stored >= lost, stored - lost, NO_SUCCESSOR)
                self.columns[agent][SUCCESSOR][own] = NO_SUCCESSOR
                self.columns[agent][SUCCESSOR][rows] = known
        if self.links:
            for agent, unlinked in zip(self.agents, manifest.get("unlinked", ()), strict=False):
                self._unlinked[replica][agent] = OrderedDict(
                    ((episode, number), [at - lost, lacks])
                    for episode, number, at, lacks in unlinked
                    if at >= lost
                )

    def _check_state(self, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
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
                space, is_action = self.space_of(agent, name)
                kind = "action" if is_action else "observation"
                if stored is None or space is None:
                    continue
                if stored.shape[1:] != packed_shape(space):
                    raise ValueError(
                        f"The stored replay has {name!r} of the shape {stored.shape[1:]} for agent "
                        f"{agent!r}, whose {kind} space is {space}."
                    )
