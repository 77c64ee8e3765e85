"""PR2-Q: probabilistic recursive reasoning with a table.

Wen et al., "Probabilistic Recursive Reasoning for Multi-Agent Reinforcement Learning", ICLR 2019.

Departures: the temperature is a setting (1 in the paper); Q(s, a) is computed from Q(s, a, o)
exactly instead of being learned beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.exact import Array, logsumexp, softmax
from rommeo_rllib.tabular.joint import JointLearner, JointSettings


@dataclass(frozen=True)
class PR2QSettings(JointSettings):
    """Settings of PR2-Q.

    Attributes:
        temperature: of both levels of reasoning, in units of the reward; a schedule over plays.
    """

    temperature: ScheduleSpec = 1.0


class PR2Q(JointLearner):
    """The agent asks how its opponents would answer each of its actions.

    The opponents' answer is rho(o | s, a) ~ exp(Q(s, a, o) / T); the own action is then worth
    Q(s, a) = T log sum_o exp(Q(s, a, o) / T), and the policy is softmax(Q(s, a) / T).
    """

    name = "PR2-Q"
    Settings = PR2QSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._temperature = make_schedule(self.settings.temperature, "temperature")

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """sum_a pi(a | s) rho(o | s, a): (trials, opponents)."""
        temperature = self._temperature.value(self.plays)
        answers = softmax(self._at(self.q, states) / temperature)
        return (self.probabilities(states)[..., None, :] @ answers)[..., 0, :]

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """T log sum_a exp(Q(s, a) / T): (..., trials) -> (..., trials)."""
        temperature = self._temperature.value(self.plays)
        q = self._at(self.target_q, states) / temperature
        return temperature * logsumexp(logsumexp(q, -1), -1)

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        q = self._at(self.q, states) / self._temperature.value(self.plays)
        return softmax(logsumexp(q, -1))
