"""Figure 1 of the paper: the tabular learners on the iterated climbing game."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import rommeo_rllib
from rommeo_rllib.checks import positive_int
from rommeo_rllib.commands import options
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import figure_1
from rommeo_rllib.naming import shown
from rommeo_rllib.reporting.figure_1 import draw
from rommeo_rllib.tabular import LEARNERS, History
from rommeo_rllib.tabular.paper_settings import PAPER_SETTINGS

PAPER, TUNED = "the paper's settings", "tuned, equal budgets"
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
    sets = {PAPER: PAPER_SETTINGS, TUNED: figure_1.tuned_settings()}
    with _progress(console) as progress:
        task = progress.add_task("", total=2 * len(LEARNERS) * args.episodes)
        histories: dict[str, dict[str, History]] = {}
        for title, settings in sets.items():
            histories[title] = {}
            for name in LEARNERS:
                progress.update(task, description=f"{name}, {title}")
                histories[title][name] = figure_1.play(
                    name,
                    settings[name],
                    trials=args.trials,
                    episodes=args.episodes,
                    plays=args.plays,
                    seed=args.seed,
                    on_episode=lambda: progress.advance(task),
                )
    out = args.out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    pictures = draw(histories, out)
    report = {
        "learners": figure_1.table(histories[PAPER], sets[PAPER]),
        "tuned": figure_1.table(histories[TUNED], sets[TUNED]),
        "opponent_model_leads": {
            "learners": figure_1.lead(histories[PAPER]["ROMMEO-Q"]),
            "tuned": figure_1.lead(histories[TUNED]["ROMMEO-Q"]),
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
