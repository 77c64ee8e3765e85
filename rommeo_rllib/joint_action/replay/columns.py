"""Columns of a batch: their names, and how they are gathered from replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns

from rommeo_rllib.joint_action.spaces.agents import AgentID
from rommeo_rllib.joint_action.spaces.encoding import encode_actions
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK

OPPONENT_ACTIONS = "opponent_actions"
"""All opponents' actions at the row's env step, as the networks see them; 0 where absent."""

RECENT = "recent_"
"""Prefix of the columns of rows that are drawn from the most recent ones."""

TRANSITION_COLUMNS = (
    Columns.OBS,
    Columns.ACTIONS,
    Columns.REWARDS,
    Columns.NEXT_OBS,
    Columns.TERMINATEDS,
)

NEXT_ABSENT = "next_absent"
"""For each agent of the environment whether it does not act at the row's next step, (agents,) bool.

The column is there only where somebody has ever been absent.
"""

Batch = dict[str, np.ndarray]


def opponent_column(name: str, number: int) -> str:
    """Name of a column ("obs", "new_obs") of an opponent, numbered in the order of opponents."""
    return f"opponent_{number}_{name}"


ColumnName: TypeAlias = tuple[AgentID, str]

Allocate: TypeAlias = Callable[[ColumnName, tuple[int, ...], np.dtype], np.ndarray]
"""Makes an array of zeros, given a column's name, shape and type."""


def gather(
    columns: Mapping[AgentID, Mapping[str, np.ndarray]],
    action_spaces: Mapping[AgentID, gym.Space],
    agent: AgentID,
    opponents: Sequence[AgentID],
    numbers: Sequence[int],
    rows: np.ndarray,
    names: Sequence[str],
) -> Batch:
    """One agent's batch from rows at which everybody acted; see :meth:`JointReplayBuffer.sample`.

    Args:
        columns: for each agent its columns, whose first axis `rows` counts.
        action_spaces: the action space of each agent.
        agent: whose batch.
        opponents: whom it models, in order.
        numbers: their places among all agents.
        rows: (B,).
        names: the columns wanted beside the opponents'.
    """
    batch = own_columns(columns[agent], action_spaces[agent], rows, names)
    actions = [
        encode_actions(action_spaces[o], columns[o][Columns.ACTIONS][rows]) for o in opponents
    ]
    batch[OPPONENT_MASK] = np.ones((len(rows), len(opponents)), np.float32)
    batch[NEXT_OPPONENT_MASK] = next_opponent_mask(columns[agent], numbers, rows)
    batch[OPPONENT_ACTIONS] = actions[0] if len(actions) == 1 else np.concatenate(actions, -1)
    return batch


def next_opponent_mask(
    own: Mapping[str, np.ndarray], numbers: Sequence[int], rows: np.ndarray
) -> np.ndarray:
    """1 for each opponent that acts at the agent's own next step, (B, opponents).

    Args:
        own: the agent's columns.
        numbers: the opponents' places among all agents.
        rows: (B,).
    """
    if NEXT_ABSENT not in own:
        return np.ones((len(rows), len(numbers)), np.float32)
    return (~own[NEXT_ABSENT][rows][:, list(numbers)]).astype(np.float32)


def own_columns(
    own: Mapping[str, np.ndarray], space: gym.Space, rows: np.ndarray, names: Sequence[str]
) -> Batch:
    """The columns `names` of an agent's own at `rows`, actions as the networks see them."""
    batch = {name: own[name][rows] for name in names}
    if Columns.ACTIONS in batch:
        batch[Columns.ACTIONS] = encode_actions(space, batch[Columns.ACTIONS])
    return batch
