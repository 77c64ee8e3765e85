"""Writes what tuning found: tuned_configs/GAME/LEARNER.py from benchmarks/tuning/GAME.json.

python benchmarks/write_tuned_configs.py --game climbing_game
"""

from __future__ import annotations

import argparse
import json
import pprint
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tabular_games import GAMES, Game

from rommeo_rllib.tabular import LEARNERS

ROOT = Path(__file__).parent.parent / "tuned_configs"

_RESULT = (
    "Of {trials} trials {successes_after_a_third} had converged after {third} episodes and "
    "{successes} after {episodes}: a share of {rate:.3f}, 95 % interval [{low:.3f}, {high:.3f}] "
    "(Wilson). Found by `benchmarks/tune_tabular.py --game {game}`, with the same budget for every "
    "learner."
)
_TEMPLATE = '''"""{name} on the {title}.

{result}
"""

from rommeo_rllib.tabular import {class_name}

learner = {class_name}
settings = {settings}
game = {game_name!r}
game_settings: dict[str, object] = {game_settings!r}
plays_per_episode = 1
'''


def write_configs(game: Game, report: dict[str, Any]) -> None:
    """One file a learner, over what is there."""
    folder = ROOT / game.name
    folder.mkdir(exist_ok=True)
    package = folder / "__init__.py"
    if not package.exists():
        title = game.title[0].lower() + game.title[1:]
        package.write_text(f'"""The tabular learners on the {title}."""\n')
    written: list[Path] = []
    for name, result in report["learners"].items():
        class_name = LEARNERS[name].__name__
        measured = _RESULT.format(third=game.third, game=game.name, **result["measured"])
        text = _TEMPLATE.format(
            name=name,
            title=game.title[0].lower() + game.title[1:],
            result=textwrap.fill(measured, 100, break_on_hyphens=False),
            class_name=class_name,
            settings=pprint.pformat(result["settings"], width=88, sort_dicts=False),
            game_name=game.game,
            game_settings=game.game_settings,
        )
        written.append(folder / f"{module_name(name)}.py")
        written[-1].write_text(text.replace("'", '"'))
    formatting = [sys.executable, "-m", "ruff", "format", "--quiet", *map(str, written)]
    subprocess.run(formatting, check=True)


def module_name(learner: str) -> str:
    """The module of a learner's configuration: "FMQ-c10" -> "fmq"."""
    return learner.lower().replace("-c10", "").replace("-", "_")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", choices=list(GAMES), required=True)
    chosen = GAMES[parser.parse_args().game]
    tuning = Path(__file__).parent / "tuning" / f"{chosen.name}.json"
    write_configs(chosen, json.loads(tuning.read_text()))
