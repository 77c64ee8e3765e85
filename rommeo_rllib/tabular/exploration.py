"""From the values of actions to a policy that explores."""

from __future__ import annotations

from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.exact import Array, softmax
from rommeo_rllib.tabular.learner import greedy, mix_uniform


class Exploration:
    """A Boltzmann policy, the greedy policy, and either with uniformly random actions among.

    Args:
        temperature: in units of the values; a schedule over plays. None is the greedy policy.
        epsilon: probability of a uniformly random action; a schedule over plays.
    """

    def __init__(self, temperature: ScheduleSpec | None, epsilon: ScheduleSpec) -> None:
        self._temperature = (
            None if temperature is None else make_schedule(temperature, "temperature")
        )
        self._epsilon = make_schedule(epsilon, "epsilon", allow_zero=True)

    def policy(self, values: Array, plays: int) -> Array:
        """Probabilities after `plays` plays of actions with these `values`: both (..., n)."""
        if self._temperature is None:
            best = greedy(values)
        else:
            best = softmax(values / self._temperature.value(plays))
        return self.mix(best, plays)

    def mix(self, probabilities: Array, plays: int) -> Array:
        """`probabilities` with the share of uniformly random actions that is due."""
        return mix_uniform(probabilities, min(self._epsilon.value(plays), 1.0))
