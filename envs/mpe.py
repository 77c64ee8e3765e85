"""Particle games of `mpe2`, which the extra "mpe" of this package installs."""

from __future__ import annotations

import importlib
from typing import Any

from pettingzoo import ParallelEnv


def make_particle_game(module: str, **settings: Any) -> ParallelEnv:
    """A game of `mpe2`.

    Args:
        module: its module, such as "simple_spread_v3".
        **settings: its own, such as `max_cycles`.

    Raises:
        ImportError: if `mpe2` is not installed or has no such game.
    """
    try:
        game = importlib.import_module(f"mpe2.{module}")
    except ImportError as error:
        raise ImportError(
            f'The game {module} needs mpe2: pip install "rommeo-rllib[mpe]".'
        ) from error
    made: ParallelEnv = game.parallel_env(**settings)
    return made
