"""Results of experiments that never ran, for tests of reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rommeo_rllib.experiments.about import About
from rommeo_rllib.experiments.results import Experiment, Group, Task
from rommeo_rllib.experiments.seed_runs import SeedRun

STEPS = np.arange(1, 31) * 25
AGENTS = ("player_0", "player_1")


def made_up_run(seed: int, *, ends_at: float = 9.5, learns: bool = True) -> SeedRun:
    """A seed whose models and policies go from (-5, -5) to (5, 5), the models one report ahead."""
    random = np.random.default_rng(seed)
    way = np.clip((np.arange(30) - 10 - seed % 3) / 5, 0, 1)
    ahead = np.append(way[1:], 1.0)
    metrics: dict[str, np.ndarray] = {}
    for agent in AGENTS if learns else ():
        metrics |= {
            f"{agent}/policy_mean_0": 10 * way - 5 + random.normal(0, 0.05, 30),
            f"{agent}/opponent_model_mean_0": 10 * ahead - 5 + random.normal(0, 0.05, 30),
            f"{agent}/opponent_model_kl": 1.5 * way,
            f"{agent}/opponent_model_log_likelihood": -10 * way,
            f"{agent}/opponent_prior_log_likelihood": -0.5 - 0 * way,
            f"{agent}/alpha": np.geomspace(20, 0.1, 30),
        }
    return SeedRun(
        seed=seed,
        checkpoint=None,
        replica=None,
        env_steps=STEPS,
        returns=-5 + (ends_at + 5) * way + random.normal(0, 0.1, 30),
        greedy_returns=-4 + (ends_at + 4) * way,
        metrics=metrics,
    )


def made_up_group(
    runs: list[SeedRun],
    *,
    algorithm: str = "ROMMEO-AC",
    name: str | None = None,
    game: str = "max_of_two_quadratics",
    **config: Any,
) -> Group:
    """A group with this name in a report."""
    config = {"env": game, "env_config": {}, "seed": 0, **config}
    task = Task(game, {})
    return Group(algorithm, {}, Path("made-up"), task, config, runs, None, name or algorithm)


def made_up_experiment(*groups: Group, missing: list[str] | None = None) -> Experiment:
    """An experiment of these groups."""
    about = About("made/up", 0, 4, 9.0, commands=("rommeo train made/up --num-samples 4",))
    versions = [{"python": "3.11.0", "ray": "2.60.0"}]
    return Experiment(Path("made-up"), about, list(groups), missing or [], versions)
