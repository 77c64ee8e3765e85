"""Replay of all replicas of a game: a buffer for each, drawn from together where possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.columns import (
    NEXT_ABSENT,
    RECENT,
    TRANSITION_COLUMNS,
    Batch,
    ColumnName,
    gather,
    opponent_column,
)
from rommeo_rllib.joint_action.replay.transitions import ReplicaSteps
from rommeo_rllib.joint_action.spaces.agents import AgentID, OpponentGroups, whom_each_models
from rommeo_rllib.joint_action.spaces.replicas import ReplicaBatches, replica_id
from rommeo_rllib.process_memory import lazy_zeros


class ReplicaReplay:
    """The replay buffers of all replicas.

    Their arrays are parts of common ones: while every agent of every replica acts at every env
    step, one look-up serves all replicas. What is drawn is what each buffer would draw by itself.

    Args:
        replicas: their number.
        capacity: env steps that each buffer keeps.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        seed: of the first buffer; the others count up from it.
        opponent_groups: for some agents, whom they model; all others model everybody.
        observation_spaces: what is stored of each agent's observations.

    Attributes:
        buffers: one a replica.
    """

    def __init__(
        self,
        replicas: int,
        capacity: int,
        action_spaces: Mapping[AgentID, gym.Space],
        seed: int | None,
        opponent_groups: OpponentGroups | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
    ):
        self._capacity = capacity
        self._action_spaces = dict(action_spaces)
        self._modelled = whom_each_models(action_spaces, opponent_groups)
        self._numbers = {agent: number for number, agent in enumerate(self._modelled)}
        self._common: dict[ColumnName, np.ndarray] = {}
        self._is_common = True
        self.buffers = [
            JointReplayBuffer(
                capacity,
                action_spaces,
                None if seed is None else seed + replica,
                partial(self._allocate, replica, replicas),
                opponent_groups,
                observation_spaces,
            )
            for replica in range(replicas)
        ]

    def sample(
        self,
        policies: Sequence[str],
        batch_size: int,
        recent_window: int | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
    ) -> Mapping[str, Batch]:
        """A batch for each replica of each policy, by module id; see `JointReplayBuffer.sample`."""
        agents = [buffer.sole_agents(policies) for buffer in self.buffers]
        first, size = agents[0], len(self.buffers[0])
        alike = all(len(buffer) == size for buffer in self.buffers)
        if first is None or not (self._is_common and alike and all(a == first for a in agents)):
            return {
                replica_id(policy, replica): columns
                for replica, buffer in enumerate(self.buffers)
                for policy, columns in buffer.sample(
                    policies, batch_size, recent_window, observation_spaces
                ).items()
            }
        windows = [size] if recent_window is None else [size, min(recent_window, size)]
        # (replicas, policies, windows, rows), as rows of the common arrays.
        rows = np.array(
            [
                [[buffer.draw_rows(batch_size, window) for window in windows] for _ in policies]
                for buffer in self.buffers
            ]
        )
        rows += self._capacity * np.arange(len(self.buffers)).reshape(-1, 1, 1, 1)
        return ReplicaBatches(
            {
                policy: self._gather(first[policy], rows[:, index], observation_spaces is not None)
                for index, policy in enumerate(policies)
            }
        )

    def add_steps(self, steps: ReplicaSteps) -> None:
        """Stores joint steps of all replicas, in one go if their buffers are filled alike."""
        rows = self._common_rows(steps)
        if rows is None:
            for replica, buffer in enumerate(self.buffers):
                buffer.add_steps(steps.of(replica))
            return
        for agent, transitions in steps.agents.items():
            columns = dict(zip(TRANSITION_COLUMNS, transitions.columns(), strict=True))
            absent = self.buffers[0].absences(transitions)
            if absent is not None:
                for buffer in self.buffers:
                    buffer.add_absences(agent)
                columns[NEXT_ABSENT] = absent
            elif (agent, NEXT_ABSENT) in self._common:
                self._common[agent, NEXT_ABSENT][:, rows] = False
            for name, values in columns.items():
                shape = (steps.replicas, steps.length, *values.shape[1:])
                self._common[agent, name][:, rows] = values.reshape(shape)
        policies = {agent: transitions.policy for agent, transitions in steps.agents.items()}
        for buffer in self.buffers:
            buffer.mark_written(rows, policies)

    def _common_rows(self, steps: ReplicaSteps) -> np.ndarray | None:
        """Where the steps go in each buffer; None if that differs, or if there are no arrays."""
        first = self.buffers[0].next_row
        alike = all(b.next_row == first and b.has_all_columns for b in self.buffers)
        everybody_acts = steps.agents.keys() == self._action_spaces.keys()
        fits = steps.length <= self._capacity
        if not (self._is_common and alike and everybody_acts and fits):
            return None
        return self.buffers[0].next_rows(steps.length)

    def _gather(
        self, agent: AgentID, rows: np.ndarray, opponents_observations: bool
    ) -> dict[str, np.ndarray]:
        """One policy's columns, (replicas, B, ...); `rows` is (replicas, windows, B)."""
        columns: dict[AgentID, dict[str, np.ndarray]] = {}
        for (owner, name), common in self._common.items():
            columns.setdefault(owner, {})[name] = common.reshape(-1, *common.shape[2:])
        opponents = self._modelled[agent]
        numbers = [self._numbers[opponent] for opponent in opponents]
        take = partial(gather, columns, self._action_spaces, agent, opponents, numbers)
        drawn = rows[:, 0].reshape(-1)
        batch = take(drawn, TRANSITION_COLUMNS)
        if opponents_observations:
            batch |= {
                opponent_column(name, number): columns[opponent][name][drawn]
                for number, opponent in enumerate(opponents)
                for name in (Columns.OBS, Columns.NEXT_OBS)
            }
        if rows.shape[1] > 1:
            recent = take(rows[:, 1].reshape(-1), (Columns.OBS,))
            batch |= {RECENT + name: column for name, column in recent.items()}
        shape = rows[:, 0].shape
        return {name: column.reshape(*shape, *column.shape[1:]) for name, column in batch.items()}

    def _allocate(
        self,
        replica: int,
        replicas: int,
        name: ColumnName,
        shape: tuple[int, ...],
        dtype: np.dtype,
    ) -> np.ndarray:
        # Not cleared for a buffer that is filled anew: its rows are written before they are read.
        if name not in self._common:
            self._common[name] = lazy_zeros((replicas, *shape), dtype)
        common = self._common[name]
        if common.shape[1:] != shape or common.dtype != dtype:
            self._is_common = False
            return lazy_zeros(shape, dtype)
        return common[replica]
