"""One way to play any game with Discrete actions, and to judge how it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.tabular.environment_play import EnvironmentHistory, EnvironmentPlay
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.learner import TabularLearner
from rommeo_rllib.tabular.play import PayoffPlay, converged, make_learners


class AnyPlay:
    """A game that is played by learners of one class; the fastest way is chosen.

    A repeated game without memory is played through its payoff function, all trials at once; any
    other environment is stepped, one environment a trial.

    Args:
        make_env: makes one environment.
        learner: the class of all agents' learners.
        trials: number of independent trials.
        plays_per_episode: of a repeated game; an environment's episodes end by themselves.
        seed: of the learners and the game.
        optimal_return: best return of an episode in an environment with states; by default its
            attribute `optimal_return`. Without it, nobody can say whether a trial has converged.
        **settings: of the learners.

    Attributes:
        is_payoff: whether the payoff function is played.

    Raises:
        ValueError: on continuous spaces, payoffs that are not finite or have a wrong shape, more
            joint actions than memory allows, and settings that are unknown or not allowed.
    """

    def __init__(
        self,
        make_env: Callable[[], ParallelEnv],
        learner: type[TabularLearner],
        *,
        trials: int = 100,
        plays_per_episode: int = 1,
        seed: int | None = None,
        optimal_return: float | None = None,
        **settings: Any,
    ) -> None:
        env = make_env()
        self.is_payoff = hasattr(env, "payoff") and not getattr(env, "memory", False)
        self._play: PayoffPlay | EnvironmentPlay
        if self.is_payoff:
            learners = make_learners(learner, _n_actions(env), trials=trials, seed=seed, **settings)
            self._play = PayoffPlay(
                env.payoff,
                learners,
                plays_per_episode=plays_per_episode,
                seed=seed,
            )
        else:
            self._play = EnvironmentPlay(make_env, learner, trials=trials, seed=seed, **settings)
        best = optimal_return if optimal_return is not None else _optimal_return(env)
        self._optimal_return = best
        self._returns: Array = np.zeros((0, trials))

    @property
    def episodes(self) -> int:
        """Number of episodes played so far."""
        return self._play.episodes

    @property
    def learners(self) -> list[TabularLearner]:
        """One learner an agent."""
        return self._play.learners

    def run(self, episodes: int) -> tuple[Array, Array, NDArray[np.bool_] | None]:
        """Plays `episodes` more episodes.

        Returns:
            p_optimum: (trials,), probability of the optimal joint actions now; with states, the
                share of the last 20 episodes that reached 90 % of the best return.
            rewards: (episodes, trials), mean reward of a play; with states, returns.
            converged: (trials,): p_optimum above 0.9; with states, whether the last 20 episodes'
                mean return is at least 90 % of the best. None where the best is not known.
        """
        history = self._play.run(episodes)
        if not isinstance(history, EnvironmentHistory):
            return history.p_optimum[-1], history.rewards, converged(history)
        self._returns = np.concatenate([self._returns, history.returns])[-20:]
        if self._optimal_return is None:
            return np.full(history.returns.shape[1], np.nan), history.returns, None
        recent = EnvironmentHistory(self._returns, history.lengths)
        reached = (self._returns >= 0.9 * self._optimal_return).mean(0)
        return reached, history.returns, recent.converged(self._optimal_return)


def _n_actions(env: Any) -> list[int]:
    sizes = []
    for agent in env.possible_agents:
        space = env.action_space(agent)
        if not isinstance(space, Discrete) or space.start != 0:
            raise ValueError(
                f"action_space of {agent} is {space!r}; allowed for a tabular learner: Discrete "
                "that starts at 0. Continuous spaces are for ROMMEO-AC."
            )
        sizes.append(int(space.n))
    return sizes


def _optimal_return(env: Any) -> float | None:
    value: Any = getattr(env, "optimal_return", None)
    return float(value) if is_finite_number(value) else None
