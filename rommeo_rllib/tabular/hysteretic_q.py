"""Hysteretic Q-learning: bad news is learned more slowly than good news.

Matignon, Laurent and Le Fort-Piat, "Hysteretic Q-Learning: an Algorithm for Decentralized
Reinforcement Learning in Cooperative Multi-Agent Teams", IROS 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.independent import BoltzmannSettings, IndependentLearner
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class HystereticQSettings(BoltzmannSettings):
    """Settings of hysteretic Q-learning.

    Attributes:
        decrease_rate: the step where the target lies below the old value, smaller than
            `learning_rate`, which is the step where it lies above; a schedule over plays.
    """

    epsilon: ScheduleSpec = 0.1
    decrease_rate: ScheduleSpec = 0.01


class HystereticQ(IndependentLearner):
    """Q-learning with a large step upwards and a small one downwards."""

    name = "Hysteretic-Q"
    Settings = HystereticQSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decrease_rate = make_schedule(
            self.settings.decrease_rate, "decrease_rate", allow_zero=True
        )

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        return self._exploration.policy(self._at(self.q, states), self.plays)

    def _learn(self, play: Transition) -> None:
        here = (self._rows, play.states, play.actions)
        error = self._targets(play) - self.q[here]
        decrease = min(self._decrease_rate.value(self.plays), 1.0)
        self.q[here] += np.where(error > 0, self._step_size(), decrease) * error
