"""Which stored transitions a batch is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rommeo_rllib.joint_action.replay.storage import JointStorage
from rommeo_rllib.joint_action.spaces.agents import AgentID


@dataclass(frozen=True)
class Drawn:
    """Transitions of one agent.

    Attributes:
        agent: whose.
        rows: where they are stored, (rows,).
        weights: if they are drawn unevenly, their weights in Q's loss.
        horizons: how many own steps each looks ahead; None for one.
    """

    agent: AgentID
    rows: np.ndarray
    weights: np.ndarray | None = None
    horizons: np.ndarray | None = None


class UniformSampler:
    """Draws uniformly with replacement from the transitions that a policy has made.

    A sampler of another kind overrides `draw`; one that goes by TD errors sets `WEIGHS` and
    overrides `note_added` and `note_errors`, too.

    Args:
        storage: what is drawn from.
        seed: of the first replica's random numbers; the others count up from it.
    """

    WEIGHS = False
    """Whether rows have weights, and their TD errors are wanted."""

    def __init__(self, storage: JointStorage, seed: int | None = None):
        self.storage = storage
        self.rngs = [
            np.random.default_rng(None if seed is None else seed + replica)
            for replica in range(storage.replicas)
        ]

    def draw(self, policy: str, replica: int, size: int, env_steps: int = 0) -> list[Drawn]:
        """Rows in which the policy acted, by the agent that it acted for.

        Args:
            policy: whose transitions.
            replica: of which replica.
            size: how many.
            env_steps: the clock of schedules.

        Returns:
            Nothing if the policy has not acted yet.
        """
        return self.draw_uniformly(policy, replica, size)

    def draw_recent(self, policy: str, replica: int, size: int, window: int) -> list[Drawn]:
        """The same from the `window` newest rows, always uniformly."""
        return self.draw_uniformly(policy, replica, size, window)

    def draw_shared(self, policies: Sequence[str], replica: int, size: int) -> list[list[Drawn]]:
        """The same rows for all of the policies, drawn uniformly from those in which all acted.

        Returns:
            For each policy its agent's; nothing if there are no such rows, or a policy has acted
            for several agents.
        """
        storage, rows_in_use = self.storage, int(self.storage.sizes[replica])
        known = [policy for policy in policies if policy in storage.policies]
        number = {policy: storage.policies.index(policy) for policy in known}
        agents = {
            policy: [a for a in storage.agents if storage.counts[a][replica, number[policy]]]
            for policy in known
        }
        if len(known) < len(policies) or any(len(of_policy) != 1 for of_policy in agents.values()):
            return [[] for _ in policies]
        rows = storage.newest(replica, np.arange(rows_in_use))
        for policy, (agent,) in agents.items():
            rows = rows[storage.acted_by[agent][rows] == number[policy]]
        if not len(rows):
            return [[] for _ in policies]
        rows = self.rngs[replica].choice(rows, size)
        return [[Drawn(agents[policy][0], rows)] for policy in policies]

    def note_added(self, rows: np.ndarray) -> None:
        """Called when joint steps have been stored in these rows."""

    def note_errors(self, agent: AgentID, rows: np.ndarray, errors: np.ndarray) -> None:
        """Called with the TD errors of rows that were drawn, (rows,); a row may be there twice."""

    def get_state(self, replica: int) -> dict[str, Any]:
        """What a restored replica continues with: `arrays` as storage's, and a `manifest`."""
        return {"arrays": {}, "manifest": {"rng": self.rngs[replica].bit_generator.state}}

    def set_state(self, replica: int, state: Mapping[str, Any]) -> None:
        """Takes up a state of :meth:`get_state`, after the storage."""
        self.rngs[replica].bit_generator.state = state["manifest"]["rng"]

    def draw_uniformly(
        self, policy: str, replica: int, size: int, window: int | None = None
    ) -> list[Drawn]:
        """Rows in which the policy acted, among the `window` newest."""
        storage, rng = self.storage, self.rngs[replica]
        if policy not in storage.policies:
            return []
        in_use = int(storage.sizes[replica])
        window = in_use if window is None else min(window, in_use)
        number = storage.policies.index(policy)
        found = [
            (agent, count)
            for agent in storage.agents
            if (count := self._count(agent, number, replica, window))
        ]
        if not found:
            return []
        if len(found) == 1:
            shares = [size]
        else:
            total = sum(count for _, count in found)
            shares = rng.multinomial(size, [count / total for _, count in found]).tolist()
        return [
            Drawn(agent, self._rows(agent, number, replica, share, count, window))
            for (agent, count), share in zip(found, shares, strict=True)
            if share
        ]

    def _count(self, agent: AgentID, number: int, replica: int, window: int) -> int:
        """In how many of the `window` newest rows the policy acted for `agent`."""
        count = int(self.storage.counts[agent][replica, number])
        if window == self.storage.sizes[replica] or count == 0:
            return count
        rows = self.storage.newest(replica, np.arange(window))
        return int(np.count_nonzero(self.storage.acted_by[agent][rows] == number))

    def _rows(
        self, agent: AgentID, number: int, replica: int, size: int, count: int, window: int
    ) -> np.ndarray:
        acted_by, rng = self.storage.acted_by[agent], self.rngs[replica]
        if count == window:
            return self.storage.newest(replica, rng.integers(window, size=size))
        found: list[np.ndarray] = []
        missing = size
        while missing > 0:
            age = rng.integers(window, size=-(-missing * window // count))
            rows = self.storage.newest(replica, age)
            rows = rows[acted_by[rows] == number][:missing]
            found.append(rows)
            missing -= len(rows)
        return np.concatenate(found)
