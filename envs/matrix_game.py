"""Games whose payoffs stand in a table."""

from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import ArrayLike, NDArray

from rommeo_rllib.envs.repeated_game import RepeatedGame


class MatrixPayoff:
    """Payoffs that are looked up in a table with one axis an agent.

    Args:
        matrices: One table that all agents share, or one table an agent. Axis i of a table counts
            agent i's actions: in a two-player game player_0 chooses the row, player_1 the column.

    Raises:
        ValueError: If the tables differ in shape, hold a value that is not finite, or are as many
            as neither one nor the number of agents.
    """

    def __init__(self, *matrices: ArrayLike) -> None:
        tables = [np.asarray(matrix, np.float64) for matrix in matrices]
        shapes = [table.shape for table in tables]
        if not tables or shapes[0] == () or 0 in shapes[0] or len(set(shapes)) > 1:
            raise ValueError(
                f"matrices must be tables of one shape with one axis an agent, got shapes {shapes}."
            )
        n_agents = tables[0].ndim
        if len(tables) not in (1, n_agents):
            raise ValueError(
                f"matrices must be one table for all or one an agent ({n_agents}), "
                f"got {len(tables)}."
            )
        if not np.isfinite(tables).all():
            raise ValueError(f"matrices must hold finite payoffs, got {tables!r}.")
        if len(tables) == 1:
            tables = tables * n_agents
        self.shape: tuple[int, ...] = shapes[0]
        # (number of joint actions, n_agents): one flat index finds the payoffs of all agents.
        self._payoffs = np.stack([table.ravel() for table in tables], axis=-1)

    def __call__(self, actions: NDArray[Any], /) -> NDArray[np.float64]:
        """Payoffs of the joint `actions`, both of shape (..., n_agents).

        Raises:
            ValueError: If an action is no index of its axis.
        """
        actions = np.asarray(actions)
        indices = actions.astype(np.intp)
        if actions.shape[-1:] != (len(self.shape),) or (indices != actions).any():
            raise ValueError(
                f"actions must be whole numbers of shape (..., {len(self.shape)}), got {actions!r}."
            )
        try:
            flat = np.ravel_multi_index(tuple(np.moveaxis(indices, -1, 0)), self.shape)
        except ValueError as error:
            raise ValueError(f"actions must lie below {self.shape}, got {actions!r}.") from error
        return self._payoffs[flat]


class MatrixGame(RepeatedGame):
    """A repeated game of any number of players that choose a cell of a table together.

    Args:
        matrices: One table that all agents share, or one an agent; see `MatrixPayoff`.
        **settings: `plays_per_episode`, `memory`, `render_mode`, `name`, `action_names`; see
            `RepeatedGame`.
    """

    def __init__(self, *matrices: ArrayLike, name: str = "matrix_game", **settings: Any) -> None:
        payoff = MatrixPayoff(*matrices)
        super().__init__(payoff, [Discrete(n) for n in payoff.shape], name=name, **settings)
