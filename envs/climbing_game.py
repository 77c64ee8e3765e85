"""The climbing game (Claus and Boutilier, 1998): the best joint action hides behind penalties."""

from rommeo_rllib.envs.matrix_game import MatrixGame

# Rows: player_0, columns: player_1. The corner (C, C) is 5 as in the rest of the literature; the
# ROMMEO paper prints (5, 3) there, though it calls the game fully cooperative.
CLIMBING_PAYOFFS = (
    (11.0, -30.0, 0.0),
    (-30.0, 7.0, 6.0),
    (0.0, 0.0, 5.0),
)
ACTION_NAMES = ("A", "B", "C")


class ClimbingGame(MatrixGame):
    """Two players share the payoff of the cell that they choose: A, B or C each.

    The optimum is (A, A) with 11, but A against B costs both players 30. Learners that average over
    what the other one does therefore retreat to C, where a mistake costs little and (C, C) pays 5.

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
            CLIMBING_PAYOFFS,
            name="climbing_game",
            plays_per_episode=plays_per_episode,
            memory=memory,
            render_mode=render_mode,
            action_names=(ACTION_NAMES, ACTION_NAMES),
        )
