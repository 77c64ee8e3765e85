"""The pictures that `rommeo train` makes: the paper's Fig. 2 for the runs at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib import envs
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting.figures import Curves, plot_curves, plot_learning_path, save
from rommeo_rllib.reporting.page_figures import Surface

_X_LABEL = "env steps"
_MARGINAL = "marginal_policy_mean_"


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
    """Means of policy and opponent model, where actions are continuous (Fig. 2c).

    Of a policy that answers an opponent model it is the mean over what that samples.
    """
    named = {}
    is_conditional = bool(runs[0].metrics_named(_MARGINAL))
    for metric, label, dashed in (
        ("opponent_model_mean_", "opponent model of {}", False),
        (_MARGINAL if is_conditional else "policy_mean_", "policy of {}", True),
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
    surface = reward_surface(config.env, config.env_config)
    plays = None if surface is None else plays_on(surface, run)
    if surface is None or plays is None:
        return None
    columns = list(run.metrics_named("policy_mean_0").values())
    path = np.stack(columns, axis=-1) if len(columns) == 2 else np.zeros((0, 2))
    return plot_learning_path(
        surface.payoff,
        surface.low,
        surface.high,
        plays,
        path[np.isfinite(path).all(-1)],
        title=f"{name}, seed {run.seed}",
    )


def reward_surface(env: Any, env_config: Mapping[str, Any]) -> Surface | None:
    """The rewards of a game of two agents with one continuous action each; else None.

    A game whose rewards change from play to play, by what agents observe, has no such surface.
    """
    if env not in envs.GAMES:
        return None
    game = envs.make(env, **env_config)
    agents = game.possible_agents
    spaces = [game.action_space(agent) for agent in agents]
    stays = hasattr(game, "expected_payoffs") and not getattr(game, "context", 0.0)
    sizes = [np.size(getattr(space, "high", ())) for space in spaces]
    if not stays or sizes != [1, 1]:
        return None
    low, high = (
        tuple(float(getattr(space, bound).item()) for space in spaces) for bound in ("low", "high")
    )
    return Surface(
        game.expected_payoffs, (low[0], low[1]), (high[0], high[1]), (agents[0], agents[1])
    )


def plays_on(surface: Surface, run: SeedRun) -> np.ndarray | None:
    """What the seed has played, (plays, 2) in the game's units; None if it was not stored."""
    plays = run.stored_actions()
    if plays is None:
        return None
    low, high = np.array(surface.low), np.array(surface.high)
    return low + (plays + 1.0) / 2.0 * (high - low)


def curves(runs: list[SeedRun], values: list[np.ndarray], *, dashed: bool = False) -> Curves:
    """Curves of all runs at those env steps at which all have a value."""
    length = min(len(one) for one in values)
    y = np.stack([one[:length] for one in values])
    complete = np.isfinite(y).all(0)
    return Curves(runs[0].env_steps[:length][complete], y[:, complete], dashed)
