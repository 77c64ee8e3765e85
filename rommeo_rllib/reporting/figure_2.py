"""What Figure 2 shows: numbers and pictures of seeds, their clock counting episodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting import train_figures
from rommeo_rllib.reporting.figures import plot_curves, save
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean, first_for_good, success_rate

Runs: TypeAlias = list[SeedRun]

OURS = "ROMMEO-AC"
"""Whose learning path and opponent models are drawn."""

THRESHOLD = 9.0
"""A return per play above this is the global optimum's."""

OPTIMA = {"global_optimum": 5.0, "local_optimum": -5.0}
"""Both agents' action at each optimum."""

NEAR = 1.0
"""So near to it, in units of the action, a greedy joint action counts as an optimum's; at the
global one that is a return above 9."""

POLICY_MEASURES = {
    "marginal_mean": "marginal_policy_mean_0",
    "greedy_action": "policy_mean_0",
}
"""What of a policy the model of it is compared with.

The paper's figure shows the mean of the policy's answers to what the opponent model samples. The
greedy action answers the opponent model's mode.
"""

_PLAYERS = ("player_0", "player_1")
_LOWEST_DRAWN = -20.0


def table(runs: Mapping[str, Runs]) -> dict[str, Any]:
    """What figure-2.json says: an entry for each algorithm, and rho's lead over the policy.

    Args:
        runs: each algorithm's seeds, whose `env_steps` count episodes.
    """
    report: dict[str, Any] = {"algorithms": {name: entry(found) for name, found in runs.items()}}
    if OURS in runs:
        report["rho_lead_episodes"] = {
            name: rho_lead(runs[OURS], metric) for name, metric in POLICY_MEASURES.items()
        }
    return report


def entry(runs: Runs) -> dict[str, Any]:
    """One algorithm's entry."""
    greedy = np.array([last_means(run, "policy_mean_0") for run in runs])
    episodes = np.array([episodes_to_stay_above(run, run.returns, THRESHOLD) for run in runs])
    shares = {
        name: success_rate(int(is_near(greedy, action).sum()), len(runs)).as_dict("rate")
        for name, action in OPTIMA.items()
    }
    return {
        "seeds": len(runs),
        **{name: _plain(share) for name, share in shares.items()},
        "episodes_to_9": {
            "median": _or_none(float(np.median(episodes))),
            "worst": _or_none(float(episodes.max())),
            "seeds_reached": int(np.isfinite(episodes).sum()),
        },
        "final_return": _plain(bootstrap_mean([run.returns[-1] for run in runs]).as_dict("mean")),
    }


def is_near(greedy: np.ndarray, action: float) -> np.ndarray:
    """Whether joint actions are near the optimum at which both play `action`: (n, 2) -> (n,)."""
    return np.linalg.norm(greedy - action, axis=-1) < NEAR


def last_means(run: SeedRun, metric: str) -> list[float]:
    """The players' latest values of a metric; NaN before the first update."""
    return [float(_reports(run, player, metric)[-1]) for player in _PLAYERS]


def episodes_to_stay_above(run: SeedRun, values: np.ndarray, threshold: float) -> float:
    """The episode from which on `values`, (reports,), are above the threshold; or infinity."""
    first = float(first_for_good(values > threshold))
    return float(run.env_steps[int(first)]) if np.isfinite(first) else np.inf


def rho_lead(runs: Runs, policy_metric: str) -> dict[str, Any]:
    """By how many episodes the opponent models are ahead of the policies that they are about.

    For each seed the mean over agents of: the episode from which the opponent's policy stays within
    1 of the global optimum, less the episode from which the model of it does; over those seeds
    where both do. Both are means over an episode's plays, if the learner averages its metrics.

    Args:
        runs: of all seeds.
        policy_metric: one of `POLICY_MEASURES`.
    """
    near = OPTIMA["global_optimum"] - NEAR
    leads = []
    for run in runs:
        models, policies = (
            [episodes_to_stay_above(run, _reports(run, player, metric), near) for player in players]
            for players, metric in (
                (_PLAYERS, "opponent_model_mean_0"),
                (_PLAYERS[::-1], policy_metric),
            )
        )
        if np.isfinite([models, policies]).all():
            leads.append(float(np.mean(np.subtract(policies, models))))
    if not leads:
        return {"mean": None, "low": None, "high": None, "seeds": 0}
    return {**_plain(bootstrap_mean(leads).as_dict("mean")), "seeds": len(leads)}


def draw(runs: Mapping[str, Runs], config: Any, surface: str, out: Path) -> list[Path]:
    """Writes the pictures; returns their paths.

    Args:
        runs: each algorithm's seeds, whose `env_steps` count episodes.
        config: a configuration with the game that they played.
        surface: the reward surface's name.
        out: the folder.
    """
    seeds = len(next(iter(runs.values())))
    figures = {
        "figure-2b": plot_curves(
            {
                name: train_figures.curves(found, [run.returns for run in found])
                for name, found in runs.items()
            },
            title=f"2b  Returns, {surface} surface: median of {seeds} seeds, 95 % band",
            x_label="episode",
            y_label="return of an agent per play",
            reference=(10.0, "global optimum: 10"),
            statistic=np.median,
            each_seed=False,
            limits=(_LOWEST_DRAWN, 11.0),
        )
    }
    if OURS in runs:
        path = train_figures.learning_path(runs[OURS][0], config, f"2a  {OURS}, {surface} surface")
        means = train_figures.means(runs[OURS], f"2c  {OURS}, {surface} surface", "episode")
        figures |= {k: f for k, f in (("figure-2a", path), ("figure-2c", means)) if f is not None}
    return [path for name in sorted(figures) for path in save(figures[name], out, name)]


def cells(values: Mapping[str, Any]) -> list[str]:
    """An entry as a person reads it."""
    shares = [_text(values[name], "rate") for name in OPTIMA]
    reached = values["episodes_to_9"]
    median = "never" if reached["median"] is None else f"episode {reached['median']:.0f}"
    worst = "never" if reached["worst"] is None else f"{reached['worst']:.0f}"
    return [*shares, _text(values["final_return"], "mean"), f"{median} (worst: {worst})"]


def _reports(run: SeedRun, player: str, metric: str) -> np.ndarray:
    return run.metrics.get(f"{player}/{metric}", np.full(len(run.env_steps), np.nan))


def _text(values: Mapping[str, float], name: str) -> str:
    return str(Interval(values[name], values["low"], values["high"]))


def _plain(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
