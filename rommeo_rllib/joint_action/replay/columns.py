"""Names of the columns of replay and of its batches."""

from __future__ import annotations

import numpy as np
from ray.rllib.core.columns import Columns

OPPONENT_ACTIONS = "opponent_actions"
"""All opponents' actions at the row's env step, as the networks see them; 0 where absent."""

DISCOUNTS = "discounts"
"""What the value of the row's next state counts for, unless the episode terminated: gamma."""

INDICES = "indices"
"""Which transitions the rows are; there where the sampler wants to hear of their TD errors."""

WEIGHTS = "weights"
"""Importance weights of the rows in Q's loss; there beside `INDICES`."""

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

SUCCESSOR = "successor"
"""Where the agent's next transition in the same episode stands, in env steps ever stored, or -1.

The column is there only where somebody asked for it.
"""

Batch = dict[str, np.ndarray]


def opponent_column(name: str, number: int) -> str:
    """Name of a column ("obs", "new_obs") of an opponent, numbered in the order of opponents."""
    return f"opponent_{number}_{name}"
