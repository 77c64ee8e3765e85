"""Two Hills: Max of Two Quadratics for any number of agents, with what makes it harder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import ArrayLike, NDArray

from rommeo_rllib.checks import count
from rommeo_rllib.envs.repeated_game import Infos, Observations, RepeatedGame

BOUND = 10.0
LOCAL_OPTIMUM = -5.0
HEIGHT = 10.0
# Of the squared distance to an optimum, mean over agents, on the printed surface of Max of Two
# Quadratics.
BROAD_SLOPE, NARROW_SLOPE = 1.6 / 9.0, 2.0


class HillsPayoff:
    """The greater one of two hills, plus noise; the same for all agents.

    Broad: -s |a + 5|^2 (a local optimum of 0); narrow: 10 - n |a - optimum|^2, where |.|^2 is the
    mean over agents. With two agents, the optimum at 5 and n = 2 that is the printed surface of Max
    of Two Quadratics.

    Args:
        optimum: where the narrow hill is, one number an agent.
        narrowness: n, in units of reward over squared actions.
        noise: standard deviation of the noise, in units of reward.
    """

    stochastic = True

    def __init__(self, optimum: ArrayLike, narrowness: float, noise: float) -> None:
        self.optimum = np.asarray(optimum, np.float64)
        self.narrowness, self.noise = narrowness, noise
        self.shift = 0.0

    def __call__(self, actions: NDArray[Any], rng: np.random.Generator, /) -> NDArray[np.float64]:
        """Rewards of joint actions, shape (..., n_agents) both."""
        actions = np.asarray(actions, np.float64) - self.shift
        far = np.square(actions - LOCAL_OPTIMUM).mean(-1, keepdims=True)
        near = np.square(actions - self.optimum).mean(-1, keepdims=True)
        rewards = np.maximum(-BROAD_SLOPE * far, HEIGHT - self.narrowness * near)
        if self.noise > 0.0:
            rewards = rewards + rng.normal(0.0, self.noise, rewards.shape)
        return np.broadcast_to(rewards, actions.shape)


class TwoHills(RepeatedGame):
    """Agents with one continuous action in [-10, 10] each share the reward of the joint action.

    A broad hill leads to a local optimum of 0 at -5 for all; the global optimum is 10.

    Observations: the constant 1 or, with `context` above 0, how far both hills are shifted in this
    play, divided by `context`: in [-1, 1], shape (1,).

    Args:
        agents: Their number, at least 2.
        optimum: Where the global optimum is: one number for all agents, or one each.
        narrowness: How steep its hill is; that of Max of Two Quadratics is 2.
        noise: Standard deviation of the rewards' noise.
        context: Before each play both hills are shifted by a random number in [-context, context],
            which all agents observe.
        plays_per_episode: Number of plays after which the episode is truncated.
        memory: Whether agents observe the last joint action; not with a context.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        ValueError: On a value that makes no game, or one that `RepeatedGame` refuses.
    """

    def __init__(
        self,
        agents: int = 2,
        optimum: float | Sequence[float] = 5.0,
        narrowness: float = NARROW_SLOPE,
        noise: float = 0.0,
        context: float = 0.0,
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        render_mode: str | None = None,
    ) -> None:
        count(least=2)("agents", agents)
        where = np.broadcast_to(np.asarray(optimum, np.float64), (agents,))
        reach = BOUND - np.abs(where).max()
        if reach < 0:
            raise ValueError(f"optimum must lie in [-{BOUND:g}, {BOUND:g}], got {optimum!r}.")
        if not 0.0 <= context <= reach:
            raise ValueError(f"context must be in [0, {reach:g}], got {context!r}.")
        if narrowness <= 0.0:
            raise ValueError(f"narrowness must be above 0, got {narrowness!r}.")
        if noise < 0.0:
            raise ValueError(f"noise must be at least 0, got {noise!r}.")
        self.context = float(context)
        self.hills = HillsPayoff(where, narrowness, noise)
        super().__init__(
            self.hills,
            [Box(-BOUND, BOUND, (1,), np.float32) for _ in range(agents)],
            name="two_hills",
            plays_per_episode=plays_per_episode,
            memory=memory,
            render_mode=render_mode,
        )
        if self.context and memory:
            raise ValueError(f"memory is True with context {context!r}: agents observe the latter.")
        if self.context:
            space = Box(-1.0, 1.0, (1,), np.float32)
            self.observation_spaces = dict.fromkeys(self.possible_agents, space)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, Infos]:
        """Begin an episode; see `RepeatedGame.reset`."""
        _, infos = super().reset(seed, options)
        self._shift()
        return self._observe(), infos

    def step(
        self, actions: Any
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """Play once; see `RepeatedGame.step`."""
        _, *outcome = super().step(actions)
        self._shift()
        rewards, terminations, truncations, infos = outcome
        return self._observe(), rewards, terminations, truncations, infos

    def get_state(self) -> dict[str, Any]:
        """See `RepeatedGame.get_state`."""
        return {**super().get_state(), "shift": self.hills.shift}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state of `get_state()`."""
        super().set_state(state)
        self.hills.shift = state["shift"]

    def _shift(self) -> None:
        if self.context:
            self.hills.shift = self._rng.uniform(-self.context, self.context)

    def _observe(self) -> Observations:
        if not self.context:
            return super()._observe()
        shift = np.array([self.hills.shift / self.context], np.float32)
        return {agent: shift.copy() for agent in self.possible_agents}
