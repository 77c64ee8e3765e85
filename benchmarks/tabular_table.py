"""All games x all learners, 500 trials each, and the paper's claims in numbers, as Markdown.

    python benchmarks/tabular_table.py > /tmp/tables.md

Every learner plays with the settings of `tuned_configs/tabular.json`, found with the same budget
for all, and with seeds that tuning has not used. The numbers also go to
benchmarks/tabular_table.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tabular_games import GAMES, Game
from write_tuned_configs import configuration_name

from rommeo_rllib.envs import ClimbingGame
from rommeo_rllib.reporting.statistics import Interval, success_rate
from rommeo_rllib.tabular import LEARNERS, PayoffPlay, converged, make_learners
from rommeo_rllib.tabular.paper_settings import PAPER_SETTINGS, falling
from rommeo_rllib.tuned_configs import tabular

SEED = 90_000


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--only-claims", action="store_true", help="the climbing game's table")
    args = parser.parse_args()
    trials = args.trials
    file = Path(__file__).with_suffix(".json")
    report: dict[str, Any] = json.loads(file.read_text()) if args.only_claims else {}
    report["command"] = f"python benchmarks/tabular_table.py --trials {trials}"
    if not args.only_claims:
        rates = {
            game.name: {name: _rate(game, name, trials) for name in LEARNERS}
            for game in GAMES.values()
        }
        _print_games(rates)
        print()
        report["games"] = {game: _plain(row) for game, row in rates.items()}
    claims = _claims(trials)
    _print_claims(claims)
    report["claims"] = _plain(claims)
    file.write_text(json.dumps(report, indent=1) + "\n")


def tuned_settings(game: Game, name: str) -> dict[str, Any]:
    """The settings of `tuned_configs`."""
    return dict(tabular()[f"{game.name}/{configuration_name(name)}"].settings)


def _rate(game: Game, name: str, trials: int) -> Interval:
    play = game.play(LEARNERS[name], tuned_settings(game, name), trials, SEED)
    has_converged = play.run(game.episodes)[2]
    assert has_converged is not None
    return success_rate(int(has_converged.sum()), trials)


def _climbing(name: str, settings: dict[str, Any], trials: int, **how: int) -> Interval:
    """The share converged on the climbing game after `episodes` of `plays`."""
    learners = make_learners(LEARNERS[name], [3, 3], trials=trials, seed=SEED + 1, **settings)
    play = PayoffPlay(ClimbingGame().payoff, learners, plays_per_episode=how.get("plays", 1))
    return success_rate(int(converged(play.run(how.get("episodes", 300))).sum()), trials)


def _claims(trials: int) -> dict[str, Interval]:
    game = GAMES["climbing_game"]
    tuned = {name: tuned_settings(game, name) for name in LEARNERS}
    paper = {name: dict(settings) for name, settings in PAPER_SETTINGS.items()}
    annealed = {"temperature": falling(0.1)}
    rows: dict[str, Interval] = {}
    for name in LEARNERS:
        rows[f"{name}, the paper's settings"] = _climbing(name, paper[name], trials)
    published = {**paper["PR2-Q"], "counts_answers": False}
    best = {**paper["JAL"], "normalised": False}
    for name, variant, settings in (
        ("PR2-Q", "ROMMEO-Q's annealing", {**paper["PR2-Q"], **annealed}),
        ("PR2-Q", "answers as published", published),
        ("PR2-Q", "answers as published and ROMMEO-Q's annealing", {**published, **annealed}),
        ("JAL", "the best action instead of the authors'", best),
        (
            "JAL",
            "the best action and ROMMEO-Q's annealing",
            {**best, **annealed, "epsilon": 0.0},
        ),
    ):
        title = f"{name}, the paper's settings, but {variant}"
        rows[title] = _climbing(name, settings, trials)
    fixed = {**paper["ROMMEO-Q"], "alpha": 1.0}
    rows["ROMMEO-Q, the paper's settings, but alpha fixed at 1"] = _climbing(
        "ROMMEO-Q", fixed, trials
    )
    rows["ROMMEO-Q, the same, but Q begins at 12"] = _climbing(
        "ROMMEO-Q", {**fixed, "initial_q": 12.0}, trials
    )
    for plays in (1, 25):
        rows[f"ROMMEO-Q, tuned, 1000 trials, {plays} plays an episode, by episode 100"] = _climbing(
            "ROMMEO-Q", tuned["ROMMEO-Q"], 1000, plays=plays, episodes=100
        )
    return rows


def _plain(row: dict[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: interval.as_dict("rate") for name, interval in row.items()}


def _print_games(rates: dict[str, dict[str, Interval]]) -> None:
    print(f"| learner | {' | '.join(GAMES[game].title for game in rates)} |")
    print(f"|---|{'---|' * len(rates)}")
    best = {game: max(row.values(), key=lambda i: i.value).low for game, row in rates.items()}
    for name in LEARNERS:
        cells = []
        for game, row in rates.items():
            # Bold where the interval reaches that of the game's best.
            mark = "**" if row[name].high >= best[game] else ""
            cells.append(f"{mark}{_cell(row[name])}{mark}")
        print(f"| {name} | {' | '.join(cells)} |")


def _print_claims(claims: dict[str, Interval]) -> None:
    print("| climbing game | share converged |\n|---|---|")
    for name, interval in claims.items():
        print(f"| {name} | {_cell(interval)} |")


def _cell(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.2f}, {interval.high:.2f}]"


if __name__ == "__main__":
    main()
