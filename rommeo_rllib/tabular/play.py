"""Games played by tabular learners, in many independent trials at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rommeo_rllib.checks import positive_int
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.learner import MEMORY_LIMIT_BYTES, TabularLearner

Payoff = Callable[..., Any]
"""(trials, n_agents) actions -> (trials, n_agents) payoffs; with an attribute `stochastic = True`
it takes a random generator besides, and returns one draw."""

# Draws of each joint action by which a stochastic payoff's mean is estimated, where it does not
# offer `mean`.
_DRAWS = 2000


@dataclass
class History:
    """What happened, by episode and trial.

    Attributes:
        p_optimum: (episodes, trials), probability of the optimal joint actions after the episode.
        rewards: (episodes, trials), reward of a play, averaged over the episode and the agents.
        policies: for each agent (episodes, trials, actions) after the episode; empty unless asked
            for.
        opponent_models: for each agent (episodes, trials, opponents' joint actions), likewise.
    """

    p_optimum: Array
    rewards: Array
    policies: list[Array]
    opponent_models: list[Array]


def make_learners(
    learner: type[TabularLearner],
    n_actions: Sequence[int],
    *,
    n_states: int | Sequence[int] = 1,
    trials: int = 1,
    seed: int | None = None,
    **settings: Any,
) -> list[TabularLearner]:
    """One learner an agent, all of one class and with the same settings.

    Args:
        learner: the class.
        n_actions: number of actions of each agent.
        n_states: number of states, for all agents or for each.
        trials: number of independent trials.
        seed: of the learners; each draws from a stream of its own.
        settings: of the class.

    Raises:
        ValueError: see :class:`TabularLearner`.
    """
    states = [n_states] * len(n_actions) if isinstance(n_states, int) else list(n_states)
    seeds = np.random.SeedSequence(seed).spawn(len(n_actions))
    return [
        learner(
            own,
            [*n_actions[:agent], *n_actions[agent + 1 :]],
            n_states=states[agent],
            trials=trials,
            seed=seeds[agent],
            **settings,
        )
        for agent, own in enumerate(n_actions)
    ]


def mean_payoffs(payoff: Payoff, n_actions: Sequence[int]) -> Array:
    """The payoffs of every joint action.

    Args:
        payoff: the game. Where it is stochastic, its method `mean` is asked, which takes actions
            and returns expected payoffs; without one, the mean of 2000 draws is taken.
        n_actions: number of actions of each agent.

    Returns:
        (*n_actions, n_agents), in units of the reward.

    Raises:
        ValueError: if payoffs have the wrong shape or are not finite, or if there are more joint
            actions than memory allows.
    """
    sizes = [positive_int("n_actions", number) for number in n_actions]
    needed = 8 * math.prod(sizes) * len(sizes)
    if needed > MEMORY_LIMIT_BYTES:
        raise ValueError(
            f"n_actions={tuple(sizes)} make {math.prod(sizes)} joint actions, whose payoffs need "
            f"{needed / 2**30:.1f} GiB; allowed: {MEMORY_LIMIT_BYTES / 2**30:.1f} GiB."
        )
    actions = np.moveaxis(np.indices(sizes), 0, -1).reshape(-1, len(sizes))
    if not _is_stochastic(payoff):
        table = check_payoffs(payoff(actions), actions)
    elif hasattr(payoff, "mean"):
        table = check_payoffs(payoff.mean(actions), actions)
    else:
        rng = np.random.default_rng(0)
        table = np.zeros(actions.shape)
        for _ in range(_DRAWS):
            table += check_payoffs(payoff(actions, rng), actions) / _DRAWS
    return table.reshape(*sizes, len(sizes))


def check_payoffs(payoffs: ArrayLike, actions: NDArray[Any]) -> Array:
    """`payoffs` as an array, checked.

    Raises:
        ValueError: unless they are finite and have the shape of `actions`.
    """
    values = np.asarray(payoffs, np.float64)
    if values.shape != actions.shape:
        raise ValueError(
            f"`payoff` returned shape {values.shape} for joint actions of shape {actions.shape}; "
            "allowed: the same shape (..., n_agents)."
        )
    if not np.isfinite(values).all():
        bad = ~np.isfinite(values).all(axis=-1)
        raise ValueError(
            f"`payoff` of the joint action {actions[bad][0].tolist()} is {values[bad][0].tolist()};"
            " allowed: finite numbers."
        )
    return values


def optimal_joint_actions(table: Array) -> NDArray[np.intp]:
    """The joint actions whose payoffs, summed over the agents, are highest: (n, n_agents)."""
    total = table.sum(-1)
    return np.argwhere(total >= total.max() - 1e-9 * max(1.0, abs(float(total.max()))))


class PayoffPlay:
    """A payoff function, played again and again; each play is terminal, a game of its own.

    Args:
        payoff: the game, see `Payoff`.
        learners: one an agent, in the game's order; all with the same number of trials, and one
            state.
        plays_per_episode: number of plays of an episode.
        optimum: the joint actions that count as optimal, (n, n_agents); None finds those with the
            highest sum of mean payoffs.
        seed: of a stochastic payoff.
        trace: whether policies and opponent models are recorded.

    Attributes:
        episodes: number of episodes played so far.

    Raises:
        ValueError: if payoffs have the wrong shape or are not finite, or the learners' sizes do
            not fit the game or one another.
    """

    def __init__(
        self,
        payoff: Payoff,
        learners: Sequence[TabularLearner],
        *,
        plays_per_episode: int = 1,
        optimum: ArrayLike | None = None,
        seed: int | None = None,
        trace: bool = False,
    ) -> None:
        self.learners = list(learners)
        self.plays_per_episode = positive_int("plays_per_episode", plays_per_episode)
        n_actions = [learner.n_actions for learner in learners]
        self.trials = common_trials(learners, n_actions)
        table = mean_payoffs(payoff, n_actions)
        found = optimal_joint_actions(table) if optimum is None else np.asarray(optimum, np.intp)
        self.optimum = found.reshape(-1, len(n_actions))
        self.episodes = 0
        self._payoff = payoff
        # A deterministic game is looked up: that is faster than to compute it anew.
        self._table = None if _is_stochastic(payoff) else table
        self._rng = np.random.default_rng(seed)
        self._trace = trace
        self._states = np.zeros(self.trials, np.intp)
        self._terminated = np.ones(self.trials, bool)
        self._others = [np.delete(np.arange(len(n_actions)), i) for i in range(len(n_actions))]

    def run(self, episodes: int, on_episode: Callable[[], object] | None = None) -> History:
        """Plays on for `episodes` episodes.

        Args:
            episodes: number of episodes.
            on_episode: called after each one.

        Returns:
            The history of these episodes.
        """
        shape = (episodes, self.trials)
        history = History(np.zeros(shape), np.zeros(shape), [], [])
        policies: list[list[Array]] = [[] for _ in self.learners]
        models: list[list[Array]] = [[] for _ in self.learners]
        for episode in range(episodes):
            total = np.zeros(self.trials)
            for _ in range(self.plays_per_episode):
                total += self._play()
            history.rewards[episode] = total / self.plays_per_episode
            history.p_optimum[episode] = self.p_optimum()
            if self._trace:
                for agent, learner in enumerate(self.learners):
                    policies[agent].append(learner.probabilities(self._states).copy())
                    model = learner.opponent_model(self._states)
                    models[agent].append(np.empty((self.trials, 0)) if model is None else model)
            self.episodes += 1
            if on_episode is not None:
                on_episode()
        if self._trace and episodes:
            history.policies = [np.stack(rows) for rows in policies]
            history.opponent_models = [np.stack(rows) for rows in models]
        return history

    def p_optimum(self) -> Array:
        """The probability that the agents now play an optimal joint action: (trials,)."""
        total = np.zeros(self.trials)
        policies = [learner.probabilities(self._states) for learner in self.learners]
        for joint_action in self.optimum:
            columns = [policy[:, a] for policy, a in zip(policies, joint_action, strict=True)]
            total += np.prod(columns, axis=0)
        return total

    def _play(self) -> Array:
        """One play of every trial; returns its reward, averaged over the agents: (trials,)."""
        actions = np.stack([learner.act(self._states) for learner in self.learners], axis=-1)
        if self._table is None:
            rewards = check_payoffs(self._payoff(actions, self._rng), actions)
        else:
            rewards = self._table[tuple(actions.T)]
        for agent, learner in enumerate(self.learners):
            learner.observe(
                self._states,
                actions[:, agent],
                actions[:, self._others[agent]],
                rewards[:, agent],
                self._states,
                self._terminated,
            )
        return rewards.mean(-1)


def common_trials(learners: Sequence[TabularLearner], n_actions: Sequence[int]) -> int:
    """The number of trials that all learners share.

    Raises:
        ValueError: if they differ, or if a learner expects other opponents than these.
    """
    trials = {learner.trials for learner in learners}
    if len(trials) != 1:
        raise ValueError(f"`learners` have trials {sorted(trials)}; allowed: one number for all.")
    for agent, learner in enumerate(learners):
        others = (*n_actions[:agent], *n_actions[agent + 1 :])
        if learner.opponent_actions != others:
            raise ValueError(
                f"`opponent_actions` of learner {agent} is {learner.opponent_actions}; "
                f"allowed in this game: {others}."
            )
    return trials.pop()


def converged(history: History, threshold: float = 0.9) -> NDArray[np.bool_]:
    """Whether each trial plays an optimal joint action with more than this probability: (trials,).

    Judged after the last episode.
    """

    return np.asarray(history.p_optimum[-1] > threshold)


def _is_stochastic(payoff: Payoff) -> bool:
    return bool(getattr(payoff, "stochastic", False))
