"""The replay memory of Algorithm 1, for many trials at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.tabular.exact import Array

_FIRST_SIZE = 64


class Transition(NamedTuple):
    """One play of each trial.

    Attributes:
        states: (trials,), the state acted in.
        actions: (trials,), the own action.
        opponent_actions: (trials,), the opponents' joint action as one index.
        rewards: (trials,), the own reward.
        next_states: (trials,).
        terminated: (trials,); where true, nothing follows that counts.
    """

    states: NDArray[np.intp]
    actions: NDArray[np.intp]
    opponent_actions: NDArray[np.intp]
    rewards: Array
    next_states: NDArray[np.intp]
    terminated: NDArray[np.bool_]


class Batch(NamedTuple):
    """Plays to learn from.

    Attributes:
        cells: (plays, trials), which entry of the flat Q-table of all trials each play is about.
        rewards: (plays, trials).
        following: the next states and where the play terminated, each (plays, trials); None where
            all plays did.
    """

    cells: NDArray[np.intp]
    rewards: Array
    following: tuple[NDArray[np.intp], NDArray[np.bool_]] | None


class Replay:
    """A memory of the last `capacity` plays, which grows as it fills.

    Args:
        trials: number of independent trials.
        capacity: plays that a trial remembers.
    """

    def __init__(self, trials: int, capacity: int) -> None:
        self._capacity = capacity
        self._rows = np.arange(trials)
        # Cells, rewards, next states, terminated.
        self._columns: list[NDArray[Any]] = [
            np.zeros((min(_FIRST_SIZE, capacity), trials), dtype)
            for dtype in (np.intp, np.float64, np.int32, np.bool_)
        ]
        self._plays = 0
        # As long as every play was terminal, what followed need not be looked up.
        self._all_terminated = True

    def __len__(self) -> int:
        return min(self._plays, self._capacity)

    def add(self, play: Batch) -> None:
        """Remembers one play; forgets the oldest one if the memory is full."""
        slot = self._plays % self._capacity
        if slot == len(self._columns[0]):
            size = min(2 * slot, self._capacity) - slot
            self._columns = [
                np.concatenate([column, np.zeros((size, *column.shape[1:]), column.dtype)])
                for column in self._columns
            ]
        cells, rewards, next_states, terminated = self._columns
        cells[slot], rewards[slot] = play.cells[0], play.rewards[0]
        terminated[slot] = True
        if play.following is not None:
            self._all_terminated = False
            next_states[slot], terminated[slot] = play.following[0][0], play.following[1][0]
        self._plays += 1

    def sample(self, size: int, rng: np.random.Generator) -> Batch:
        """Draws `size` plays a trial, with replacement."""
        slots = rng.integers(len(self), size=(size, len(self._rows)))
        flat = slots * len(self._rows) + self._rows
        cells, rewards, *following = (
            column.reshape(-1).take(flat)
            for column in (self._columns[:2] if self._all_terminated else self._columns)
        )
        return Batch(cells, rewards, (following[0], following[1]) if following else None)
