"""Max of Two Quadratics (Wei et al., 2018): a broad hill in front of a narrow, higher one."""

import functools
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from rommeo_rllib.envs.repeated_game import RepeatedGame
from rommeo_rllib.naming import unknown_name_message

# What divides (a + 5)^2 in the broad hill. The ROMMEO paper prints ((a + 5) / 3)^2; its authors'
# program has (a + 5)^2 / 3, and the contours of the paper's figure are those. The printed hill is
# the broader one, so its game is the harder one.
_DIVISORS = {"paper": 9.0, "authors": 3.0}
SURFACES = tuple(_DIVISORS)
BOUND = 10.0


def max_of_two_quadratics_payoff(
    actions: NDArray[Any], /, *, surface: str = "paper"
) -> NDArray[np.float64]:
    """The reward max(f1, f2), the same for both agents.

    f1 = 0.8 (-(a1 + 5)^2 - (a2 + 5)^2) / d is the broad hill: a local optimum of 0 at (-5, -5),
    where d is 9 for the surface "paper" and 3 for "authors". f2 = -(a1 - 5)^2 - (a2 - 5)^2 + 10 is
    the narrow one: the global optimum of 10 at (5, 5).

    Args:
        actions: Joint actions, shape (..., 2).
        surface: "paper" (as printed) or "authors" (as in their program).

    Returns:
        Rewards, shape (..., 2).

    Raises:
        ValueError: On an unknown surface, or if the last axis does not hold two agents.
    """
    if surface not in _DIVISORS:
        raise ValueError(unknown_name_message("surface", surface, SURFACES))
    actions = np.asarray(actions, np.float64)
    if actions.shape[-1:] != (2,):
        raise ValueError(f"actions must be of shape (..., 2), got shape {actions.shape}.")
    broad = -0.8 * np.square(actions + 5.0).sum(axis=-1) / _DIVISORS[surface]
    narrow = 10.0 - np.square(actions - 5.0).sum(axis=-1)
    best = np.maximum(broad, narrow)
    return best[..., np.newaxis].repeat(2, axis=-1)


class MaxOfTwoQuadratics(RepeatedGame):
    """Two players with one continuous action in [-10, 10] each share the reward of the joint
    action.

    Gradients lead nearly everywhere to the local optimum of 0 at (-5, -5); the global optimum is
    10, at (5, 5).

    Args:
        surface: "paper" (as printed) or "authors" (as in their program, with a narrower local
            hill).
        plays_per_episode: Number of plays after which the episode is truncated.
        memory: Whether agents observe the last joint action.
        constant_observation: What they observe without memory; 0 in the authors' program.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        ValueError: On an unknown surface or another setting that `RepeatedGame` refuses.
    """

    def __init__(
        self,
        surface: str = "paper",
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        constant_observation: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        self.surface = surface
        super().__init__(
            functools.partial(max_of_two_quadratics_payoff, surface=surface),
            [Box(-BOUND, BOUND, (1,), np.float32) for _ in range(2)],
            name="max_of_two_quadratics",
            plays_per_episode=plays_per_episode,
            memory=memory,
            constant_observation=constant_observation,
            render_mode=render_mode,
        )
