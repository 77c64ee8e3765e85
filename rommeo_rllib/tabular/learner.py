"""What all tabular learners share: one agent's learner, in many independent trials at once.

Every array has a leading axis of trials. A learner is one agent; a game of n agents is played by n
learners, of the same class or of different ones. The opponents' actions reach it as one joint
index: opponents are ordered as the game orders its agents, the learner itself left out, and the
last opponent's action changes fastest.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.checks import is_finite_number, positive_int
from rommeo_rllib.naming import reject_unknown_keys, shown
from rommeo_rllib.schedules import ScheduleSpec, make_schedule
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.replay import Transition

MEMORY_LIMIT_BYTES = 4 * 2**30
"""The largest table that a learner makes, over all trials."""


@dataclass(frozen=True)
class LearnerSettings:
    """Settings that all learners have.

    Attributes:
        gamma: discount factor, in [0, 1]. It has no effect where every play is terminal.
        learning_rate: the step from the old value towards the new one; a schedule over plays.
        initial_q: the value that every entry of a new table has, or the bounds (low, high) of a
            uniform distribution. A value above all returns makes a learner optimistic: it tries
            what it does not know. In units of the reward.
    """

    gamma: float = 0.95
    learning_rate: ScheduleSpec = 0.1
    initial_q: float | tuple[float, float] = (0.0, 1.0)


class TabularLearner(ABC):
    """One agent that learns from a table, in `trials` independent trials at once.

    Args:
        n_actions: number of the agent's own actions.
        opponent_actions: number of actions of each opponent, in the game's order of agents.
        n_states: number of states that the agent can tell apart.
        trials: number of independent trials.
        seed: of all that is drawn at random.
        settings: see the class's own `Settings`.

    Attributes:
        plays: number of plays observed so far, the clock of all schedules.
        trials, n_states, n_actions, n_opponent_actions: the sizes of its tables.
        settings: the settings in use, defaults included.

    Raises:
        ValueError: on a setting that is unknown (the message names the nearest one) or has a value
            that is not allowed, on sizes below 1, and where a table would exceed
            `MEMORY_LIMIT_BYTES`.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[LearnerSettings]] = LearnerSettings

    def __init__(
        self,
        n_actions: int,
        opponent_actions: Sequence[int] = (),
        *,
        n_states: int = 1,
        trials: int = 1,
        seed: int | np.random.SeedSequence | None = None,
        **settings: Any,
    ) -> None:
        self.trials = positive_int("trials", trials)
        self.n_states = positive_int("n_states", n_states)
        self.n_actions = positive_int("n_actions", n_actions)
        self.opponent_actions = tuple(
            positive_int("opponent_actions", number) for number in opponent_actions
        )
        self.n_opponent_actions = math.prod(self.opponent_actions)
        self.settings = self.make_settings(settings)
        self.plays = 0
        self._rng = np.random.default_rng(seed)
        self._rows = np.arange(self.trials)
        self._learning_rate = make_schedule(self.settings.learning_rate, "learning_rate")
        self._latest: tuple[NDArray[np.intp], Array] | None = None

    @classmethod
    def make_settings(cls, settings: Mapping[str, Any]) -> Any:
        """The settings of this class with the given ones put in.

        Raises:
            ValueError: on an unknown or bad one.
        """
        names = [field.name for field in dataclasses.fields(cls.Settings)]
        reject_unknown_keys(settings, names, f"settings of {cls.name}")
        made = cls.Settings(**settings)
        if not is_finite_number(made.gamma) or not 0 <= made.gamma <= 1:
            raise ValueError(f"`gamma` is {shown(made.gamma)}; allowed: a number from 0 to 1.")
        initial_q(made.initial_q)
        return made

    def probabilities(self, states: NDArray[np.intp]) -> Array:
        """The policy, exploration included.

        Args:
            states: (trials,).

        Returns:
            (trials, n_actions); each row sums to 1. Not to be written to.
        """
        if self._latest is None or not np.array_equal(self._latest[0], states):
            self._latest = (states.copy(), self._probabilities(states))
        return self._latest[1]

    def act(self, states: NDArray[np.intp]) -> NDArray[np.intp]:
        """Draws an action in each trial: (trials,) -> (trials,)."""
        return draw(self.probabilities(states), self._rng)

    def observe(
        self,
        states: NDArray[np.intp],
        actions: NDArray[np.intp],
        opponent_actions: NDArray[np.intp],
        rewards: Array,
        next_states: NDArray[np.intp],
        terminated: NDArray[np.bool_],
    ) -> None:
        """Learns from one play of each trial.

        Args:
            states: (trials,), the state acted in.
            actions: (trials,), the own action.
            opponent_actions: (trials, opponents), one column an opponent.
            rewards: (trials,), the own reward.
            next_states: (trials,).
            terminated: (trials,); true where the next state's value does not count. A time limit
                is no termination.
        """
        joint = np.zeros(self.trials, np.intp)
        for column, number in enumerate(self.opponent_actions):
            joint = joint * number + opponent_actions[:, column]
        self._learn(Transition(states, actions, joint, rewards, next_states, terminated))
        self.plays += 1
        self._latest = None

    def opponent_model(self, states: NDArray[np.intp]) -> Array | None:
        """What the agent believes that its opponents will do: (trials, joint actions).

        None for a learner that has no such belief.
        """
        return None

    @abstractmethod
    def _probabilities(self, states: NDArray[np.intp]) -> Array:
        """What :meth:`probabilities` returns."""

    @abstractmethod
    def _learn(self, play: Transition) -> None:
        """Changes the tables; the clock is moved afterwards."""

    def _step_size(self) -> float:
        return min(self._learning_rate.value(self.plays), 1.0)

    def _new_table(self, *shape: int) -> Array:
        """A table (trials, *shape) of initial values."""
        self._check_memory(shape)
        low, high = initial_q(self.settings.initial_q)
        if low == high:
            return np.full((self.trials, *shape), low)
        return self._rng.uniform(low, high, (self.trials, *shape))

    def _check_memory(self, shape: tuple[int, ...]) -> None:
        needed = 8 * self.trials * math.prod(shape)
        if needed > MEMORY_LIMIT_BYTES:
            raise ValueError(
                f"n_states={self.n_states}, n_actions={self.n_actions} and opponent_actions="
                f"{self.opponent_actions} need a table of {needed / 2**30:.1f} GiB for "
                f"trials={self.trials}; allowed: {MEMORY_LIMIT_BYTES / 2**30:.1f} GiB."
            )

    def _at(self, table: Array, states: NDArray[np.intp]) -> Array:
        """The rows of a table (trials, n_states, ...) at `states` (..., trials)."""
        if self.n_states == 1 and states.ndim == 1:
            return table[:, 0]
        return table[self._rows, states]


def draw(probabilities: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """One index a row of `probabilities` (rows, n), drawn with them: (rows,)."""
    cumulated = np.ascontiguousarray(probabilities.T).cumsum(0)
    thresholds = rng.random(len(probabilities)) * cumulated[-1]
    return (cumulated <= thresholds).sum(0)


def greedy(values: Array) -> Array:
    """Probabilities of the best actions of each row; ties share."""
    best = values >= values.max(-1, keepdims=True)
    return best / best.sum(-1, keepdims=True)


def mix_uniform(probabilities: Array, epsilon: float) -> Array:
    """With probability `epsilon` an action is uniformly random."""
    if epsilon == 0:
        return probabilities
    return (1 - epsilon) * probabilities + epsilon / probabilities.shape[-1]


def number_within(name: str, value: Any, low: float, high: float = math.inf) -> float:
    """`value` as a number from `low` to `high`, else a `ValueError` that names it."""
    if not is_finite_number(value) or not low <= value <= high:
        bound = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise ValueError(f"`{name}` is {shown(value)}; allowed: a finite number {bound}.")
    return float(value)


def initial_q(value: Any) -> tuple[float, float]:
    """The bounds of a new table's values; equal ones for a constant.

    Raises:
        ValueError: unless this is a number or a pair (low, high) of numbers.
    """
    pair = (value, value) if is_finite_number(value) else value
    is_pair = isinstance(pair, tuple | list) and len(pair) == 2 and all(map(is_finite_number, pair))
    if not is_pair or pair[0] > pair[1]:
        raise ValueError(
            f"`initial_q` is {shown(value)}; allowed: a finite number, or (low, high) with "
            "low <= high."
        )
    return float(pair[0]), float(pair[1])
