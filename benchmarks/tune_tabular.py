"""Tunes every tabular learner on a game, with the same budget for each.

    python benchmarks/tune_tabular.py --game climbing_game

Every learner gets the same number of random configurations, each played in the same number of
trials; the best few are played again, with fresh seeds, in more trials, and the best of these is
kept; a last run with yet another seed measures it. A configuration's score is the share of trials
that have converged at the end; among equals, those that converge earlier are better. Exploration by
temperature is drawn from one distribution for all learners that have it, the start of Q from the
same two choices for all but Distributed-Q, which needs a low one.

Configurations, scores and the measurement go to benchmarks/tuning/GAME.json, the kept settings to
tuned_configs/tabular.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from tabular_games import GAMES, Game
from write_tuned_configs import write_configs

from rommeo_rllib.reporting.statistics import success_rate
from rommeo_rllib.tabular import LEARNERS, TabularLearner

FINALISTS = 5
OPTIMISM = 12.0


def main() -> None:
    """Tunes one game's learners, or those that are named."""
    arguments = _arguments()
    game = GAMES[arguments.game]
    file = Path(__file__).parent / "tuning" / f"{game.name}.json"
    results = json.loads(file.read_text())["learners"] if file.exists() else {}
    for name in arguments.learners or LEARNERS:
        begin = time.process_time()
        results[name] = _tune(game, LEARNERS[name], arguments)
        rate, seconds = results[name]["measured"]["rate"], time.process_time() - begin
        print(f"{game.name} {name}: {rate:.3f} in {seconds:.0f} s CPU", flush=True)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(_report(game, arguments, results), indent=1) + "\n")
    write_configs(game, json.loads(file.read_text()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--game", choices=list(GAMES), required=True)
    parser.add_argument("--learners", nargs="*", choices=list(LEARNERS), default=[])
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--final-trials", type=int, default=300)
    parser.add_argument("--measured-trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _report(game: Game, arguments: argparse.Namespace, results: dict[str, Any]) -> dict[str, Any]:
    budget = {
        name: getattr(arguments, name)
        for name in ("configurations", "trials", "final_trials", "measured_trials", "seed")
    }
    return {
        "command": f"python benchmarks/tune_tabular.py --game {game.name} --configurations "
        f"{arguments.configurations} --trials {arguments.trials} --final-trials "
        f"{arguments.final_trials} --measured-trials {arguments.measured_trials} --seed "
        f"{arguments.seed}",
        "budget": {**budget, "finalists": FINALISTS, "episodes": game.episodes},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        "learners": results,
    }


def _tune(
    game: Game, learner: type[TabularLearner], arguments: argparse.Namespace
) -> dict[str, Any]:
    # Every learner begins with the same generator: those that share a setting draw it alike.
    rng = np.random.default_rng(arguments.seed)
    tried = []
    for number in range(arguments.configurations):
        settings = draw_settings(learner.name, game, rng)
        score = _score(game, learner, settings, arguments.trials, arguments.seed + 1000 + number)
        tried.append({"settings": settings, "score": score})
    tried.sort(key=lambda entry: -entry["score"])
    finalists = [
        {
            **entry,
            "final_score": _score(
                game, learner, entry["settings"], arguments.final_trials, arguments.seed + 2000
            ),
        }
        for entry in tried[:FINALISTS]
    ]
    best = max(finalists, key=lambda entry: entry["final_score"])
    measured = measure(
        game, learner, best["settings"], arguments.measured_trials, arguments.seed + 3000
    )
    return {"settings": best["settings"], "measured": measured, "tried": tried}


def measure(
    game: Game, learner: type[TabularLearner], settings: dict[str, Any], trials: int, seed: int
) -> dict[str, Any]:
    """The share of trials that converged by the last episode, with its Wilson interval; and by a
    third of the episodes.
    """
    play = game.play(learner, settings, trials, seed)
    early, late = (play.run(number)[2] for number in (game.third, game.episodes - game.third))
    assert early is not None
    assert late is not None
    successes = int(late.sum())
    return {
        **success_rate(successes, trials).as_dict("rate"),
        "successes": successes,
        "successes_after_a_third": int(early.sum()),
        "trials": trials,
        "episodes": game.episodes,
        "seed": seed,
    }


def _score(
    game: Game, learner: type[TabularLearner], settings: dict[str, Any], trials: int, seed: int
) -> float:
    """The share that has converged at the end; less than one trial's worth for converging early.

    The mean share after each third of the episodes, and the mean probability of the optimum, break
    ties.
    """
    play = game.play(learner, settings, trials, seed)
    shares, probabilities = [], []
    for _ in range(3):
        p_optimum, _, has_converged = play.run(game.third)
        assert has_converged is not None
        shares.append(has_converged.mean())
        probabilities.append(p_optimum.mean())
    return float(shares[-1] + 1e-3 * np.mean(shares) + 1e-5 * np.mean(probabilities))


def draw_settings(name: str, game: Game, rng: np.random.Generator) -> dict[str, Any]:
    """One random configuration of the learner `name`."""
    # Drawn for all learners, in this order, whether used or not.
    temperature = _falling(rng, game, 0.5, 500.0, 0.05, 20.0)
    epsilon = _falling(rng, game, 0.2, 1.0, 0.001, 0.02)
    learning_rate = _log_uniform(rng, 0.05, 1.0)
    initial_q = OPTIMISM if rng.random() < 0.5 else (0.0, 1.0)
    common = {"learning_rate": learning_rate, "initial_q": initial_q}
    joint = {**common, "batch_size": 16 if rng.random() < 0.5 else None}
    window = 50 if rng.random() < 0.5 else None
    if name in ("ROMMEO-Q", "ROMMEO-Q-EMP"):
        return {**joint, "alpha": temperature, "prior_window": window}
    if name == "JAL":
        return {**joint, "temperature": temperature, "prior_window": window}
    if name == "PR2-Q":
        return {**joint, "temperature": temperature}
    if name == "FMQ-c10":
        return {**common, "temperature": temperature}
    if name == "Distributed-Q":
        return {"epsilon": epsilon}
    if name == "WoLF-PHC":
        delta_win = _log_uniform(rng, 0.003, 0.3)
        ratio = _log_uniform(rng, 1.5, 8.0)
        deltas = {"delta_win": delta_win, "delta_lose": round(delta_win * ratio, 4)}
        return {**common, "epsilon": epsilon, **deltas}
    if name == "Hysteretic-Q":
        rate = _log_uniform(rng, 0.001, 0.1)
        return {**common, "temperature": temperature, "decrease_rate": rate, "epsilon": 0.0}
    return {**common, **_lenient(rng)}


def _lenient(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "max_temperature": _log_uniform(rng, 5.0, 500.0),
        "min_temperature": _log_uniform(rng, 0.05, 2.0),
        "temperature_decay": round(1.0 - _log_uniform(rng, 0.002, 0.2), 4),
        "action_moderation": _log_uniform(rng, 0.05, 2.0),
        "leniency_moderation": _log_uniform(rng, 0.1, 10.0),
    }


def _falling(
    rng: np.random.Generator, game: Game, low: float, high: float, last_low: float, last: float
) -> dict[str, Any]:
    return {
        "initial": _log_uniform(rng, low, high),
        "final": _log_uniform(rng, last_low, last),
        "decay_steps": round(_log_uniform(rng, game.plays / 30, game.plays * 0.8)),
        "kind": "exponential" if rng.random() < 0.5 else "linear",
    }


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform, to three digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")


if __name__ == "__main__":
    main()
