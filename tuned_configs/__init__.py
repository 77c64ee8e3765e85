"""Configurations that reach a known result, grouped by game.

Those of RLlib algorithms are a Python file each, which holds `config` (an `AlgorithmConfig`) and
`stop` (a dict), for `rommeo train` and `rommeo sweep`; its docstring names the result that it
reaches. Those of tabular learners, for `rommeo sweep`, stand in `tabular.json`, which
`benchmarks/write_tuned_configs.py` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rommeo_rllib.tabular import LEARNERS, TabularLearner


@dataclass(frozen=True)
class TabularConfiguration:
    """What a tabular learner plays, and with which settings.

    Attributes:
        learner: its class.
        settings: its own.
        game: a name for `rommeo_rllib.envs.make`.
        game_settings: of the game.
        plays_per_episode: plays of an episode.
        measured: what it reached: of `trials`, how many had converged after `episodes` and after a
            third of them, and the rate with its 95 % interval.
    """

    learner: type[TabularLearner]
    settings: Mapping[str, Any]
    game: str
    game_settings: Mapping[str, Any]
    plays_per_episode: int
    measured: Mapping[str, float]


@cache
def tabular() -> dict[str, TabularConfiguration]:
    """All configurations of tabular learners by their names, such as "climbing_game/fmq"."""
    games = json.loads(Path(__file__).with_name("tabular.json").read_text())
    return {
        f"{folder}/{name}": TabularConfiguration(
            LEARNERS[one["learner"]],
            one["settings"],
            played["game"],
            played["game_settings"],
            played["plays_per_episode"],
            one["measured"],
        )
        for folder, played in games.items()
        for name, one in played["learners"].items()
    }
