"""The games: PettingZoo parallel environments, most of them a payoff function, played repeatedly.

Any payoff function makes a game: see `RepeatedGame` and, for tables, `MatrixGame`. One game has
states: `CoordinationGrid`.
"""

import inspect
from collections.abc import Callable
from typing import Any

from pettingzoo import ParallelEnv

from rommeo_rllib.envs.climbing_game import ClimbingGame
from rommeo_rllib.envs.coordination_grid import CoordinationGrid
from rommeo_rllib.envs.matrix_game import MatrixGame, MatrixPayoff
from rommeo_rllib.envs.max_of_two_quadratics import MaxOfTwoQuadratics, max_of_two_quadratics_payoff
from rommeo_rllib.envs.penalty_game import PenaltyGame
from rommeo_rllib.envs.repeated_game import (
    PayoffFunction,
    RepeatedGame,
    StochasticPayoffFunction,
)
from rommeo_rllib.envs.stochastic_climbing_game import StochasticClimbingGame
from rommeo_rllib.envs.three_player_climbing_game import ThreePlayerClimbingGame
from rommeo_rllib.envs.two_hills import HillsPayoff, TwoHills
from rommeo_rllib.naming import unknown_name_message

__all__ = [
    "GAMES",
    "ClimbingGame",
    "CoordinationGrid",
    "HillsPayoff",
    "MatrixGame",
    "MatrixPayoff",
    "MaxOfTwoQuadratics",
    "PayoffFunction",
    "PenaltyGame",
    "RepeatedGame",
    "StochasticClimbingGame",
    "StochasticPayoffFunction",
    "ThreePlayerClimbingGame",
    "TwoHills",
    "make",
    "max_of_two_quadratics_payoff",
]

GAMES: dict[str, Callable[..., ParallelEnv]] = {
    "climbing_game": ClimbingGame,
    "coordination_grid": CoordinationGrid,
    "max_of_two_quadratics": MaxOfTwoQuadratics,
    "penalty_game": PenaltyGame,
    "stochastic_climbing_game": StochasticClimbingGame,
    "three_player_climbing_game": ThreePlayerClimbingGame,
    "two_hills": TwoHills,
}


def make(name: str, **settings: Any) -> ParallelEnv:
    """Make the game `name`.

    Args:
        name: A key of `GAMES`.
        **settings: The game's own settings, for example `plays_per_episode`.

    Returns:
        The environment.

    Raises:
        ValueError: On a name or a setting that does not exist (the message names the nearest one
            that does), or a value that the game refuses.
    """
    if name not in GAMES:
        raise ValueError(unknown_name_message("game", name, GAMES))
    game = GAMES[name]
    parameters = inspect.signature(game).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for setting in settings:
        if not takes_any and setting not in parameters:
            raise ValueError(unknown_name_message(f"setting of {name}:", setting, parameters))
    return game(**settings)
