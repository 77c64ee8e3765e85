"""Figure 1 of the paper: the tabular learners on the iterated climbing game."""

from __future__ import annotations

import importlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import rommeo_rllib
from rommeo_rllib.checks import positive_int
from rommeo_rllib.commands import options
from rommeo_rllib.envs import ClimbingGame
from rommeo_rllib.errors import UsageError
from rommeo_rllib.naming import shown
from rommeo_rllib.reporting import tabular_figures
from rommeo_rllib.reporting.figures import save
from rommeo_rllib.reporting.statistics import bootstrap_mean, first_for_good, success_rate
from rommeo_rllib.reporting.tabular_figures import Trace
from rommeo_rllib.tabular import LEARNERS, History, PayoffPlay, converged, make_learners
from rommeo_rllib.tabular.paper_settings import PAPER_SETTINGS

PAPER, TUNED = "the paper's settings", "tuned, equal budgets"
_TUNED_CONFIGS = "rommeo_rllib.tuned_configs.climbing_game"
_REWARD_WINDOW = 10
_OPTIMUM = 11.0
_MOST = 10**8


@dataclass
class Figure1:
    """Reproduce Figure 1: learning curves, convergence and opponent models, in pictures and JSON.

    Every learner plays with the paper's settings and, beside them, with those that tuning found
    with the same budget for all.
    """

    trials: int = 100
    """Number of independent trials of each learner."""

    episodes: int = 300
    """Number of episodes of a trial."""

    plays: int = 1
    """Number of plays of an episode."""

    seed: int = 0
    """Seed of all trials."""

    out: Path = Path("results/figure-1")
    """Folder for figure-1a, figure-1b and figure-1c, each as PNG and SVG, and for figure-1.json."""

    def run(self, console: Console) -> None:
        """Reproduces the figure and prints its table."""
        options.require_counts(self, "trials", "episodes", "plays")
        if self.trials * self.episodes > _MOST:
            raise UsageError(
                f"--trials {shown(self.trials)} --episodes {shown(self.episodes)}: allowed: at "
                f"most {_MOST} episodes of all trials, which are kept in memory."
            )
        options.require_seed(self.seed)
        options.require_writable_folder("--out", self.out)
        try:
            written = run(self, console)
        except ValueError as error:
            raise UsageError(str(error)) from error
        table = Table(title=f"{self.trials} trials; share converged [95 % interval] and P(A, A)")
        for heading in ("learner", PAPER, TUNED):
            table.add_column(heading)
        for name in written["learners"]:
            cells = [_cell(written[key][name]) for key in ("learners", "tuned")]
            table.add_row(name, *cells)
        console.print(table)


def _cell(entry: dict[str, Any]) -> str:
    share, p_optimum = entry["converged"], entry["p_optimum"]["mean"]
    return f"{share['rate']:.2f} [{share['low']:.2f}, {share['high']:.2f}], {p_optimum:.2f}"


def run(args: Figure1, console: Console | None = None) -> dict[str, Any]:
    """Plays, writes pictures and table, and returns what is written to figure-1.json.

    Args:
        args: what to do.
        console: where progress is shown; None shows none.

    Raises:
        ValueError: on a number below 1.
    """
    for name in ("trials", "episodes", "plays"):
        positive_int(name, getattr(args, name))
    sets = {PAPER: PAPER_SETTINGS, TUNED: tuned_settings()}
    with _progress(console) as progress:
        task = progress.add_task("", total=2 * len(LEARNERS) * args.episodes)
        histories: dict[str, dict[str, History]] = {}
        for title, settings in sets.items():
            histories[title] = {}
            for name in LEARNERS:
                progress.update(task, description=f"{name}, {title}")
                histories[title][name] = _play(
                    name, settings[name], args, lambda: progress.advance(task)
                )
    out = args.out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    pictures = _draw(histories, out)
    report = {
        "learners": _table(histories[PAPER], sets[PAPER]),
        "tuned": _table(histories[TUNED], sets[TUNED]),
        "opponent_model_leads": {
            "learners": _lead(histories[PAPER]["ROMMEO-Q"]),
            "tuned": _lead(histories[TUNED]["ROMMEO-Q"]),
        },
        "command": f"rommeo reproduce figure-1 --trials {args.trials} --episodes {args.episodes} "
        f"--plays {args.plays} --seed {args.seed}",
        "versions": {
            "rommeo_rllib": rommeo_rllib.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    (out / "figure-1.json").write_text(json.dumps(report, indent=1) + "\n")
    if console is not None:
        for path in [*pictures, out / "figure-1.json"]:
            console.print(f"Written: {path}", soft_wrap=True)
    return report


def tuned_settings() -> dict[str, dict[str, Any]]:
    """The settings of `tuned_configs/climbing_game`, by the learner's name."""
    modules = [
        importlib.import_module(f"{_TUNED_CONFIGS}.{module_name(name)}") for name in LEARNERS
    ]
    return {module.learner.name: dict(module.settings) for module in modules}


def module_name(learner: str) -> str:
    """The module of a learner's tuned configuration: "FMQ-c10" -> "fmq"."""
    return learner.lower().replace("-c10", "").replace("-", "_")


def _play(
    name: str, settings: Mapping[str, Any], args: Figure1, on_episode: Callable[[], object]
) -> History:
    game = ClimbingGame()
    n_actions = [int(game.action_space(agent).n) for agent in game.possible_agents]
    learners = make_learners(
        LEARNERS[name], n_actions, trials=args.trials, seed=args.seed, **settings
    )
    play = PayoffPlay(game.payoff, learners, plays_per_episode=args.plays, trace=name == "ROMMEO-Q")
    return play.run(args.episodes, on_episode)


def _table(
    histories: Mapping[str, History], settings: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What figure-1.json says of each learner."""
    table = {}
    for name, history in histories.items():
        success = converged(history)
        mean = history.p_optimum.mean(1)
        table[name] = {
            "converged": success_rate(int(success.sum()), len(success)).as_dict("rate"),
            "p_optimum": bootstrap_mean(history.p_optimum[-1]).as_dict("mean"),
            "reward": bootstrap_mean(history.rewards[-1]).as_dict("mean"),
            "episodes_to_0.5": _first(mean > 0.5),
            "episodes_to_0.9": _first(mean > 0.9),
            "settings": dict(settings[name]),
        }
    return table


def _lead(history: History) -> dict[str, float | None]:
    """Figure 1c in numbers: when the probability of A passes 0.8, and when it does so for good.

    Medians, over trials and both agents, of episodes from 1; in the opponent models (rho) and in
    the policies that these are about (pi). None where the median trial never gets there.
    """
    medians: dict[str, float | None] = {}
    for key, curves in (("rho", history.opponent_models), ("pi", history.policies)):
        is_above = np.stack([curve[..., 0] > 0.8 for curve in curves], axis=1)
        first = np.where(is_above.any(0), is_above.argmax(0) + 1.0, np.inf)
        stays = first_for_good(is_above) + 1.0
        for what, episodes in (("passes", first), ("stays_above", stays)):
            median = float(np.median(episodes))
            medians[f"{key}_{what}_0.8"] = median if np.isfinite(median) else None
    return medians


def _first(passes: NDArray[np.bool_]) -> int | None:
    """The number, from 1, of the first episode at which the mean over trials passes."""
    return int(passes.argmax()) + 1 if passes.any() else None


def _draw(histories: Mapping[str, Mapping[str, History]], out: Path) -> list[Path]:
    """Writes the three pictures; returns their paths."""
    rewards = {
        title: {name: history.rewards for name, history in learners.items()}
        for title, learners in histories.items()
    }
    p_optimum = {
        title: {name: history.p_optimum for name, history in learners.items()}
        for title, learners in histories.items()
    }
    traces = {title: _trace(learners["ROMMEO-Q"]) for title, learners in histories.items()}
    figures = {
        "figure-1a": tabular_figures.learning_curves(
            _titled(rewards, "1a  Reward, {}"),
            y_label=f"reward of a play (mean of the last {_REWARD_WINDOW} episodes)",
            mark=(_OPTIMUM, "optimum: 11"),
            limits=(None, 12.5),
            window=_REWARD_WINDOW,
        ),
        "figure-1b": tabular_figures.learning_curves(
            _titled(p_optimum, "1b  Convergence, {}"),
            y_label="probability of (A, A)",
            mark=(0.9, "converged: above 0.9"),
            limits=(-0.02, 1.02),
        ),
        "figure-1c": tabular_figures.opponent_model_traces(
            _titled(traces, "1c  ROMMEO-Q in trial 0, {}")
        ),
    }
    return [path for name, figure in figures.items() for path in save(figure, out, name)]


def _titled(panels: Mapping[str, Any], template: str) -> dict[str, Any]:
    return {template.format(title): panel for title, panel in panels.items()}


def _trace(history: History) -> Trace:
    """Agent i's model of the other one, and the other one's policy, in trial 0."""
    believed = [model[:, 0, 0] for model in history.opponent_models]
    played = [policy[:, 0, 0] for policy in reversed(history.policies)]
    return Trace(believed, played)


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} episodes"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=console is None,
    )
