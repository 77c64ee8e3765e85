"""`rommeo sweep`: which alpha, or which schedule of it, works on a game."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console

from rommeo_rllib.commands import options
from rommeo_rllib.commands.storage import default_name, pictures_folder, require_name, resolved
from rommeo_rllib.commands.tables import print_outcomes, write_rows
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations, search_space
from rommeo_rllib.experiments.algorithm_sweep import AlgorithmPlan
from rommeo_rllib.experiments.ray_session import quiet_ray
from rommeo_rllib.experiments.running import (
    Experiment,
    raise_if_incomplete,
    require_agreement,
    run_trials,
)
from rommeo_rllib.experiments.search_space import Distribution
from rommeo_rllib.experiments.settings import require_different, require_no_seed
from rommeo_rllib.experiments.sweep_results import ALPHA, Outcome
from rommeo_rllib.experiments.sweeps import SweepPlan, SweepRequest
from rommeo_rllib.experiments.tabular_sweep import TabularPlan
from rommeo_rllib.experiments.trials import MOST_TRIALS
from rommeo_rllib.reporting.sweep_figures import write_pictures
from rommeo_rllib.temperatures import make_alpha

_POINTS = 20
_FINAL = (0.1,)
_KIND: tuple[Literal["linear", "exponential"], ...] = ("linear",)


@dataclass
class Sweep:
    """Try values and schedules of alpha, or of any other key, and show what they bring.

    Constants of alpha come from --alpha; schedules are all combinations of --initial, --final,
    --decay-steps and --kind. Other keys have a --grid; --search draws points from distributions.
    All are combined, each with several seeds. Prints a table, best setting first, and draws
    pictures.
    """

    configuration: options.Configuration
    """A configuration's name, such as max_of_two_quadratics/rommeo_ac or climbing_game/rommeo_q, or
    a Python file."""

    alpha: options.Floats = ()
    """Constant values of alpha (of the temperature, for rivals that have one instead)."""

    initial: options.Floats = ()
    """Initial values of alpha's schedules."""

    decay_steps: options.Ints = ()
    """Env steps (plays) after which the schedules are at their final value."""

    final: tuple[float, ...] = _FINAL
    """Final values of the schedules."""

    kind: tuple[Literal["linear", "exponential"], ...] = _KIND
    """How the schedules fall."""

    grid: options.Changes = field(default_factory=tuple)
    """Values of another key: --grid q_lr=0.01,0.001. May be given several times."""

    search: options.Changes = field(default_factory=tuple)
    """What to draw a key's values from: --search 'alpha.initial=loguniform(1, 100)'; also uniform,
    randint, lograndint and choice. May be given several times."""

    points: int = _POINTS
    """How many points to draw; with --method pbt the size of the population."""

    method: Literal["random", "optuna", "pbt"] = "random"
    """How points are chosen: independently, by Optuna from what earlier ones brought, or by
    population-based training, which changes them in mid-training."""

    asha: bool = False
    """Stop the worse trials early."""

    perturb_every: options.OptionalInt = None
    """With --method pbt: env steps from one change to the next; by default an eighth of a trial."""

    metric: options.OptionalText = None
    """What Optuna, ASHA and population-based training raise: a path in the results; by default the
    mean return of an episode, or the share of trials that converged (tabular learners)."""

    set: options.Changes = field(default_factory=tuple)
    """Changes a key of the configuration for all settings, as for `rommeo train`."""

    num_samples: int = 20
    """Seeds of each setting."""

    seed: int = 0
    """The first seed."""

    replicas: options.OptionalInt = None
    """Seeds that one trial computes together; by default, where the configuration allows it, all
    of a setting. Results do not depend on it."""

    success_above: options.OptionalFloat = None
    """A seed is a success if its last return per play is above this; by default the table has mean
    returns alone. Tabular learners know themselves whether they have converged."""

    judge_by: Literal["sampled", "greedy"] = "sampled"
    """Whose return says whether a seed is a success: of sampled actions over the last episodes, or
    of greedy ones, evaluated once at the end. At a high alpha even the optimum's sampled return is
    low."""

    stop_steps: options.OptionalInt = None
    """Env steps after which to stop; by default what the configuration says (300 episodes for
    tabular learners)."""

    checkpoint_frequency: int = 0
    """Iterations between two checkpoints of a trial, from which --resume goes on; without any an
    unfinished trial begins anew, which is cheaper where trials are short."""

    storage: str = "results"
    """Folder (or URI) for results and pictures."""

    name: options.OptionalText = None
    """Name of the experiment's folder in the storage; by default made from configuration and
    time."""

    resume: bool = False
    """Go on with the experiment of that name where it was stopped or failed."""

    extend: bool = False
    """As --resume, and run what is asked for and was not before: values, seeds, points."""

    trust: options.ResumeTrust = False

    json: options.OptionalFile = None
    """File to write the table to: one object a setting."""

    def run(self, console: Console) -> None:
        """Sweeps, then reports."""
        plan = self.plan()
        storage = resolved(self.storage)
        name = self.name or default_name(self.configuration, storage)
        experiment = plan.experiment(storage, name)
        require_agreement(experiment, resume=self.resume, extend=self.extend, trust=self.trust)
        with quiet_ray():
            count = self.points if self.method == "optuna" else len(plan.settings)
            console.print(
                f"Sweeping {self.configuration}: {count} settings, "
                f"{self.num_samples} seeds each ..."
            )
            results = run_trials(experiment, console, resume=self.resume, extend=self.extend)
        self._report(plan.outcomes(results), experiment, console, is_partial=results.is_partial)
        raise_if_incomplete(results, experiment.folder)

    def plan(self) -> SweepPlan:
        """What is to run; raises a UsageError for options that do not fit."""
        request = self.request()
        module = configurations.import_file(self.configuration)
        if configurations.is_tabular(module):
            return TabularPlan(request, module)
        return AlgorithmPlan(request)

    def request(self) -> SweepRequest:
        """What is asked for; raises a UsageError for options that do not go together."""
        self._require_whole_schedules()
        options.require_counts(self, "num_samples", "points", "replicas", most=MOST_TRIALS)
        options.require_counts(self, "stop_steps", "perturb_every")
        options.require_seed(self.seed, self.num_samples)
        options.require_finite(self, "success_above")
        grids = search_space.parse_grid(self.grid)
        search = search_space.parse_search(self.search)
        alphas = search_space.alpha_settings(
            self.alpha, self.initial, self.final, self.decay_steps, self.kind
        )
        for setting in alphas:
            try:
                make_alpha(setting)
            except ValueError as error:
                raise UsageError(str(error)) from error
        if alphas:
            if ALPHA in grids:
                raise UsageError("--grid alpha=...: give alpha's values by --alpha alone.")
            grids = {ALPHA: alphas, **grids}
        if not grids and not search:
            raise UsageError(
                "Nothing to sweep: give values by --alpha, by --initial and --decay-steps, by "
                "--grid or by --search."
            )
        self._require_one_source(grids, search)
        if not search and self.points != _POINTS:
            raise UsageError(f"--points {self.points} has no effect without --search.")
        if self.perturb_every is not None and self.method != "pbt":
            raise UsageError(f"--perturb-every {self.perturb_every} is for --method pbt alone.")
        if self.method != "random" and (grids or not search):
            raise UsageError(f"--method {self.method} chooses values by --search, and by it alone.")
        if self.method == "pbt" and self.asha:
            raise UsageError("--asha and --method pbt both decide who goes on; choose one.")
        require_name(self)
        options.require_writable("--json", self.json)
        if self.extend and self.method == "pbt":
            raise UsageError("--extend: --method pbt has a population that cannot grow.")
        asked = {one.name for one in dataclasses.fields(SweepRequest)} - {"grids", "search"}
        same = {name: getattr(self, name) for name in asked}
        return SweepRequest(grids=grids, search=search, **same)

    def _require_whole_schedules(self) -> None:
        for option in ("alpha", "initial", "decay_steps", "final", "kind"):
            require_different(f"--{option.replace('_', '-')}", getattr(self, option))
        if bool(self.initial) != bool(self.decay_steps):
            given, missing = ("--initial", "--decay-steps")
            if self.decay_steps:
                given, missing = missing, given
            raise UsageError(f"{given} needs {missing}, too: a schedule has both.")
        if not self.initial and (self.final != _FINAL or self.kind != _KIND):
            raise UsageError(
                "--final and --kind are of schedules: give --initial and --decay-steps, too."
            )

    def _require_one_source(
        self, grids: Mapping[str, list[Any]], search: Mapping[str, Distribution]
    ) -> None:
        """Raises a UsageError for a value that another one would replace."""
        require_no_seed(self.set, "--set")
        for option, keys in (("--grid", grids), ("--search", search)):
            require_no_seed(keys, option, "replicas: --replicas")
        for key in grids:
            if key in search:
                raise UsageError(f"{key} has a --grid and a --search; allowed: one of them.")
        for setting in self.set:
            path = setting.partition("=")[0]
            for key in (*grids, *search):
                if path == key or path.startswith(f"{key}."):
                    raise UsageError(
                        f"--set {setting} has no effect, since {key} is swept: leave it out."
                    )

    def _report(
        self, outcomes: list[Outcome], experiment: Experiment, console: Console, *, is_partial: bool
    ) -> None:
        if is_partial:
            console.print("Partial: of trials that have not ended, or failed, nothing is counted.")
        if not outcomes:
            return
        print_outcomes(outcomes, console)
        if self.json is not None:
            write_rows(self.json, [outcome.row() for outcome in outcomes])
        folder = pictures_folder(experiment.storage, experiment.name)
        population = self.method == "pbt"
        for path in write_pictures(outcomes, self.configuration, folder, population=population):
            console.print(f"Picture: {path}", soft_wrap=True)
