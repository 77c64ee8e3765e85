"""Writes what tuning found: tuned_configs/tabular.json from benchmarks/tuning/GAME.json.

python benchmarks/write_tuned_configs.py --game climbing_game
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tabular_games import GAMES, Game

FILE = Path(__file__).parent.parent / "tuned_configs" / "tabular.json"


def write_configs(game: Game, report: dict[str, Any]) -> None:
    """All learners of one game, in place of what is there."""
    games = json.loads(FILE.read_text()) if FILE.exists() else {}
    games[game.name] = {
        "game": game.game,
        "game_settings": game.game_settings,
        "plays_per_episode": 1,
        "learners": {
            configuration_name(name): {
                "learner": name,
                "settings": result["settings"],
                "measured": {k: v for k, v in result["measured"].items() if k != "seed"},
            }
            for name, result in report["learners"].items()
        },
    }
    FILE.write_text(json.dumps(games, indent=1) + "\n")


def configuration_name(learner: str) -> str:
    """The name of a learner's configuration: "FMQ-c10" -> "fmq"."""
    return learner.lower().replace("-c10", "").replace("-", "_")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", choices=list(GAMES), required=True)
    chosen = GAMES[parser.parse_args().game]
    tuning = Path(__file__).parent / "tuning" / f"{chosen.name}.json"
    write_configs(chosen, json.loads(tuning.read_text()))
