"""Joint action learners.

Claus and Boutilier, "The Dynamics of Reinforcement Learning in Cooperative Multiagent Systems",
AAAI 1998.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.checks import FLAG
from rommeo_rllib.schedules import ScheduleSpec
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.exploration import Exploration
from rommeo_rllib.tabular.joint import JointLearner, JointSettings


@dataclass(frozen=True)
class JALSettings(JointSettings):
    """Settings of the joint action learner.

    Attributes:
        temperature: of the Boltzmann policy over expected values, in units of the reward; a
            schedule over plays. None plays the best action.
        epsilon: the probability of a uniformly random action; a schedule over plays.
        normalised: act by the expected values divided by their sum, as the program of ROMMEO's
            authors does. Where the sum is negative, that reverses their order: the agent then plays
            the worst action.
    """

    temperature: ScheduleSpec | None = 1.0
    epsilon: ScheduleSpec = 0.0
    normalised: bool = False


class JAL(JointLearner):
    """Q over joint actions, and fictitious play against the opponents' frequencies.

    An own action is worth its expected Q, if each opponent plays as often as it has so far,
    independently of the others.
    """

    name = "JAL"
    Settings = JALSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exploration = Exploration(self.settings.temperature, self.settings.epsilon)

    @classmethod
    def make_settings(cls, settings: Any) -> Any:
        """See the base class."""
        made = super().make_settings(settings)
        FLAG("normalised", made.normalised)
        return made

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """The product of each opponent's frequencies: (..., trials, joint actions)."""
        frequencies = self.opponent_prior(states)
        sizes = self.opponent_actions
        if len(sizes) < 2:
            return frequencies
        leading = frequencies.shape[:-1]
        table = frequencies.reshape(*leading, *sizes)
        axes = range(len(leading), table.ndim)
        product = np.ones((*leading, 1))
        for kept in axes:
            marginal = table.sum(axis=tuple(axis for axis in axes if axis != kept))
            product = (product[..., None] * marginal[..., None, :]).reshape(*leading, -1)
        assert product.shape[-1] == math.prod(sizes)
        return product

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """The best own action's expected Q: (..., trials) -> (..., trials)."""
        return self._expected_q(self.target_q, states).max(-1)

    def _expected_q(self, table: Array, states: NDArray[np.intp]) -> Array:
        q = self._at(table, states)
        return (q @ self.opponent_model(states)[..., None])[..., 0]

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        expected = self._expected_q(self.q, states)
        if self.settings.normalised:
            total = expected.sum(-1, keepdims=True)
            expected = expected / np.where(total == 0.0, 1.0, total)
        return self._exploration.policy(expected, self.plays)
