"""FMQ, the frequency maximum Q-value heuristic.

Kapetanakis and Kudenko, "Reinforcement Learning of Coordination in Cooperative Multi-Agent
Systems", AAAI 2002.

Departure: the paper's games have no states. Here maxima and frequencies are kept for each state and
action, and what is compared with the maximum is r + gamma max_a Q(s', a).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.checks import FLAG
from rommeo_rllib.schedules import ScheduleSpec
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.independent import BoltzmannSettings, IndependentLearner
from rommeo_rllib.tabular.learner import number_within
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class FMQSettings(BoltzmannSettings):
    """Settings of FMQ.

    Attributes:
        c: weight of the heuristic, at least 0; 10 in "FMQ-c10".
        restarts_count: whether a new maximum begins the count anew, as the paper says; in the
            program of ROMMEO's authors it never does.
    """

    temperature: ScheduleSpec | None = 1.0
    c: float = 10.0
    restarts_count: bool = True


class FMQ(IndependentLearner):
    """An action is worth Q(a) + c freq(max R(a)) max R(a), in a Boltzmann policy.

    max R(a) is the highest reward that the action has brought, freq the share of its plays that
    brought it.

    Attributes:
        best: (trials, n_states, n_actions), the highest target so far; 0 before the first play.
        hits: how often it came, plays_of: how often the action was played; the same shape.
    """

    name = "FMQ-c10"
    Settings = FMQSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.best = np.zeros_like(self.q)
        self.hits = np.zeros_like(self.q)
        self.plays_of = np.zeros_like(self.q)

    @classmethod
    def make_settings(cls, settings: Any) -> Any:
        """See the base class."""
        made = super().make_settings(settings)
        number_within("c", made.c, 0.0)
        FLAG("restarts_count", made.restarts_count)
        return made

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        plays = np.maximum(self._at(self.plays_of, states), 1.0)
        frequency = self._at(self.hits, states) / plays
        bonus = self.settings.c * frequency * self._at(self.best, states)
        return self._exploration.policy(self._at(self.q, states) + bonus, self.plays)

    def _learn(self, play: Transition) -> None:
        targets = self._targets(play)
        here = (self._rows, play.states, play.actions)
        best = np.where(self.plays_of[here] > 0, self.best[here], -np.inf)
        is_new = targets > best if self.settings.restarts_count else False
        hits = np.where(is_new, 0.0, self.hits[here]) + (targets >= best)
        self.hits[here] = hits
        self.best[here] = np.maximum(best, targets)
        self.plays_of[here] += 1.0
        self.q[here] += self._step_size() * (targets - self.q[here])
