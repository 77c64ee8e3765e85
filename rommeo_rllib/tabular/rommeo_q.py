"""ROMMEO-Q, Algorithm 1 of the paper, and its ablation without the regularised opponent model.

Tian et al., "A Regularized Opponent Model with Maximum Entropy Objective", IJCAI 2019.

Departures from Algorithm 1:

- V is computed exactly, Eq. 9, not estimated from samples: tables can be summed over. What
  Algorithm 1 samples, with exp(Q), estimates Eq. 9 at alpha = 1 only.
- The values of the next states are computed once a play, before the batch's updates, and the
  target table is copied after the batch in which an interval ends.
- Before a state's first play the prior is uniform ("arbitrarily" in the paper).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular import exact
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.joint import JointLearner, JointSettings


@dataclass(frozen=True)
class ROMMEOQSettings(JointSettings):
    """Settings of ROMMEO-Q.

    Attributes:
        alpha: weight of the policy's entropy, in units of the reward; a schedule over plays, see
            `rommeo_rllib.schedules.make_schedule`.
        kl_coeff: weight of the opponent model's divergence from the prior, 1 in the paper; a
            schedule over plays.
    """

    alpha: ScheduleSpec = 1.0
    kl_coeff: ScheduleSpec = 1.0


class ROMMEOQ(JointLearner):
    """Multi-agent soft Q-learning with a regularised opponent model (Algorithm 1)."""

    name = "ROMMEO-Q"
    Settings = ROMMEOQSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._alpha = make_schedule(self.settings.alpha, "alpha")
        self._kl_coeff = make_schedule(self.settings.kl_coeff, "kl_coeff")

    @property
    def alpha(self) -> float:
        """Alpha at the present play."""
        return self._alpha.value(self.plays)

    @property
    def kl_coeff(self) -> float:
        """The weight of the divergence at the present play."""
        return self._kl_coeff.value(self.plays)

    def conditional_policy(self, states: NDArray[np.intp]) -> Array:
        """pi(a | s, o), Eq. 10: (trials, own, opponents)."""
        return exact.conditional_policy(self._at(self.q, states), self.alpha)

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """rho(o | s), Eq. 11: (trials, opponents)."""
        values = exact.best_response_value(self._at(self.q, states), self.alpha)
        return self._opponent_model(values, self.opponent_prior(states))

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """V(s), Eq. 9, from the target table: (..., trials) -> (..., trials)."""
        values = exact.best_response_value(self._at(self.target_q, states), self.alpha)
        return exact.state_value(values, self.opponent_prior(states), self.kl_coeff)

    def _opponent_model(self, values: Array, prior: Array, axis: int = -1) -> Array:
        """rho from what each opponents' action is worth and from the prior, along `axis`."""
        return exact.opponent_model(values, prior, self.kl_coeff, axis)

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        q = np.ascontiguousarray(np.moveaxis(self._at(self.q, states), 0, -1))
        prior = np.ascontiguousarray(self.opponent_prior(states).T)
        model = partial(self._opponent_model, prior=prior, axis=0)
        return exact.marginal_policy(q, model, self.alpha).T


class ROMMEOQEMP(ROMMEOQ):
    """The ablation ROMMEO-Q-EMP: the opponent model is the empirical frequency itself."""

    name = "ROMMEO-Q-EMP"

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """The empirical frequency: (trials, opponents)."""
        return self.opponent_prior(states)

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """V(s) of the objective where rho is the prior: sum_o P(o) alpha log sum_a exp(Q/alpha)."""
        values = exact.best_response_value(self._at(self.target_q, states), self.alpha)
        return (self.opponent_prior(states) * values).sum(-1)

    def _opponent_model(self, values: Array, prior: Array, axis: int = -1) -> Array:
        return prior
