"""`rommeo sweep`: which alpha, or which schedule of it, works on a game."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import configurations
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.train import (
    default_name,
    pictures_folder,
    raise_if_failed,
    resolved,
    with_seeds,
    write_rows,
)
from rommeo_rllib.commands.tuning import ENV_STEPS, quiet_ray, run_trials
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean, success_rate
from rommeo_rllib.schedules import ScheduleSpec, make_alpha


@dataclass(frozen=True)
class Outcome:
    """What one setting of alpha has brought."""

    alpha: Any
    seeds: int
    success: Interval | None
    mean: Interval

    def row(self) -> dict[str, Any]:
        """The setting's entry in the JSON table."""
        return {
            "alpha": self.alpha,
            "seeds": self.seeds,
            "success": self.success and self.success.as_dict("rate"),
            "return_per_play": {
                # Bounds that are not known are null: JSON has no NaN.
                name: None if math.isnan(number) else number
                for name, number in self.mean.as_dict("mean").items()
            },
        }


@dataclass
class Sweep:
    """Try values and schedules of alpha, several seeds each, and show what they bring.

    Constants come from --alpha; schedules are all combinations of --initial and --decay-steps.
    Prints a table, best setting first, and draws success against alpha or a heat map.
    """

    configuration: tyro.conf.Positional[str]
    """A configuration's name, such as max_of_two_quadratics/rommeo_ac or climbing_game/rommeo_q, or
    a Python file."""

    alpha: tuple[float, ...] = ()
    """Constant values of alpha (of the temperature, for rivals that have one instead)."""

    initial: tuple[float, ...] = ()
    """Initial values of alpha's schedules."""

    decay_steps: tuple[int, ...] = ()
    """Env steps (plays) after which the schedules are at their final value."""

    final: float = 0.1
    """Final value of the schedules."""

    kind: str = "linear"
    """How the schedules fall: linear or exponential."""

    num_samples: int = 20
    """Seeds of each setting."""

    seed: int = 0
    """The first seed."""

    success_above: float | None = None
    """A seed is a success if its last return per play is above this. Tabular learners know
    themselves whether they have converged."""

    stop_steps: int | None = None
    """Env steps after which to stop; by default what the configuration says (300 episodes for
    tabular learners)."""

    storage: str = "results"
    """Folder (or URI) for results and pictures."""

    name: str | None = None
    """Name of the experiment's folder in the storage."""

    resume: bool = False
    """Go on with the experiment of that name where it was stopped."""

    json: Path | None = None
    """File to write the table to: one object a setting."""

    def run(self, console: Console) -> None:
        """Sweeps, then reports."""
        settings = self._settings()
        if self.resume and self.name is None:
            raise UsageError("--resume needs --name: which experiment?")
        module = configurations.import_file(self.configuration)
        name = self.name or default_name(self.configuration)
        storage = resolved(self.storage)
        console.print(
            f"Sweeping alpha of [bold]{self.configuration}[/]: {len(settings)} settings, "
            f"{self.num_samples} seeds each ..."
        )
        with quiet_ray():
            if configurations.is_tabular(module):
                results, outcomes = self._tabular(module, settings, storage, name, console)
            else:
                results, outcomes = self._algorithm(settings, storage, name, console)
        self._report(outcomes, storage, name, console)
        raise_if_failed(results, f"{storage}/{name}")

    def _settings(self) -> list[ScheduleSpec]:
        schedules = [
            {"initial": i, "final": self.final, "decay_steps": d, "kind": self.kind}
            for i in self.initial
            for d in self.decay_steps
        ]
        settings: list[Any] = [*self.alpha, *schedules]
        if not settings or self.num_samples < 1:
            raise UsageError(
                "Nothing to sweep: give values by --alpha, or --initial and --decay-steps, and "
                "at least 1 for --num-samples."
            )
        for setting in settings:
            try:
                make_alpha(setting)
            except ValueError as error:
                raise UsageError(str(error)) from error
        return settings

    def _tabular(
        self, module: ModuleType, settings: list[Any], storage: str, name: str, console: Console
    ) -> tuple[Any, list[Outcome]]:
        """All seeds of a setting are trials of one learner, which play at once."""
        from ray import tune

        from rommeo_rllib.tabular.trainable import CONVERGED, REWARD, TRAINABLES

        plays = module.plays_per_episode
        episodes = math.ceil(self.stop_steps / plays) if self.stop_steps else 300
        has_alpha = "alpha" in module.learner.Settings.__dataclass_fields__
        key = "alpha" if has_alpha else "temperature"
        space = {
            **module.settings,
            "game": module.game,
            "game_settings": module.game_settings,
            "plays_per_episode": plays,
            "trials": self.num_samples,
            "episodes": episodes,
            "seed": self.seed,
            key: tune.grid_search(settings),
        }
        results = run_trials(
            TRAINABLES[module.learner.name],
            space,
            stop={},
            storage=storage,
            name=name,
            num_trials=len(settings),
            console=console,
            metric=CONVERGED,
            resume=self.resume,
            checkpoint=False,
        )
        outcomes = []
        for result in results:
            if result.error is None:
                share, reward = result.metrics.get(CONVERGED), result.metrics[REWARD]
                success = share if share is None else round(share * self.num_samples)
                outcomes.append(
                    Outcome(
                        result.config[key],
                        self.num_samples,
                        success if success is None else success_rate(success, self.num_samples),
                        Interval(reward, math.nan, math.nan),
                    )
                )
        return results, outcomes

    def _algorithm(
        self, settings: list[Any], storage: str, name: str, console: Console
    ) -> tuple[Any, list[Outcome]]:
        """The seeds of a setting are replicas of one trial where that is possible."""
        from ray import tune

        from rommeo_rllib.commands.seed_runs import seed_runs
        from rommeo_rllib.commands.train import can_be_replicated

        configuration = configurations.load(self.configuration)
        config = configuration.config
        replicas = self.num_samples if can_be_replicated(config) else 1
        seeds = list(range(self.seed, self.seed + self.num_samples, replicas))
        config.evaluation(evaluation_interval=None)
        config.metrics_num_episodes_for_smoothing = 3
        config.training(alpha=tune.grid_search(settings))
        if self.stop_steps is not None:
            configuration.stop[ENV_STEPS] = self.stop_steps
        results = run_trials(
            config.algo_class,
            with_seeds(config, seeds, replicas),
            stop=configuration.stop,
            storage=storage,
            name=name,
            num_trials=len(settings) * len(seeds),
            console=console,
            resume=self.resume,
            checkpoint=False,
        )
        outcomes = []
        for setting in settings:
            own = [r for r in results if r.error is None and r.config["alpha"] == setting]
            returns = [run.row()["return_per_play"] for run in seed_runs(own)]
            if returns:
                outcomes.append(self._outcome(setting, returns))
        return results, outcomes

    def _outcome(self, setting: Any, returns: list[float]) -> Outcome:
        success = None
        if self.success_above is not None:
            count = sum(value > self.success_above for value in returns)
            success = success_rate(count, len(returns))
        return Outcome(setting, len(returns), success, bootstrap_mean(returns))

    def _report(self, outcomes: list[Outcome], storage: str, name: str, console: Console) -> None:
        from rommeo_rllib.commands.sweep_figures import write_pictures

        table = Table(title="Settings of alpha, best first (95 % intervals)")
        for heading in ("alpha", "seeds", "success", "return per play"):
            table.add_column(heading, justify="left" if heading == "alpha" else "right")
        for outcome in sorted(outcomes, key=_goodness, reverse=True):
            mean = outcome.mean
            known = not math.isnan(mean.low)
            table.add_row(
                describe(outcome.alpha),
                str(outcome.seeds),
                "-" if outcome.success is None else str(outcome.success),
                str(mean) if known else f"{mean.value:.3g}",
            )
        console.print(table)
        if self.json is not None:
            write_rows(self.json, [outcome.row() for outcome in outcomes])
        folder = pictures_folder(storage, name)
        for path in write_pictures(outcomes, self.configuration, folder):
            console.print(f"Picture: {path}", soft_wrap=True)


def describe(alpha: Any) -> str:
    """A setting of alpha in few words."""
    if not isinstance(alpha, dict):
        return f"{alpha:g}"
    return (
        f"{alpha['initial']:g} to {alpha['final']:g} in {alpha['decay_steps']} env steps, "
        f"{alpha['kind']}"
    )


def _goodness(outcome: Outcome) -> tuple[float, float]:
    return (outcome.success.value if outcome.success else 0.0, outcome.mean.value)
