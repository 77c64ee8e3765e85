"""Prioritised replay: transitions are drawn the more often the more wrong Q was there.

Schaul et al., *Prioritized experience replay*, ICLR 2016 (arXiv:1511.05952), the proportional
variant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.joint_action.replay.samplers import Drawn, UniformSampler
from rommeo_rllib.joint_action.replay.storage import ABSENT, JointStorage
from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.naming import reject_unknown_keys, shown
from rommeo_rllib.schedules import Schedule, make_schedule

_SMALLEST_ERROR = 1e-6
"""Added to TD errors, so that no transition is out of reach."""

PRIORITY = "priority"
"""Name of the stored column."""

BYTES_OF_PRIORITIES = 32
"""That an agent's transition takes at most, beside its columns."""

DEFAULTS = {"alpha": 0.6, "beta": 0.4}


def prioritized(spec: bool | Mapping[str, Any], name: str) -> Callable[..., UniformSampler]:
    """What makes the sampler that a setting asks for, from a storage and a seed.

    Args:
        spec: False for a uniform one, True for `DEFAULTS`, or a dict with changes of these: "alpha"
            in [0, 1], "beta" a number in [0, 1] or a schedule of such.
        name: the configuration's key, for error messages.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    if isinstance(spec, bool):
        spec = DEFAULTS if spec else {}
        if not spec:
            return UniformSampler
    if not isinstance(spec, Mapping):
        allowed = 'True, False, or a dict of "alpha" and "beta"'
        raise ValueError(f"`{name}` is {shown(spec)}; allowed: {allowed}.")
    reject_unknown_keys(spec, DEFAULTS, name)
    alpha, beta = ({**DEFAULTS, **spec}[key] for key in DEFAULTS)
    if not (is_finite_number(alpha) and 0 <= alpha <= 1):
        raise ValueError(f"`{name}['alpha']` is {shown(alpha)}; allowed: a number in [0, 1].")
    schedule = make_schedule(beta, f"{name}['beta']", allow_zero=True)
    if max(schedule.value(0), schedule.value(sys.maxsize)) > 1:
        raise ValueError(f"`{name}['beta']` is {shown(beta)}; allowed: values in [0, 1].")
    return partial(PrioritizedSampler, alpha=alpha, beta=schedule)


class PrioritizedSampler(UniformSampler):
    """Draws a transition with a probability proportional to (its TD error) ** alpha.

    A transition that was never drawn counts as the greatest so far. Rows of recent steps, from
    which an opponent prior learns, are drawn uniformly as ever.

    Args:
        storage: what is drawn from.
        seed: of the first replica's random numbers; the others count up from it.
        alpha: how much errors count; 0 draws uniformly.
        beta: how far weights in Q's loss make up for that, from 0 (not at all) to 1 (fully).
    """

    WEIGHS = True

    def __init__(
        self, storage: JointStorage, seed: int | None = None, *, alpha: float, beta: Schedule
    ):
        super().__init__(storage, seed)
        self._alpha, self._beta = alpha, beta
        # Of transitions by agent and the number of the policy that acted for it.
        self._trees: dict[tuple[AgentID, int], SumTrees] = {}
        self._greatest = np.ones(storage.replicas)

    def draw(self, policy: str, replica: int, size: int, env_steps: int = 0) -> list[Drawn]:
        """Rows in which the policy acted, weighted; see `UniformSampler.draw`."""
        if policy not in self.storage.policies:
            return []
        number = self.storage.policies.index(policy)
        found = [
            (agent, self._trees[agent, number])
            for agent in self.storage.agents
            if (agent, number) in self._trees and self._trees[agent, number].total(replica) > 0.0
        ]
        if not found:
            return []
        totals = np.array([tree.total(replica) for _, tree in found])
        rng, total = self.rngs[replica], totals.sum()
        shares = [size] if len(found) == 1 else rng.multinomial(size, totals / total)
        count = sum(int(self.storage.counts[agent][replica, number]) for agent, _ in found)
        beta = self._beta.value(env_steps)
        drawn = []
        for (agent, tree), share in zip(found, shares, strict=True):
            if share:
                rows = tree.draw(replica, rng.random(int(share)))
                weights = (count * tree.values(replica, rows) / total) ** -beta
                drawn.append((agent, rows + replica * self.storage.capacity, weights))
        greatest = max(weights.max() for *_, weights in drawn)
        return [
            Drawn(agent, rows, (weights / greatest).astype(np.float32))
            for agent, rows, weights in drawn
        ]

    def note_added(self, rows: np.ndarray) -> None:
        """New transitions count as the greatest so far; those that were there before are gone."""
        replicas = rows // self.storage.capacity
        for agent in self.storage.agents:
            acted_by = self.storage.acted_by[agent][rows]
            for number in np.unique(acted_by[acted_by != ABSENT]).tolist():
                if (agent, number) not in self._trees:
                    size = (self.storage.replicas, self.storage.capacity)
                    self._trees[agent, number] = SumTrees(*size)
            for (owner, number), tree in self._trees.items():
                if owner == agent:
                    priorities = np.where(acted_by == number, self._greatest[replicas], 0.0)
                    tree.put(replicas, rows % self.storage.capacity, priorities)

    def note_errors(self, agent: AgentID, rows: np.ndarray, errors: np.ndarray) -> None:
        """Takes up how wrong Q was; see `UniformSampler.note_errors`."""
        # What has diverged is told by the learner.
        errors = np.nan_to_num(errors.astype(np.float64))
        priorities = (np.abs(errors) + _SMALLEST_ERROR) ** self._alpha
        replicas, acted_by = rows // self.storage.capacity, self.storage.acted_by[agent][rows]
        for number in np.unique(acted_by[acted_by != ABSENT]).tolist():
            of = acted_by == number
            places = rows[of] % self.storage.capacity
            self._trees[agent, number].put(replicas[of], places, priorities[of])
        np.maximum.at(self._greatest, replicas, priorities)

    def get_state(self, replica: int) -> dict[str, Any]:
        """Random numbers, and the priority of each stored transition."""
        state = super().get_state(replica)
        rows = self.storage.newest(replica, np.arange(self.storage.sizes[replica])[::-1])
        for index, agent in enumerate(self.storage.agents):
            priorities = np.zeros(len(rows))
            for (owner, _), tree in self._trees.items():
                if owner == agent:
                    priorities += tree.values(replica, rows % self.storage.capacity)
            state["arrays"][f"{index}/{PRIORITY}"] = priorities
        state["manifest"]["greatest_priority"] = float(self._greatest[replica])
        return state

    def set_state(self, replica: int, state: Mapping[str, Any]) -> None:
        """Takes up priorities; those that are not stored are the greatest."""
        super().set_state(replica, state)
        self._greatest[replica] = state["manifest"].get("greatest_priority", 1.0)
        for tree in self._trees.values():
            tree.clear(replica)
        rows = self.storage.newest(replica, np.arange(self.storage.sizes[replica])[::-1])
        self.note_added(rows)
        replicas = np.full(len(rows), replica)
        for index, agent in enumerate(self.storage.agents):
            stored = state["arrays"].get(f"{index}/{PRIORITY}")
            for (owner, number), tree in self._trees.items():
                if owner == agent and stored is not None:
                    of_policy = self.storage.acted_by[agent][rows] == number
                    priorities = np.where(of_policy, stored[len(stored) - len(rows) :], 0.0)
                    tree.put(replicas, rows % self.storage.capacity, priorities)


class SumTrees:
    """A sum tree for each replica, over as many places: draws a place in proportion to its value.

    Args:
        replicas: number of trees.
        places: number of values of each.
    """

    def __init__(self, replicas: int, places: int):
        self._leaves = 1 << max(places - 1, 0).bit_length()
        # Node n is the sum of nodes 2n and 2n + 1; node 1 is the root.
        self._nodes = np.zeros((replicas, 2 * self._leaves))

    def total(self, replica: int) -> float:
        """The sum of a replica's values."""
        return float(self._nodes[replica, 1])

    def values(self, replica: int, places: np.ndarray) -> np.ndarray:
        """The values at `places`, of the same shape."""
        return self._nodes[replica, places + self._leaves]

    def put(self, replicas: np.ndarray, places: np.ndarray, values: np.ndarray) -> None:
        """Sets values, all (N,); of a place that is there twice the last one counts."""
        nodes = places + self._leaves
        self._nodes[replicas, nodes] = values
        for _ in range(self._leaves.bit_length() - 1):
            nodes = nodes // 2
            self._nodes[replicas, nodes] = (
                self._nodes[replicas, 2 * nodes] + self._nodes[replicas, 2 * nodes + 1]
            )

    def clear(self, replica: int) -> None:
        """Sets a replica's values to 0."""
        self._nodes[replica] = 0.0

    def draw(self, replica: int, uniform: np.ndarray) -> np.ndarray:
        """Places, (N,), for uniform random numbers in [0, 1), (N,)."""
        tree = self._nodes[replica]
        left_over = uniform * tree[1]
        nodes = np.ones(len(uniform), np.int64)
        while nodes[0] < self._leaves:
            left = tree[2 * nodes]
            # Rounding must not lead to a place whose value is 0.
            goes_right = (left_over >= left) & (tree[2 * nodes + 1] > 0.0)
            left_over = left_over - np.where(goes_right, left, 0.0)
            nodes = 2 * nodes + goes_right
        return nodes - self._leaves
