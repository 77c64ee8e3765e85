"""What the learners share whose Q-table sees the own action alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rommeo_rllib.schedules import ScheduleSpec
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.exploration import Exploration
from rommeo_rllib.tabular.learner import LearnerSettings, TabularLearner
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class IndependentSettings(LearnerSettings):
    """Settings of learners that do not look at their opponents.

    Attributes:
        epsilon: the probability of a uniformly random action; a schedule over plays.
    """

    epsilon: ScheduleSpec = 0.0


@dataclass(frozen=True)
class BoltzmannSettings(IndependentSettings):
    """Settings of learners that may explore by a Boltzmann policy.

    Attributes:
        temperature: of the policy, in units of the reward; a schedule over plays. None plays the
            best action.
    """

    temperature: ScheduleSpec | None = None


class IndependentLearner(TabularLearner):
    """A learner of Q(s, a) that treats its opponents as a part of the environment.

    Attributes:
        q: (trials, n_states, n_actions), in units of the reward.
    """

    Settings = IndependentSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.q = self._new_table(self.n_states, self.n_actions)
        temperature = getattr(self.settings, "temperature", None)
        self._exploration = Exploration(temperature, self.settings.epsilon)

    def _targets(self, play: Transition) -> Array:
        """R + gamma max_a Q(s', a): (trials,)."""
        if self.settings.gamma == 0 or play.terminated.all():
            return play.rewards
        value = self._at(self.q, play.next_states).max(-1)
        return play.rewards + self.settings.gamma * ~play.terminated * value
