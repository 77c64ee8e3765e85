"""The climbing game with payoffs of chance (Kapetanakis and Kudenko, 2002).

Every cell pays on average what it pays in the climbing game; a player that trusts the highest
payoff it has ever seen is misled by (B, B), which pays 14 half of the time.
"""

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import ArrayLike, NDArray

from rommeo_rllib.envs.climbing_game import ACTION_NAMES, CLIMBING_PAYOFFS
from rommeo_rllib.envs.matrix_game import MatrixPayoff
from rommeo_rllib.envs.repeated_game import RepeatedGame
from rommeo_rllib.naming import unknown_name_message

# In each cell the two payoffs, each of which comes with probability 1/2.
_FULL = (
    ((10.0, 12.0), (5.0, -65.0), (8.0, -8.0)),
    ((5.0, -65.0), (14.0, 0.0), (12.0, 0.0)),
    ((5.0, -5.0), (5.0, -5.0), (7.0, 3.0)),
)
VARIANTS = ("partial", "full")


class CoinPayoff:
    """Payoffs that a coin decides: in each cell one of two, each with probability 1/2.

    Args:
        heads: The payoffs of one side, a table that all agents share, one axis an agent.
        tails: Those of the other side.

    Raises:
        ValueError: If a table holds a value that is not finite, or the two differ in shape.
    """

    stochastic = True

    def __init__(self, heads: ArrayLike, tails: ArrayLike) -> None:
        self._sides = (MatrixPayoff(heads), MatrixPayoff(tails))
        if self._sides[0].shape != self._sides[1].shape:
            raise ValueError(
                f"heads and tails must have one shape, got {self._sides[0].shape} and "
                f"{self._sides[1].shape}."
            )
        self.shape = self._sides[0].shape

    def __call__(self, actions: NDArray[Any], rng: np.random.Generator, /) -> NDArray[np.float64]:
        """One draw of the payoffs of `actions`, both (..., n_agents); all agents share the coin."""
        actions = np.asarray(actions)
        is_heads = rng.random(actions.shape[:-1]) < 0.5
        heads, tails = (side(actions) for side in self._sides)
        return np.where(is_heads[..., None], heads, tails)

    def mean(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """The expected payoffs of `actions`, both (..., n_agents)."""
        return (self._sides[0](actions) + self._sides[1](actions)) / 2.0


class StochasticClimbingGame(RepeatedGame):
    """The climbing game, some or all of whose payoffs are drawn by a coin.

    Args:
        variant: "partial": only (B, B) is drawn, 14 or 0. "full": every cell is.
        plays_per_episode: Number of plays after which the episode is truncated.
        memory: Whether agents observe the last joint action.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        ValueError: On an unknown variant or another setting that `RepeatedGame` refuses.
    """

    def __init__(
        self,
        variant: str = "full",
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(unknown_name_message("variant", variant, VARIANTS))
        self.variant = variant
        payoff = _partial_payoff() if variant == "partial" else _full_payoff()
        super().__init__(
            payoff,
            [Discrete(n) for n in payoff.shape],
            name=f"stochastic_climbing_game ({variant})",
            plays_per_episode=plays_per_episode,
            memory=memory,
            render_mode=render_mode,
            action_names=(ACTION_NAMES, ACTION_NAMES),
        )


def _full_payoff() -> CoinPayoff:
    sides = np.array(_FULL)
    return CoinPayoff(sides[..., 0], sides[..., 1])


def _partial_payoff() -> CoinPayoff:
    heads = np.array(CLIMBING_PAYOFFS)
    tails = heads.copy()
    heads[1, 1], tails[1, 1] = 14.0, 0.0
    return CoinPayoff(heads, tails)
