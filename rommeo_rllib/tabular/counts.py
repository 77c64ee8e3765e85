"""How often the opponents took each joint action: the empirical frequency of Algorithm 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.tabular.exact import Array


class ActionCounts:
    """Counts of actions by state, for many trials at once, over all plays or the last few.

    Args:
        trials: number of independent trials.
        n_states: number of states.
        n_actions: number of (joint) actions that are counted.
        window: how many plays are remembered, the newest ones; None remembers all.
        pseudo_count: added to each action's count, so that no frequency is 0.
    """

    def __init__(
        self,
        trials: int,
        n_states: int,
        n_actions: int,
        *,
        window: int | None = None,
        pseudo_count: float = 0.0,
    ) -> None:
        self.counts = np.full((trials, n_states, n_actions), float(pseudo_count))
        self._flat = self.counts.reshape(-1)
        self._rows = np.arange(trials)
        self._window = window
        self._newest = np.zeros((window or 0, trials), np.intp)
        self._plays = 0

    def add(self, states: NDArray[np.intp], actions: NDArray[np.intp]) -> None:
        """Counts one play: `states` and `actions` are (trials,)."""
        _, n_states, n_actions = self.counts.shape
        cells = (self._rows * n_states + states) * n_actions + actions
        self._flat[cells] += 1.0
        if self._window is not None:
            slot = self._plays % self._window
            if self._plays >= self._window:
                self._flat[self._newest[slot]] -= 1.0
            self._newest[slot] = cells
        self._plays += 1

    def frequencies(self, states: NDArray[np.intp]) -> Array:
        """The share of each action; uniform in a state without plays.

        Args:
            states: (..., trials).

        Returns:
            (..., trials, n_actions).
        """
        is_single = self.counts.shape[1] == 1 and states.ndim == 1
        counts = self.counts[:, 0] if is_single else self.counts[self._rows, states]
        totals = counts.sum(-1, keepdims=True)
        if totals.all():
            return counts / totals
        uniform = np.full_like(counts, 1.0 / counts.shape[-1])
        return np.divide(counts, totals, out=uniform, where=totals > 0)

    def __setstate__(self, state: dict[str, object]) -> None:
        # `_flat` is a view; a copy of it, as pickling makes one, would count for itself.
        self.__dict__.update(state)
        self._flat = self.counts.reshape(-1)
