"""Lenient Q-learning (LMRL2): low rewards are forgiven as long as an action is new.

Wei and Luke, "Lenient Learning in Independent-Learner Stochastic Cooperative Games", JMLR 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.tabular.exact import Array, softmax
from rommeo_rllib.tabular.independent import IndependentLearner, IndependentSettings
from rommeo_rllib.tabular.learner import greedy, number_within
from rommeo_rllib.tabular.replay import Transition


@dataclass(frozen=True)
class LenientQSettings(IndependentSettings):
    """Settings of LMRL2.

    Attributes:
        max_temperature: of each state and action before its first play.
        min_temperature: where a state's mean temperature is below this, its best action is played.
        temperature_decay: factor on the temperature of an action that is played, in (0, 1].
        temperature_diffusion: share of the next state's mean temperature that flows into it, in
            [0, 1].
        action_moderation: factor from temperature to the Boltzmann policy's, above 0.
        leniency_moderation: how soon leniency ends as the temperature falls, above 0: a lower
            target is learned from with probability 1 - exp(-1 / (leniency_moderation T(s, a))).
    """

    max_temperature: float = 50.0
    min_temperature: float = 2.0
    temperature_decay: float = 0.995
    temperature_diffusion: float = 0.1
    action_moderation: float = 1.0
    leniency_moderation: float = 1.0


class LenientQ(IndependentLearner):
    """Q-learning that ignores low rewards at first, and explores by how often it has been where.

    Attributes:
        temperatures: (trials, n_states, n_actions).
    """

    name = "Lenient-Q"
    Settings = LenientQSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.temperatures = np.full_like(self.q, self.settings.max_temperature)

    @classmethod
    def make_settings(cls, settings: Any) -> Any:
        """See the base class."""
        made = super().make_settings(settings)
        for name in ("max_temperature", "min_temperature"):
            number_within(name, getattr(made, name), 0.0)
        for name in ("temperature_decay", "temperature_diffusion"):
            number_within(name, getattr(made, name), 0.0, 1.0)
        for name in ("action_moderation", "leniency_moderation"):
            number_within(name, getattr(made, name), 1e-12)
        return made

    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        q = self._at(self.q, states)
        mean = self._at(self.temperatures, states).mean(-1, keepdims=True)
        scale = np.maximum(self.settings.action_moderation * mean, 1e-12)
        is_cold = mean < self.settings.min_temperature
        policy = np.where(is_cold, greedy(q), softmax(q / scale))
        return self._exploration.mix(policy, self.plays)

    def _learn(self, play: Transition) -> None:
        settings = self.settings
        targets = self._targets(play)
        here = (self._rows, play.states, play.actions)
        temperature = self.temperatures[here]
        cold = settings.leniency_moderation * np.maximum(temperature, 1e-12)
        is_strict = self._rng.random(self.trials) < -np.expm1(-1.0 / cold)
        error = targets - self.q[here]
        self.q[here] += self._step_size() * np.where((error >= 0) | is_strict, error, 0.0)
        next_mean = self._at(self.temperatures, play.next_states).mean(-1)
        flow = settings.temperature_diffusion * ~play.terminated
        self.temperatures[here] = settings.temperature_decay * (
            (1.0 - flow) * temperature + flow * next_mean
        )
