"""The alpha map: which values and schedules of alpha find the optimum, and how often."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rommeo_rllib.commands import options
from rommeo_rllib.commands.tables import print_outcomes
from rommeo_rllib.envs.max_of_two_quadratics import SURFACES
from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.algorithm_sweep import AlgorithmPlan
from rommeo_rllib.experiments.folders import write_whole
from rommeo_rllib.experiments.ray_session import quiet_ray
from rommeo_rllib.experiments.running import raise_if_incomplete, run_trials
from rommeo_rllib.experiments.search_space import alpha_settings
from rommeo_rllib.experiments.sweep_results import ALPHA, Outcome
from rommeo_rllib.experiments.sweeps import SweepRequest
from rommeo_rllib.experiments.trials import MOST_TRIALS
from rommeo_rllib.reporting.sweep_figures import write_pictures

CONFIGURATIONS = {
    "tuned": "max_of_two_quadratics/rommeo_ac",
    "any-alpha": "max_of_two_quadratics/rommeo_ac_any_alpha",
    "paper": "max_of_two_quadratics/rommeo_ac_paper",
}
"""What is mapped, by the name used in options and files."""

CONSTANTS = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 10.0, 30.0, 100.0)
INITIAL = (1.0, 3.0, 10.0, 30.0, 100.0)
DECAY_STEPS = (50, 125, 250, 500)
FINAL = 0.1
SOLVED_ABOVE = 9.0
_MOST_SEEDS = MOST_TRIALS // (len(CONSTANTS) + len(INITIAL) * len(DECAY_STEPS))


def _before(file: Path) -> dict[str, Any]:
    """What was mapped before; raises a CommandError if that cannot be read."""
    try:
        report = dict(json.loads(file.read_text())) if file.exists() else {}
        return {name: dict(surfaces) for name, surfaces in report.items()}
    except (RecursionError, TypeError, ValueError) as error:
        raise CommandError(f"{file} is damaged: remove it, and maps are made anew.") from error


@dataclass
class AlphaMap:
    """Map alpha on Max of Two Quadratics: the share of seeds whose greedy return ends above 9.

    Over constant values of alpha, and over linear schedules by initial value and length. Called
    again with the same options it goes on where it was stopped.
    """

    settings: tuple[str, ...] = tuple(CONFIGURATIONS)
    """What to map: tuned, any-alpha (the tuned configuration's switch for any constant alpha) or
    paper (the authors' settings)."""

    surfaces: tuple[str, ...] = SURFACES
    """Which reward surfaces: paper (as printed) or authors (as in their program)."""

    seeds: int = 32
    """Number of seeds of each value and schedule."""

    stop_steps: int = 750
    """Env steps (plays) that each seed trains."""

    out: Path = Path("results/alpha-map")
    """Folder for the pictures, for alpha-map.json and for the trials."""

    def run(self, console: Console) -> None:
        """Maps, and prints the tables."""
        self._check()
        out = self.out.expanduser().resolve()
        file = out / "alpha-map.json"
        report = _before(file)
        with quiet_ray():
            for name in self.settings:
                for surface in self.surfaces:
                    console.print(f"{name} settings, {surface} surface ...")
                    outcomes = self._map(name, surface, out, console)
                    report.setdefault(name, {})[surface] = {
                        "command": self._command(name, surface),
                        "settings": [outcome.row() for outcome in outcomes],
                    }
                    write_whole(file, json.dumps(report, indent=1) + "\n")
        console.print(f"Written: {file}", soft_wrap=True)

    def _map(self, name: str, surface: str, out: Path, console: Console) -> list[Outcome]:
        # "any-alpha" is for constant values.
        initial = () if name == "any-alpha" else INITIAL
        alphas = alpha_settings(CONSTANTS, initial, (FINAL,), DECAY_STEPS, ("linear",))
        request = SweepRequest(
            CONFIGURATIONS[name],
            grids={ALPHA: alphas},
            num_samples=self.seeds,
            success_above=SOLVED_ABOVE,
            judge_by="greedy",
            stop_steps=self.stop_steps,
            set=(f"env_config.surface={surface}",),
        )
        plan = AlgorithmPlan(request)
        # Trials of other numbers of seeds or steps are other experiments.
        folder = f"{name}-{surface}-{self.seeds}-seeds-{self.stop_steps}-steps"
        experiment = plan.experiment(str(out / "trials"), folder)
        results = run_trials(experiment, console, resume=True)
        raise_if_incomplete(results, experiment.folder, "the same command")
        outcomes = plan.outcomes(results)
        print_outcomes(outcomes, console)
        constant = [o for o in outcomes if not isinstance(o.alpha, dict)]
        scheduled = [o for o in outcomes if isinstance(o.alpha, dict)]
        title = f"ROMMEO-AC, {name} settings, {surface} surface"
        for part in (constant, scheduled):
            for path in write_pictures(part, title, out / f"{name}-{surface}", curves=False):
                console.print(f"Picture: {path}", soft_wrap=True)
        return outcomes

    def _command(self, name: str, surface: str) -> str:
        return (
            f"rommeo reproduce alpha-map --settings {name} --surfaces {surface} "
            f"--seeds {self.seeds} --stop-steps {self.stop_steps}"
        )

    def _check(self) -> None:
        options.require_counts(self, "seeds", most=_MOST_SEEDS)
        options.require_counts(self, "stop_steps")
        options.require_writable_folder("--out", self.out)
        options.require_names("--settings", self.settings, list(CONFIGURATIONS))
        options.require_names("--surfaces", self.surfaces, SURFACES)
