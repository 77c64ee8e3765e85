"""WoLF policy hill-climbing: learn quickly while losing, slowly while winning.

Bowling and Veloso, "Rational and Convergent Learning in Stochastic Games", IJCAI 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.independent import IndependentLearner, IndependentSettings
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class WoLFPHCSettings(IndependentSettings):
    """Settings of WoLF-PHC.

    Attributes:
        delta_win: how much probability moves to the best action in a play while the policy does
            better than its own average; a schedule over plays.
        delta_lose: the same while it does worse; the larger one of the two.
    """

    epsilon: ScheduleSpec = 0.05
    delta_win: ScheduleSpec = 0.03
    delta_lose: ScheduleSpec = 0.12


class WoLFPHC(IndependentLearner):
    """Q-learning beside a mixed policy that climbs towards the best action.

    Attributes:
        policy: (trials, n_states, n_actions), without the random actions that explore.
        average_policy: the same, averaged over the plays of each state.
    """

    name = "WoLF-PHC"
    Settings = WoLFPHCSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._delta_win = make_schedule(self.settings.delta_win, "delta_win")
        self._delta_lose = make_schedule(self.settings.delta_lose, "delta_lose")
        self.policy = np.full_like(self.q, 1.0 / self.n_actions)
        self.average_policy = self.policy.copy()
        self._visits = np.zeros((self.trials, self.n_states))

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        return self._exploration.mix(self._at(self.policy, states), self.plays)

    def _learn(self, play: Transition) -> None:
        targets = self._targets(play)
        here = (self._rows, play.states)
        q = self.q[here]
        q[self._rows, play.actions] += self._step_size() * (targets - q[self._rows, play.actions])
        self.q[here] = q
        self._visits[here] += 1
        policy, average = self.policy[here], self.average_policy[here]
        average += (policy - average) / self._visits[here][:, None]
        is_winning = (policy * q).sum(-1) > (average * q).sum(-1)
        delta = np.where(
            is_winning, self._delta_win.value(self.plays), self._delta_lose.value(self.plays)
        )
        self.average_policy[here] = average
        self.policy[here] = self._climb(policy, q, delta)

    def _climb(self, policy: Array, q: Array, delta: Array) -> Array:
        """Moves up to delta / (n - 1) from each other action to the best one."""
        if self.n_actions == 1:
            return policy
        best = q.argmax(-1)
        moved = np.minimum(policy, delta[:, None] / (self.n_actions - 1))
        moved[self._rows, best] = 0.0
        policy = policy - moved
        policy[self._rows, best] += moved.sum(-1)
        return policy
