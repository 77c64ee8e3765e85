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

from rommeo_rllib.checks import FLAG
from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.counts import ActionCounts
from rommeo_rllib.tabular.exact import Array, logsumexp, softmax
from rommeo_rllib.tabular.joint import JointLearner, JointSettings
from rommeo_rllib.tabular.replay import Transition

_COUNT = 0.1
"""What the authors' program adds to counts before it divides by them."""


@dataclass(frozen=True)
class PR2QSettings(JointSettings):
    """Settings of PR2-Q.

    Attributes:
        temperature: of both levels of reasoning, in units of the reward; a schedule over plays.
        counts_answers: whether the opponents' answers are counted, and the own action is worth
            their mean, instead of rho ~ exp(Q / T). It is the default of the program of ROMMEO's
            authors, whose shares are those of all joint plays: an action's values count the less,
            the more actions have been tried.
    """

    temperature: ScheduleSpec = 1.0
    counts_answers: bool = False


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
        self._answers = ActionCounts(
            self.trials, self.n_states, self.n_actions * self.n_opponent_actions
        )

    @classmethod
    def make_settings(cls, settings: Any) -> Any:
        """See the base class."""
        made = super().make_settings(settings)
        FLAG("counts_answers", made.counts_answers)
        return made

    def _learn(self, play: Transition) -> None:
        joint = play.actions * self.n_opponent_actions + play.opponent_actions
        self._answers.add(play.states, joint)
        super()._learn(play)

    def _counted_answers(self, states: NDArray[np.intp]) -> Array:
        """The authors' shares, (..., trials, own, opponents), which sum to less than 1."""
        counts = self._at(self._answers.counts, states)
        counts = counts.reshape(*counts.shape[:-1], self.n_actions, self.n_opponent_actions)
        answers = counts / (counts.sum(-1, keepdims=True) + _COUNT)
        return answers / (answers.sum((-2, -1), keepdims=True) + _COUNT)

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """sum_a pi(a | s) rho(o | s, a): (trials, opponents)."""
        temperature = self._temperature.value(self.plays)
        if self.settings.counts_answers:
            return self.opponent_prior(states)
        answers = softmax(self._at(self.q, states) / temperature)
        return (self.probabilities(states)[..., None, :] @ answers)[..., 0, :]

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """T log sum_a exp(Q(s, a) / T): (..., trials) -> (..., trials)."""
        temperature = self._temperature.value(self.plays)
        if self.settings.counts_answers:
            return (self._at(self.target_q, states) * self._counted_answers(states)).sum(-1).max(-1)
        q = self._at(self.target_q, states) / temperature
        return temperature * logsumexp(logsumexp(q, -1), -1)

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        q = self._at(self.q, states) / self._temperature.value(self.plays)
        if self.settings.counts_answers:
            return softmax((q * self._counted_answers(states)).sum(-1))
        return softmax(logsumexp(q, -1))
