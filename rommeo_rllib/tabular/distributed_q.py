"""Distributed Q-learning: each agent believes that the others do what is best for it.

Lauer and Riedmiller, "An Algorithm for Distributed Reinforcement Learning in Cooperative
Multi-Agent Systems", ICML 2000.

Departure: the paper sets new values to 0 because its rewards are never negative; `initial_q` must
lie below all returns here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.schedules import ScheduleSpec
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.independent import IndependentLearner, IndependentSettings
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class DistributedQSettings(IndependentSettings):
    """Settings of distributed Q-learning; `learning_rate` has no effect, values jump up."""

    epsilon: ScheduleSpec = 0.1
    initial_q: float | tuple[float, float] = -1000.0


class DistributedQ(IndependentLearner):
    """Q(s, a) never falls, and the policy changes only where the best value rises.

    The second rule settles all agents on the same optimum where there are several: it is the one
    that was found first. In games of chance the maximum is luck, and the learner is misled.

    Attributes:
        policy: (trials, n_states), the action that is played where none is drawn at random.
    """

    name = "Distributed-Q"
    Settings = DistributedQSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = self._rng.integers(self.n_actions, size=(self.trials, self.n_states))

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        probabilities = np.zeros((self.trials, self.n_actions))
        probabilities[self._rows, self.policy[self._rows, states]] = 1.0
        return self._exploration.mix(probabilities, self.plays)

    def _learn(self, play: Transition) -> None:
        targets = self._targets(play)
        is_better = targets > self.q[self._rows, play.states].max(-1)
        chosen = self.policy[self._rows, play.states]
        self.policy[self._rows, play.states] = np.where(is_better, play.actions, chosen)
        here = (self._rows, play.states, play.actions)
        self.q[here] = np.maximum(self.q[here], targets)
