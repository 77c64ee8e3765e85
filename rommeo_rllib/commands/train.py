"""`rommeo train`: trains a configuration over one or more seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import options
from rommeo_rllib.commands.storage import default_name, pictures_folder, require_name, resolved
from rommeo_rllib.commands.tables import write_rows
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.about import About
from rommeo_rllib.experiments.configurations import Configuration, fixed_of, require_end
from rommeo_rllib.experiments.ray_session import quiet_ray
from rommeo_rllib.experiments.running import (
    Experiment,
    raise_if_incomplete,
    require_agreement,
    run_trials,
)
from rommeo_rllib.experiments.seed_runs import SeedRun, seed_runs
from rommeo_rllib.experiments.seeds import replicas_to_use, seeds_text, trials_of_seeds
from rommeo_rllib.experiments.settings import apply_settings, require_no_seed
from rommeo_rllib.experiments.trials import ENV_STEPS, MOST_TRIALS, Results, TrialResult
from rommeo_rllib.reporting import train_figures

_MOST_ROWS_SHOWN = 40


@dataclass
class Train:
    """Train an algorithm on a game by the name of a configuration.

    Runs one or more seeds with Ray Tune, then prints a table and writes pictures.
    """

    configuration: options.Configuration
    """A configuration's name, such as max_of_two_quadratics/rommeo_ac, or a Python file with
    `config` and `stop`."""

    seed: int = 0
    """The first seed; the others count up from it."""

    num_samples: int = 1
    """Number of seeds."""

    replicas: options.OptionalInt = None
    """Seeds that one trial computes together; by default, where the configuration allows it, as
    many as keep all CPUs busy. Results do not depend on it."""

    stop_steps: options.OptionalInt = None
    """Env steps after which to stop; by default what the configuration says."""

    checkpoint_frequency: int = 0
    """Iterations between two checkpoints, from which --resume goes on; by default there is one at
    the end, and an unfinished trial begins anew."""

    storage: str = "results"
    """Folder (or URI) for results, checkpoints and pictures."""

    name: options.OptionalText = None
    """Name of the experiment's folder in the storage; by default made from configuration and
    time."""

    resume: bool = False
    """Go on with the experiment of that name where it was stopped or failed."""

    extend: bool = False
    """As --resume, and run seeds that were not asked for before."""

    trust: options.ResumeTrust = False

    json: options.OptionalFile = None
    """File to write the table to: one object a seed."""

    set: options.Changes = field(default_factory=tuple)
    """Changes a key of the configuration, also a nested one: --set q_lr=0.001 --set
    env_config.surface=authors. May be given several times."""

    def run(self, console: Console) -> None:
        """Trains, then reports."""
        options.require_counts(self, "num_samples", "replicas", most=MOST_TRIALS)
        options.require_counts(self, "stop_steps")
        options.require_seed(self.seed, self.num_samples)
        require_name(self)
        options.require_writable("--json", self.json)
        storage = resolved(self.storage)
        configuration = self._configuration()
        name = self.name or default_name(configuration.name, storage)
        experiment = Experiment(
            configuration.config.algo_class,
            configuration.config,
            configuration.stop,
            storage=storage,
            name=name,
            trials=trials_of_seeds({}, self.seed, self.num_samples, 1),
            fixed=fixed_of(configuration.config, configuration.stop),
            checkpoint_frequency=self.checkpoint_frequency,
            about=About(configuration.name, self.seed, self.num_samples),
        )
        require_agreement(experiment, resume=self.resume, extend=self.extend, trust=self.trust)
        with quiet_ray():
            replicas = self.replicas or replicas_to_use(configuration.config, self.num_samples)
            experiment.trials = trials_of_seeds({}, self.seed, self.num_samples, replicas)
            which = seeds_text(range(self.seed, self.seed + self.num_samples))
            console.print(f"Training {configuration.name} with {which} ...")
            results = run_trials(experiment, console, resume=self.resume, extend=self.extend)
        self._report(results, configuration, storage, name, console)

    def _report(
        self,
        results: Results,
        configuration: Configuration,
        storage: str,
        name: str,
        console: Console,
    ) -> None:
        runs = seed_runs(results)
        if runs:
            _print_table(runs, console)
            if self.json is not None:
                write_rows(self.json, [run.row() for run in runs])
            folder, trained = pictures_folder(storage, name), configuration
            for path in train_figures.write_pictures(runs, trained.config, trained.name, folder):
                console.print(f"Picture: {path}", soft_wrap=True)
        for result in results.unfinished:
            console.print(_unfinished(result), soft_wrap=True, markup=False)
        raise_if_incomplete(results, f"{storage}/{name}")

    def _configuration(self) -> Configuration:
        configuration = configurations.load(self.configuration)
        config = configuration.config
        if config.evaluation_interval is None:
            config.evaluation(
                evaluation_interval=10, evaluation_duration=1, evaluation_config={"explore": False}
            )
        config.metrics_num_episodes_for_smoothing = 3
        require_no_seed(self.set, "--set")
        apply_settings(config, self.set)
        if self.stop_steps is not None:
            configuration.stop[ENV_STEPS] = self.stop_steps
        self._set_replicas(config)
        configurations.validate(config, self.set)
        require_end(configuration.stop)
        return configuration

    def _set_replicas(self, config: Any) -> None:
        if self.replicas is None or self.replicas == getattr(config, "replicas", 1):
            return
        if not hasattr(config, "replicas"):
            raise UsageError(
                f"--replicas {self.replicas}: {config.algo_class.__name__} cannot compute seeds "
                "together; allowed: 1."
            )
        config.training(replicas=self.replicas)


def _print_table(runs: list[SeedRun], console: Console) -> None:
    table = Table(title="Return of an agent per play")
    for heading in ("seed", "env steps", "sampled, last 3 episodes", "greedy"):
        table.add_column(heading, justify="right")
    for row in (run.row() for run in runs[:_MOST_ROWS_SHOWN]):
        greedy = row["greedy_return_per_play"]
        table.add_row(
            str(row["seed"]),
            str(row["env_steps"]),
            f"{row['return_per_play']:.2f}",
            "-" if greedy is None else f"{greedy:.2f}",
        )
    console.print(table)
    if len(runs) > _MOST_ROWS_SHOWN:
        console.print(f"... and {len(runs) - _MOST_ROWS_SHOWN} seeds more.")
    for checkpoint in dict.fromkeys(run.checkpoint for run in runs):
        seeds = [run.seed for run in runs if run.checkpoint == checkpoint]
        console.print(f"Checkpoint of {seeds_text(seeds)}: {checkpoint}", soft_wrap=True)


def _unfinished(result: TrialResult) -> str:
    """What there is of a trial that has not come to its end."""
    which = seeds_text(result.trial.seeds).capitalize()
    steps = int(result.metrics.get(ENV_STEPS, 0))
    saved = f"checkpoint: {result.checkpoint.path}" if result.checkpoint else "no checkpoint yet"
    return f"{which}: not ended, partial results up to env step {steps}; {saved}."
