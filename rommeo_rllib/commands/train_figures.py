"""The pictures that `rommeo train` makes: the paper's Fig. 2 for the runs at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib import envs
from rommeo_rllib.commands.tuning import ENV_STEPS
from rommeo_rllib.reporting.figures import Curves, plot_curves, plot_learning_path, save

if TYPE_CHECKING:
    from rommeo_rllib.commands.train import _Trial

_X_LABEL = "env steps"


def write_pictures(trials: list[_Trial], config: Any, name: str, folder: Path) -> list[Path]:
    """Writes all pictures that fit the runs; returns the PNGs' paths."""
    figures: dict[str, Figure] = {"return_per_play": _returns(trials, name)}
    means = _means(trials, name)
    if means is not None:
        figures["policy_and_opponent_model"] = means
    for trial in trials[:1]:
        path = _learning_path(trial, config, name)
        if path is not None:
            figures["learning_path"] = path
    return [save(figure, folder, file)[0] for file, figure in figures.items()]


def _returns(trials: list[_Trial], name: str) -> Figure:
    named = {"sampled actions": Curves(*_aligned(trials, [t.returns_per_play() for t in trials]))}
    greedy = [t.returns_per_play("evaluation/") for t in trials if _has_greedy(t)]
    if len(greedy) == len(trials) and all(np.isfinite(g).all() for g in greedy):
        named["greedy"] = Curves(*_aligned(trials, greedy), dashed=True)
    return plot_curves(named, title=name, x_label=_X_LABEL, y_label="return of an agent per play")


def _means(trials: list[_Trial], name: str) -> Figure | None:
    """Means of policy and opponent model, where actions are continuous (Fig. 2c)."""
    named = {}
    for metric, label, dashed in (
        ("opponent_model_mean_", "opponent model of {}", False),
        ("policy_mean_", "policy of {}", True),
    ):
        per_trial = [trial.columns(metric) for trial in trials]
        for column in per_trial[0]:
            policy, _, key = column.partition("/")
            dimension = key.removeprefix(metric)
            several = f"{column[:-1]}1" in per_trial[0]
            title = label.format(policy) + (f" [{dimension}]" if several else "")
            curves = _aligned(trials, [columns[column] for columns in per_trial])
            named[title] = Curves(*curves, dashed=dashed)
    if not named:
        return None
    return plot_curves(named, title=name, x_label=_X_LABEL, y_label="mean action")


def _learning_path(trial: _Trial, config: Any, name: str) -> Figure | None:
    """The plays on the reward surface, for games of two continuous actions (Fig. 2a)."""
    if config.env not in envs.GAMES:
        return None
    game = envs.make(config.env, **config.env_config)
    spaces = [game.action_space(agent) for agent in game.possible_agents]
    recorded = [f"env_runners/joint_actions/{agent}" for agent in game.possible_agents]
    if len(spaces) != 2 or any(column not in trial.frame for column in recorded):
        return None
    if not all(hasattr(space, "high") for space in spaces):
        return None
    plays = np.stack([np.concatenate(trial.frame[c].dropna().to_list()) for c in recorded], axis=-1)
    means = list(trial.columns("policy_mean_0").values())
    path = np.stack(means, axis=-1) if len(means) == 2 else np.zeros((0, 2))
    return plot_learning_path(
        game.payoff,
        [float(space.low[0]) for space in spaces],
        [float(space.high[0]) for space in spaces],
        plays,
        path[np.isfinite(path).all(-1)],
        title=f"{name}, seed {trial.seed}",
    )


def _has_greedy(trial: _Trial) -> bool:
    return any(column.startswith("evaluation/env_runners/") for column in trial.frame)


def _aligned(trials: list[_Trial], values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Curves of all trials on the env steps that all have reached, without gaps."""
    length = min(len(v) for v in values)
    x = trials[0].frame[ENV_STEPS].to_numpy()[:length]
    y = np.stack([v[:length] for v in values])
    complete = np.isfinite(y).all(0)
    return x[complete], y[:, complete]
