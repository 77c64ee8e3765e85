"""The pictures that `rommeo train` makes: the paper's Fig. 2 for the runs at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib import envs
from rommeo_rllib.commands.seed_runs import SeedRun
from rommeo_rllib.reporting.figures import Curves, plot_curves, plot_learning_path, save

_X_LABEL = "env steps"


def write_pictures(runs: list[SeedRun], config: Any, name: str, folder: Path) -> list[Path]:
    """Writes all pictures that fit the runs; returns the PNGs' paths."""
    figures: dict[str, Figure | None] = {
        "return_per_play": _returns(runs, name),
        "policy_and_opponent_model": means(runs, name),
        "learning_path": learning_path(runs[0], config, name),
    }
    return [save(figure, folder, file)[0] for file, figure in figures.items() if figure is not None]


def _returns(runs: list[SeedRun], name: str) -> Figure:
    """Learning curves (Fig. 2b)."""
    named = {"sampled actions": curves(runs, [run.returns for run in runs])}
    greedy = curves(runs, [run.greedy_returns for run in runs], dashed=True)
    if len(greedy.x):
        named["greedy"] = greedy
    return plot_curves(named, title=name, x_label=_X_LABEL, y_label="return of an agent per play")


def means(runs: list[SeedRun], name: str, x_label: str = _X_LABEL) -> Figure | None:
    """Means of policy and opponent model, where actions are continuous (Fig. 2c)."""
    named = {}
    for metric, label, dashed in (
        ("opponent_model_mean_", "opponent model of {}", False),
        ("policy_mean_", "policy of {}", True),
    ):
        per_run = [run.metrics_named(metric) for run in runs]
        for column in per_run[0]:
            policy, _, key = column.partition("/")
            several = f"{policy}/{metric}1" in per_run[0]
            title = label.format(policy) + (f" [{key.removeprefix(metric)}]" if several else "")
            named[title] = curves(runs, [metrics[column] for metrics in per_run], dashed=dashed)
    if not any(len(one.x) for one in named.values()):
        return None
    return plot_curves(named, title=name, x_label=x_label, y_label="mean action")


def learning_path(run: SeedRun, config: Any, name: str) -> Figure | None:
    """The plays on the reward surface, for games of two continuous actions (Fig. 2a)."""
    if config.env not in envs.GAMES:
        return None
    game = envs.make(config.env, **config.env_config)
    spaces = [game.action_space(agent) for agent in game.possible_agents]
    if len(spaces) != 2 or not all(hasattr(space, "high") for space in spaces):
        return None
    plays = run.stored_actions()
    if plays is None:
        return None
    low = np.array([float(space.low[0]) for space in spaces])
    high = np.array([float(space.high[0]) for space in spaces])
    columns = list(run.metrics_named("policy_mean_0").values())
    path = np.stack(columns, axis=-1) if len(columns) == 2 else np.zeros((0, 2))
    return plot_learning_path(
        game.payoff,
        low.tolist(),
        high.tolist(),
        low + (plays + 1.0) / 2.0 * (high - low),
        path[np.isfinite(path).all(-1)],
        title=f"{name}, seed {run.seed}",
    )


def curves(runs: list[SeedRun], values: list[np.ndarray], *, dashed: bool = False) -> Curves:
    """Curves of all runs at those env steps at which all have a value."""
    length = min(len(one) for one in values)
    y = np.stack([one[:length] for one in values])
    complete = np.isfinite(y).all(0)
    return Curves(runs[0].env_steps[:length][complete], y[:, complete], dashed)
