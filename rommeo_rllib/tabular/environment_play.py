"""Tabular learners in PettingZoo parallel environments, one environment a trial."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from rommeo_rllib.checks import positive_int
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.learner import TabularLearner
from rommeo_rllib.tabular.play import make_learners


@dataclass
class EnvironmentHistory:
    """What happened, by episode and trial.

    Attributes:
        returns: (episodes, trials), sum of rewards of the episode, averaged over the agents.
        lengths: (episodes, trials), number of steps of the episode.
    """

    returns: Array
    lengths: NDArray[np.intp]

    def converged(self, optimal_return: float, last: int = 20) -> NDArray[np.bool_]:
        """Whether each trial's return, over the last episodes, averages 90 % of the best.

        Args:
            optimal_return: the best return of an episode, above 0.
            last: number of episodes that are averaged.

        Returns:
            (trials,).

        Raises:
            ValueError: if `optimal_return` is not above 0.
        """
        if not optimal_return > 0:
            raise ValueError(
                f"`optimal_return` is {optimal_return!r}; allowed: a number above 0, of which "
                "90 % can be asked for."
            )
        return np.asarray(self.returns[-last:].mean(0) >= 0.9 * optimal_return)


class EnvironmentPlay:
    """A PettingZoo parallel environment with Discrete observations and actions, played repeatedly.

    Each trial has an environment of its own. Trials step together; one whose episode has ended
    begins the next one at once, so that with episodes of different lengths some trials are ahead
    of others, until all have reached the number of episodes that was asked for.

    Args:
        make_env: makes one environment.
        learner: the class of all agents' learners.
        trials: number of independent trials.
        seed: of the environments and the learners.
        **settings: of the learners.

    Attributes:
        agents: the agents' names, in the environment's order.
        learners: one learner an agent.
        episodes: number of episodes that every trial has finished and :meth:`run` returned.

    Raises:
        ValueError: if a space is not Discrete, or a setting is not allowed.
    """

    def __init__(
        self,
        make_env: Callable[[], ParallelEnv],
        learner: type[TabularLearner],
        *,
        trials: int = 1,
        seed: int | None = None,
        **settings: Any,
    ) -> None:
        self.trials = positive_int("trials", trials)
        self._envs = [make_env() for _ in range(trials)]
        self.agents = list(self._envs[0].possible_agents)
        self._actions = [
            _discrete("action_space", a, self._envs[0].action_space(a)) for a in self.agents
        ]
        self._observations = [
            _discrete("observation_space", a, self._envs[0].observation_space(a))
            for a in self.agents
        ]
        self.learners = make_learners(
            learner,
            [int(space.n) for space in self._actions],
            n_states=[int(space.n) for space in self._observations],
            trials=trials,
            seed=seed,
            **settings,
        )
        self.episodes = 0
        n_agents = len(self.agents)
        self._others = [np.delete(np.arange(n_agents), i) for i in range(n_agents)]
        self._states = np.zeros((n_agents, trials), np.intp)
        self._finished: list[list[tuple[float, int]]] = [[] for _ in self._envs]
        # The running episode's return and length.
        self._return = np.zeros(trials)
        self._length = np.zeros(trials, np.intp)
        for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
            # Only the first reset of an environment is seeded: its episodes shall differ.
            env_seed = None if seed is None else int(stream.generate_state(1)[0])
            observations, _ = self._envs[trial].reset(seed=env_seed)
            self._states[:, trial] = self._read(observations)

    def run(
        self, episodes: int, on_episode: Callable[[], object] | None = None
    ) -> EnvironmentHistory:
        """Plays on until every trial has finished `episodes` more episodes.

        Args:
            episodes: number of episodes.
            on_episode: called each time that all trials have finished one more.

        Returns:
            The history of these episodes.

        Raises:
            ValueError: if some agents leave an episode before others, or a reward is not finite.
        """
        first, last = self.episodes, self.episodes + episodes
        while self.episodes < last:
            self._step()
            finished = min(map(len, self._finished))
            while self.episodes < min(finished, last):
                self.episodes += 1
                if on_episode is not None:
                    on_episode()
        rows = [trial[first:last] for trial in self._finished]
        returns = np.array([[episode[0] for episode in row] for row in rows]).T
        lengths = np.array([[episode[1] for episode in row] for row in rows], np.intp).T
        shape = (episodes, self.trials)
        return EnvironmentHistory(returns.reshape(shape), lengths.reshape(shape))

    def _step(self) -> None:
        """One step of every trial."""
        n_agents = len(self.agents)
        actions = np.stack(
            [
                learner.act(states)
                for learner, states in zip(self.learners, self._states, strict=True)
            ]
        )
        rewards = np.zeros((n_agents, self.trials))
        terminated = np.zeros((n_agents, self.trials), bool)
        is_over = np.zeros(self.trials, bool)
        seen = np.zeros_like(self._states)  # What followed the actions,
        states = np.zeros_like(self._states)  # and what is acted in next, after a reset perhaps.
        for trial, env in enumerate(self._envs):
            step = {
                agent: int(action) + int(space.start)
                for agent, action, space in zip(
                    self.agents, actions[:, trial], self._actions, strict=True
                )
            }
            observations, reward, terminations, truncations, _ = env.step(step)
            seen[:, trial] = self._read(observations)
            rewards[:, trial] = [reward[agent] for agent in self.agents]
            terminated[:, trial] = [terminations[agent] for agent in self.agents]
            ended = [terminations[agent] or truncations[agent] for agent in self.agents]
            states[:, trial] = seen[:, trial]
            if any(ended):
                self._check_end(ended)
                is_over[trial] = True
                states[:, trial] = self._read(env.reset()[0])
        self._note(rewards, is_over)
        for agent, learner in enumerate(self.learners):
            learner.observe(
                self._states[agent],
                actions[agent],
                actions[self._others[agent]].T,
                rewards[agent],
                seen[agent],
                terminated[agent],
            )
        self._states = states

    def _check_end(self, ended: list[bool]) -> None:
        if not all(ended):
            left = [agent for agent, end in zip(self.agents, ended, strict=True) if end]
            raise ValueError(
                f"agents {left} left an episode before the others; tabular learners need all "
                f"agents {self.agents} to act until it ends."
            )

    def _note(self, rewards: Array, is_over: NDArray[np.bool_]) -> None:
        """Adds a step to the record: `rewards` (agents, trials), `is_over` (trials,)."""
        if not np.isfinite(rewards).all():
            bad = rewards[:, ~np.isfinite(rewards).all(0)][:, 0]
            raise ValueError(
                f"rewards of {self.agents} are {bad.tolist()}; allowed: finite numbers."
            )
        self._return += rewards.mean(0)
        self._length += 1
        for trial in np.flatnonzero(is_over):
            self._finished[trial].append((float(self._return[trial]), int(self._length[trial])))
        self._return[is_over] = 0.0
        self._length[is_over] = 0

    def _read(self, observations: Mapping[Hashable, Any]) -> list[int]:
        missing = [agent for agent in self.agents if agent not in observations]
        if missing:
            raise ValueError(
                f"observations lack the agents {missing}; tabular learners need all agents "
                f"{self.agents} to act at every step."
            )
        return [
            int(observations[agent]) - int(space.start)
            for agent, space in zip(self.agents, self._observations, strict=True)
        ]


def _discrete(field: str, agent: Hashable, space: Any) -> Discrete:
    if not isinstance(space, Discrete):
        raise ValueError(
            f"{field} of {agent} is {space!r}; allowed for a tabular learner: Discrete. "
            "Continuous spaces are for ROMMEO-AC."
        )
    return space
