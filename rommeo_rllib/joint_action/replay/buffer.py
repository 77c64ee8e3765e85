"""Replay of joint transitions: batches are drawn from a ring of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns

from rommeo_rllib.joint_action.replay.columns import (
    OPPONENT_ACTIONS,
    RECENT,
    TRANSITION_COLUMNS,
    Batch,
    gather,
    next_opponent_mask,
    opponent_column,
    own_columns,
)
from rommeo_rllib.joint_action.replay.ring import ABSENT, ReplayRing
from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.joint_action.spaces.encoding import encode_actions
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.spaces.packing import blank


class JointReplayBuffer(ReplayRing):
    """Draws a batch for each policy, aligned by env step; arguments are those of the ring."""

    def sample(
        self,
        policies: Iterable[str],
        batch_size: int,
        recent_window: int | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
    ) -> dict[str, Batch]:
        """A batch for each policy, drawn uniformly with replacement from the steps it acted in.

        Args:
            policies: policy ids; one that has not acted yet gets no batch.
            batch_size: rows of each batch.
            recent_window: if given, as many rows again, under names that begin with `RECENT`, are
                drawn from this many most recent env steps.
            observation_spaces: if given, those of all agents: batches then also have what each
                opponent observed, under the names that `opponent_column` gives.

        Returns:
            For each policy: obs, actions, rewards, new_obs, terminateds, opponent_actions,
            opponent_mask, next_opponent_mask. All have `batch_size` rows, aligned by env step;
            actions are as the networks see them.
        """
        batches = {}
        for policy in policies:
            picked = self._draw(policy, batch_size, self._size)
            if not picked:
                continue
            batches[policy] = self._gather(picked, TRANSITION_COLUMNS)
            if observation_spaces is not None:
                batches[policy] |= self._opponent_observations(picked, observation_spaces)
                # What a newcomer will observe is not among what those who act now see next.
                batches[policy][NEXT_OPPONENT_MASK] *= batches[policy][OPPONENT_MASK]
            if recent_window is not None:
                # A policy that has been absent of late learns from all that it has seen.
                recent = self._draw(policy, batch_size, min(recent_window, self._size)) or picked
                columns = self._gather(recent, (Columns.OBS,))
                batches[policy] |= {RECENT + name: column for name, column in columns.items()}
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
        return (self.next_row - 1 - age) % self.capacity

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
        rows = (self.next_row - 1 - np.arange(window)) % self.capacity
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
            return own_columns(self._columns[agent], self._action_spaces[agent], rows, columns)
        present = [self._present(opponent, rows) for opponent in opponents]
        if all(acted.all() for acted in present):
            numbers = self._opponent_numbers[agent]
            return gather(
                self._columns, self._action_spaces, agent, opponents, numbers, rows, columns
            )
        batch = own_columns(self._columns[agent], self._action_spaces[agent], rows, columns)
        actions = [
            self._opponent_actions(opponent, rows, acted)
            for opponent, acted in zip(opponents, present, strict=True)
        ]
        batch[OPPONENT_MASK] = np.stack(present, axis=-1).astype(np.float32)
        batch[NEXT_OPPONENT_MASK] = next_opponent_mask(
            self._columns[agent], self._opponent_numbers[agent], rows
        )
        batch[OPPONENT_ACTIONS] = np.concatenate(actions, -1)
        return batch

    def _present(self, agent: AgentID, rows: np.ndarray) -> np.ndarray:
        """Whether `agent` acted, for each of `rows`."""
        if self._counts[agent][:-1].max(initial=0) == self._size:
            return np.ones(len(rows), bool)
        return self._acted_by[agent][rows] != ABSENT

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
