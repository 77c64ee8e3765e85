"""What the fast path writes down: rows of transitions, and the same in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from rommeo_rllib.joint_action.replay.transitions import AgentTransitions, JointSteps
from rommeo_rllib.joint_action.spaces.agents import AgentID


@dataclass(slots=True)
class Transition:
    """One agent's, begun at some joint step; complete once its outcome is known."""

    policy: str
    episode: str
    number: int
    obs: Any
    action: Any
    reward: float = 0.0
    next_obs: Any = None
    terminated: bool = False
    complete: bool = False
    next_acting: Set[AgentID] = frozenset()


Row: TypeAlias = dict[AgentID, Transition]
"""A joint step: the transitions of all who acted."""


def in_columns(rows_of: Sequence[Sequence[Row]]) -> list[JointSteps]:
    """Joint steps of the replicas, given the rows of each; those of all in common if possible."""
    together = _replica_steps(rows_of) if len(rows_of) > 1 else None
    if together is not None:
        return [together]
    return [
        steps
        for replica, rows in enumerate(rows_of)
        if rows
        for steps in _joint_steps(rows, replica)
    ]


def _replica_steps(rows_of: Sequence[Sequence[Row]]) -> JointSteps | None:
    """None unless all replicas have equally many rows, in which the same agents acted."""
    length = len(rows_of[0])
    if length == 0 or any(len(rows) != length for rows in rows_of):
        return None
    policies = {agent: transition.policy for agent, transition in rows_of[0][0].items()}
    every_row = [row for rows in rows_of for row in rows]
    for row in every_row:
        if {agent: transition.policy for agent, transition in row.items()} != policies:
            return None
    agents = {
        agent: _agent_transitions([row[agent] for row in every_row], np.arange(length))
        for agent in policies
    }
    return JointSteps(length, agents, replicas=len(rows_of))


def _joint_steps(rows: Sequence[Row], replica: int) -> Iterator[JointSteps]:
    """Rows in columns; cut where an agent changes its policy, as it may between episodes."""
    start = 0
    policies: dict[AgentID, str] = {}
    for index, row in enumerate(rows):
        if any(policies.setdefault(a, t.policy) != t.policy for a, t in row.items()):
            yield _of_one_replica(rows[start:index], replica)
            start, policies = index, {a: t.policy for a, t in row.items()}
    yield _of_one_replica(rows[start:], replica)


def _of_one_replica(rows: Sequence[Row], replica: int) -> JointSteps:
    numbered: dict[AgentID, list[tuple[int, Transition]]] = {}
    for index, row in enumerate(rows):
        for agent, transition in row.items():
            numbered.setdefault(agent, []).append((index, transition))
    agents = {
        agent: _agent_transitions(
            [transition for _, transition in pairs], np.array([index for index, _ in pairs])
        )
        for agent, pairs in numbered.items()
    }
    return JointSteps(len(rows), agents, replica)


def _agent_transitions(transitions: Sequence[Transition], rows: np.ndarray) -> AgentTransitions:
    return AgentTransitions(
        policy=transitions[0].policy,
        rows=rows,
        obs=np.array([t.obs for t in transitions]),
        actions=np.array([t.action for t in transitions]),
        rewards=np.array([t.reward for t in transitions], np.float32),
        next_obs=np.array([t.next_obs for t in transitions]),
        terminated=np.array([t.terminated for t in transitions], np.float32),
        next_acting=[t.next_acting for t in transitions],
        episodes=[t.episode for t in transitions],
        numbers=[t.number for t in transitions],
    )
