"""The penalty game (Claus and Boutilier, 1998): two optima, and a penalty between."""

import math

from rommeo_rllib.envs.matrix_game import MatrixGame


class PenaltyGame(MatrixGame):
    """Two players share the payoff of the cell that they choose: A, B or C each.

    Both (A, A) and (C, C) pay 10, but A against C costs both players the penalty; (B, B) pays 2 and
    B is always safe. The players have to agree on one of the two optima.

    Args:
        k: The payoff of (A, C) and (C, A), at most 0. The literature goes from 0 to -100.
        plays_per_episode: Number of plays after which the episode is truncated.
        memory: Whether agents observe the last joint action.
        render_mode: None, "human", "rgb_array" or "ansi".

    Raises:
        ValueError: If `k` is above 0 or not finite, or another setting that `RepeatedGame` refuses.
    """

    def __init__(
        self,
        k: float = -100.0,
        *,
        plays_per_episode: int = 25,
        memory: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int | float) or not -math.inf < k <= 0:
            raise ValueError(f"k must be a finite number of at most 0, got {k!r}.")
        self.k = float(k)
        super().__init__(
            ((10.0, 0.0, self.k), (0.0, 2.0, 0.0), (self.k, 0.0, 10.0)),
            name="penalty_game",
            plays_per_episode=plays_per_episode,
            memory=memory,
            render_mode=render_mode,
            action_names=(("A", "B", "C"), ("A", "B", "C")),
        )
