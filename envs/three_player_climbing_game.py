"""The climbing game for three players: as good as its worst pair."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.envs.climbing_game import ACTION_NAMES, CLIMBING_PAYOFFS
from rommeo_rllib.envs.matrix_game import MatrixGame


def worst_pair_payoffs(n_players: int) -> NDArray[np.float64]:
    """The table of a climbing game of `n_players` players, one axis a player.

    A joint action pays what the worst of its pairs would be paid in the game of two, where of each
    pair the player that comes first chooses the row.
    """
    table = np.array(CLIMBING_PAYOFFS)
    actions: tuple[NDArray[Any], ...] = tuple(np.indices((len(table),) * n_players))
    pairs = [table[row, column] for row, column in itertools.combinations(actions, 2)]
    return np.min(pairs, axis=0)


class ThreePlayerClimbingGame(MatrixGame):
    """Three players share the payoff of the joint action that they choose: A, B or C each.

    The optimum is (A, A, A) with 11. If anybody else plays B against an A, all lose 30: a player
    that tries A needs both others to do the same.

    Args:
        plays_per_episode: Number of plays after which the episode is truncated.
        memory: Whether agents observe the last joint action.
        render_mode: None, "human", "rgb_array" or "ansi".
    """

    def __init__(
        self,
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            worst_pair_payoffs(3),
            name="three_player_climbing_game",
            plays_per_episode=plays_per_episode,
            memory=memory,
            render_mode=render_mode,
            action_names=(ACTION_NAMES,) * 3,
        )
