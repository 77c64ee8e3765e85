"""One environment for every repeated game: a payoff function, played again and again.

A game is a pure, vectorised function of the joint action. The environment around it adds what a
learner needs (spaces, episodes, memory, pictures); thousands of trials can also be played at once
by calling the function with a batch of joint actions, without any environment.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from rommeo_rllib.checks import check, is_finite_number, positive_int
from rommeo_rllib.envs import rendering, spaces
from rommeo_rllib.naming import unknown_name_message

# Draws of a stochastic payoff that are averaged for a picture.
_SAMPLES_PER_PICTURE = 64

RENDER_MODES = ("human", "rgb_array", "ansi")

Observations = dict[str, NDArray[np.float32]]
Infos = dict[str, dict[str, Any]]


class PayoffFunction(Protocol):
    """A deterministic game: joint actions in, payoffs out, both of shape (..., n_agents).

    Actions are int64 where all agents are Discrete, else float64 (a Discrete agent's action is
    then a whole number). The function must be pure and work on any leading axes.
    """

    def __call__(self, actions: NDArray[Any], /) -> NDArray[np.float64]:
        """Payoffs of `actions`, in units of reward."""


class StochasticPayoffFunction(Protocol):
    """A game of chance: the same, but it draws from the generator that it is given.

    An attribute `stochastic = True` on the function or object tells it from a `PayoffFunction`. All
    randomness must come from `rng`, so that seeding the environment seeds the payoffs.
    """

    stochastic: bool

    def __call__(self, actions: NDArray[Any], rng: np.random.Generator, /) -> NDArray[np.float64]:
        """One draw of the payoffs of `actions`, in units of reward."""


class RepeatedGame(ParallelEnv[str, NDArray[np.float32], Any]):
    """A game of simultaneous actions that is played `plays_per_episode` times an episode.

    Agents are "player_0", "player_1", ... The last play truncates all of them: the game could go
    on, it is only the time that is up.

    Observations, shape and range:
        memory=False: (1,), the constant `constant_observation`.
        memory=True: the last joint action, the same for all agents, in the order of the agents:
            one-hot for a Discrete agent, scaled to [-1, 1] for a Box agent. All zeros before the
            first play.

    Args:
        payoff: The game; see `PayoffFunction` and `StochasticPayoffFunction`.
        action_spaces: One space an agent: Discrete, or a bounded Box of shape (1,).
        plays_per_episode: Number of plays (environment steps) after which all agents are truncated.
        memory: Whether agents observe the last joint action.
        constant_observation: What agents observe without memory, in [0, 1]. A constant 0 leaves
            the hidden layers of a network dead whose biases begin at 0.
        render_mode: None, "human" (a window, refreshed at each play), "rgb_array" (an image of
            shape (height, width, 3), uint8) or "ansi" (a text).
        name: The game's name in titles and metadata.
        action_names: For titles and labels: the names of each agent's actions, one sequence an
            agent (empty for a Box agent). None numbers them.

    Raises:
        ValueError: On a space that is not supported, a count of plays below 1, an unknown render
            mode, or a payoff of the wrong shape or with NaN or infinite values.
    """

    def __init__(
        self,
        payoff: PayoffFunction | StochasticPayoffFunction,
        action_spaces: Sequence[Space[Any]],
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        constant_observation: float = 1.0,
        render_mode: str | None = None,
        name: str = "repeated_game",
        action_names: Sequence[Sequence[str]] | None = None,
    ) -> None:
        self.metadata = {
            "name": name,
            "render_modes": list(RENDER_MODES),
            "render_fps": 4,
            "is_parallelizable": True,
        }
        if not action_spaces:
            raise ValueError(
                f"action_spaces must name at least one agent's space, got {action_spaces!r}."
            )
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(unknown_name_message("render_mode", render_mode, RENDER_MODES))
        self.payoff = payoff
        self.plays_per_episode = positive_int("plays_per_episode", plays_per_episode)
        self.memory = memory
        in_0_to_1 = is_finite_number(constant_observation) and 0.0 <= constant_observation <= 1.0
        check("constant_observation", constant_observation, in_0_to_1, "a number in [0, 1]")
        if memory:
            is_default = constant_observation == 1.0
            allowed = "1.0 with `memory`, where agents observe the last joint action"
            check("constant_observation", constant_observation, is_default, allowed)
        self.constant_observation = float(constant_observation)
        self.render_mode = render_mode
        self.possible_agents = [f"player_{i}" for i in range(len(action_spaces))]
        self.agents: list[str] = []
        self.action_spaces = dict(zip(self.possible_agents, action_spaces, strict=True))
        for agent, space in self.action_spaces.items():
            spaces.check_space(agent, space)
        self.action_names = _check_action_names(action_names, self.action_spaces)
        self.observation_spaces = {
            agent: spaces.observation_space(action_spaces, memory) for agent in self.possible_agents
        }

        all_discrete = all(isinstance(space, Discrete) for space in action_spaces)
        self._action_dtype = np.dtype(np.int64 if all_discrete else np.float64)
        self._rng = np.random.default_rng()
        self._joint_actions: list[NDArray[Any]] = []
        self._payoffs: list[NDArray[np.float64]] = []
        self._window: rendering.Window | None = None
        self._try_payoff()

    def observation_space(self, agent: str) -> Space[Any]:
        """The space of `agent`'s observations; always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """The space of `agent`'s actions; always the same object."""
        return self.action_spaces[agent]

    @property
    def joint_actions(self) -> NDArray[Any]:
        """The joint actions of this episode so far, shape (plays, n_agents)."""
        empty = np.zeros((0, len(self.possible_agents)), self._action_dtype)
        return np.stack(self._joint_actions) if self._joint_actions else empty

    @property
    def rewards(self) -> NDArray[np.float64]:
        """The rewards of this episode so far, shape (plays, n_agents)."""
        empty = np.zeros((0, len(self.possible_agents)))
        return np.stack(self._payoffs) if self._payoffs else empty

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Begin an episode.

        Args:
            seed: Seeds the payoffs' randomness. None goes on with the present generator.
            options: Not used.

        Returns:
            Observations and (empty) infos of all agents.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agents = self.possible_agents.copy()
        self._joint_actions = []
        self._payoffs = []
        if self.render_mode == "human":
            self.render()
        return self._observe(), {agent: {} for agent in self.agents}

    def get_state(self) -> dict[str, Any]:
        """The state of the present episode and of the payoffs' randomness, to continue from."""
        return {
            "rng": self._rng.bit_generator.state,
            "agents": list(self.agents),
            "joint_actions": list(self._joint_actions),
            "payoffs": list(self._payoffs),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state of `get_state()`."""
        self._rng.bit_generator.state = state["rng"]
        self.agents = list(state["agents"])
        self._joint_actions = list(state["joint_actions"])
        self._payoffs = list(state["payoffs"])

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Play once.

        Args:
            actions: One action an agent; all agents must act.

        Returns:
            Observations, rewards, terminations (always False), truncations (True for all agents at
            the episode's last play) and infos (empty), each by agent.

        Raises:
            ValueError: If an agent is missing or unknown, an action lies outside of its space, or a
                payoff is NaN or infinite.
            gymnasium.error.ResetNeeded: Before the first `reset()` and after the last play.
        """
        if not self.agents:
            raise gymnasium.error.ResetNeeded("no episode is running: call reset() before step().")
        joint_action = self._read_joint_action(actions)
        payoffs = self._call_payoff(joint_action, self._rng)
        if payoffs.shape != joint_action.shape or not np.isfinite(payoffs).all():
            raise ValueError(self._bad_payoff_message(joint_action, payoffs))
        self._joint_actions.append(joint_action)
        self._payoffs.append(payoffs)

        agents = self.agents
        is_last = len(self._joint_actions) >= self.plays_per_episode
        if is_last:
            self.agents = []
        if self.render_mode == "human":
            self.render()
        return (
            self._observe(),
            dict(zip(agents, payoffs.tolist(), strict=True)),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, is_last),
            {agent: {} for agent in agents},
        )

    def expected_payoffs(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Payoffs of `actions`, both of shape (..., n_agents).

        Of a stochastic payoff it is the mean of some draws. They come from a generator of their
        own: to look at a game does not change how it goes on.
        """
        rng = np.random.default_rng(0)
        draws = _SAMPLES_PER_PICTURE if self._is_stochastic else 1
        total = np.zeros(actions.shape)
        for _ in range(draws):
            total += self._call_payoff(actions, rng)
        return total / draws

    def render(self) -> NDArray[np.uint8] | str | None:
        """Show the episode so far in the mode that was chosen at construction.

        Returns:
            "rgb_array": an image of shape (height, width, 3), uint8. "ansi": a text. Else None.

        Raises:
            RuntimeError: In mode "human" where no window can be opened.
        """
        if self.render_mode == "rgb_array":
            return rendering.image(self)
        if self.render_mode == "ansi":
            return rendering.text(self)
        if self.render_mode == "human":
            self._window = self._window or rendering.Window()
            self._window.show(self)
            return None
        gymnasium.logger.warn(
            f"render() shows nothing: {self} was made with render_mode=None, not one of "
            f"{self.metadata['render_modes']}."
        )
        return None

    def close(self) -> None:
        """Close the window, if one is open."""
        if self._window is not None:
            self._window.close()
            self._window = None

    @property
    def _is_stochastic(self) -> bool:
        return bool(getattr(self.payoff, "stochastic", False))

    def _call_payoff(self, actions: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
        if self._is_stochastic:
            payoffs = cast(StochasticPayoffFunction, self.payoff)(actions, rng)
        else:
            payoffs = cast(PayoffFunction, self.payoff)(actions)
        return np.asarray(payoffs, np.float64)

    def _try_payoff(self) -> None:
        """Play every agent's first action in a batch, so that a bad payoff fails at once.

        The batch has one joint action more than there are agents: a payoff that mixes up the axes
        cannot return the right shape by chance.
        """
        first = [spaces.first_action(space) for space in self.action_spaces.values()]
        actions = np.tile(np.array(first, self._action_dtype), (len(first) + 1, 1))
        payoffs = self._call_payoff(actions, np.random.default_rng(0))
        if payoffs.shape != actions.shape or not np.isfinite(payoffs).all():
            raise ValueError(self._bad_payoff_message(actions, payoffs))

    def _bad_payoff_message(self, actions: NDArray[Any], payoffs: NDArray[np.float64]) -> str:
        if payoffs.shape != actions.shape:
            return (
                f"payoff returned shape {payoffs.shape} for joint actions of shape "
                f"{actions.shape}; it must keep the shape (..., n_agents)."
            )
        return (
            f"payoff of the joint action {actions.tolist()} is {payoffs.tolist()}; "
            "payoffs must be finite."
        )

    def _read_joint_action(self, actions: Mapping[str, Any]) -> NDArray[Any]:
        if actions.keys() != self.action_spaces.keys():
            missing = [agent for agent in self.agents if agent not in actions]
            unknown = [agent for agent in actions if agent not in self.action_spaces]
            raise ValueError(
                f"actions must hold exactly the agents {self.agents}: missing {missing}, "
                f"unknown {unknown}."
            )
        values = [
            spaces.read_action(agent, space, actions[agent])
            for agent, space in self.action_spaces.items()
        ]
        return np.array(values, self._action_dtype)

    def _observe(self) -> Observations:
        if not self.memory:
            return {
                agent: np.full(1, self.constant_observation, np.float32)
                for agent in self.possible_agents
            }
        if self._joint_actions:
            joint_action = self._joint_actions[-1]
            parts = [
                spaces.encode(space, value)
                for space, value in zip(self.action_spaces.values(), joint_action, strict=True)
            ]
            observation = np.concatenate(parts)
        else:
            observation = np.zeros(self.observation_space("player_0").shape or (), np.float32)
        return {agent: observation.copy() for agent in self.possible_agents}


def _check_action_names(
    names: Sequence[Sequence[str]] | None, own_spaces: Mapping[str, Space[Any]]
) -> dict[str, tuple[str, ...]]:
    """Names by agent; an agent's tuple is empty where its actions have none."""
    if names is None:
        return dict.fromkeys(own_spaces, ())
    if len(names) != len(own_spaces):
        raise ValueError(
            f"action_names must hold one sequence an agent ({len(own_spaces)}), got {len(names)}."
        )
    for (agent, space), own in zip(own_spaces.items(), names, strict=True):
        allowed = int(space.n) if isinstance(space, Discrete) else 0
        if len(own) != allowed:
            raise ValueError(f"action_names of {agent} must be {allowed} names, got {own!r}.")
    return {agent: tuple(own) for agent, own in zip(own_spaces, names, strict=True)}
