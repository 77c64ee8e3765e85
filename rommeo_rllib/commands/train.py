"""`rommeo train`: trains a configuration over one or more seeds."""

from __future__ import annotations

import datetime
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import configurations, options
from rommeo_rllib.commands.about import About
from rommeo_rllib.commands.configurations import Configuration
from rommeo_rllib.commands.errors import CommandError, UsageError
from rommeo_rllib.commands.tuning import ENV_STEPS, Experiment, quiet_ray, run_trials

if TYPE_CHECKING:
    from rommeo_rllib.commands.seed_runs import SeedRun

_MOST_REPLICAS = 64
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

    storage: str = "results"
    """Folder (or URI) for results, checkpoints and pictures."""

    name: options.OptionalText = None
    """Name of the experiment's folder in the storage; by default made from configuration and
    time."""

    json: options.OptionalFile = None
    """File to write the table to: one object a seed."""

    set: options.Changes = field(default_factory=tuple)
    """Changes a key of the configuration, also a nested one: --set q_lr=0.001 --set
    env_config.surface=authors. May be given several times."""

    def run(self, console: Console) -> None:
        """Trains, then reports."""
        options.require_counts(self, "num_samples", "replicas", "stop_steps")
        options.require_seed(self.seed, self.num_samples)
        options.require_folder_name(self.name)
        configuration = self._configuration()
        with quiet_ray():
            name = self.name or default_name(configuration.name)
            storage = resolved(self.storage)
            replicas = self.replicas or replicas_to_use(configuration.config, self.num_samples)
            seeds = range(self.seed, self.seed + self.num_samples, replicas)
            last = self.seed + self.num_samples - 1
            which = f"seed {last}" if self.num_samples == 1 else f"seeds {self.seed} to {last}"
            console.print(f"Training {configuration.name} with {which} ...")
            experiment = Experiment(
                configuration.config.algo_class,
                with_seeds(configuration.config, list(seeds), replicas),
                stop=configuration.stop,
                storage=storage,
                name=name,
                num_trials=len(seeds),
                about=About(configuration.name, self.seed, self.num_samples),
            )
            results = run_trials(experiment, console)
        self._report(results, configuration, storage, name, console)

    def _report(
        self, results: Any, configuration: Configuration, storage: str, name: str, console: Console
    ) -> None:
        from rommeo_rllib.commands.seed_runs import seed_runs
        from rommeo_rllib.commands.train_figures import write_pictures

        # The last trial may have computed more seeds than were asked for.
        asked = range(self.seed, self.seed + self.num_samples)
        runs = [run for run in seed_runs(results) if run.seed in asked]
        if runs:
            _print_table(runs, console)
            if self.json is not None:
                write_rows(self.json, [run.row() for run in runs])
            folder = pictures_folder(storage, name)
            pictures = write_pictures(runs, configuration.config, configuration.name, folder)
            for path in pictures:
                console.print(f"Picture: {path}", soft_wrap=True)
        raise_if_failed(results, f"{storage}/{name}")

    def _configuration(self) -> Configuration:
        configuration = configurations.load(self.configuration)
        configurations.apply_settings(configuration.config, self.set)
        if self.stop_steps is not None:
            configuration.stop[ENV_STEPS] = self.stop_steps
        config = configuration.config
        if config.evaluation_interval is None:
            config.evaluation(
                evaluation_interval=10, evaluation_duration=1, evaluation_config={"explore": False}
            )
        config.metrics_num_episodes_for_smoothing = 3
        self._set_replicas(config)
        try:
            config.validate()
        except ValueError as error:
            raise UsageError(str(error)) from error
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


def can_be_replicated(config: Any) -> bool:
    """Whether seeds can be computed together, as replicas of one trial."""
    from rommeo_rllib.joint_action.config import JointActionConfig
    from rommeo_rllib.joint_action.plain_sampling import samples_plainly

    return (
        isinstance(config, JointActionConfig)
        and samples_plainly(config)
        and config.replicas == 1
        and not config.num_env_runners
        and not config.num_learners
    )


def replicas_to_use(config: Any, num_seeds: int) -> int:
    """As many as keep all CPUs busy, where seeds can be computed together at all."""
    import ray

    if not can_be_replicated(config):
        return getattr(config, "replicas", 1)
    cpus = int(ray.cluster_resources().get("CPU", 1))
    return min(math.ceil(num_seeds / cpus), _MOST_REPLICAS)


def with_seeds(config: Any, seeds: list[int], replicas: int) -> Any:
    """A search space with a trial for each of `seeds`, which are the seeds of first replicas."""
    from ray import tune

    if replicas > 1:
        config.training(replicas=replicas)
    return config.debugging(seed=tune.grid_search(seeds))


def resolved(storage: str) -> str:
    """The storage as Tune wants it: an absolute path or a URI."""
    return storage if "://" in storage else str(Path(storage).expanduser().resolve())


def default_name(configuration: str) -> str:
    """A folder's name for an experiment, from what is run and when."""
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return f"{configuration.replace('/', '-').strip('-.')}_{stamp}"


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
        which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
        console.print(f"Checkpoint of {which}: {checkpoint}", soft_wrap=True)


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a table as JSON, one object a row."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=2) + "\n")


def pictures_folder(storage: str, name: str) -> Path:
    """Where an experiment's pictures go: beside its results, or here if these are elsewhere."""
    return Path(storage if "://" not in storage else "results") / name / "figures"


def raise_if_failed(results: Any, where: str) -> None:
    """Raises a CommandError that says how many trials failed, and why the first did."""
    if results.errors:
        raise CommandError(
            f"{len(results.errors)} of {len(results)} trials failed; the first: "
            f"{reason(results.errors[0])}. Details are in {where}."
        )


def reason(error: Exception) -> str:
    """What of Ray's long report says what went wrong, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    # Ray's own errors only say that there was one.
    causes = [line for line in telling if not line.startswith("ray.")] or telling or lines
    if not causes:
        return repr(error)
    # RLlib puts an advice of its own in front of whatever goes wrong in an environment.
    first, last = causes[0], causes[-1]
    return last if first == last else f"{last} (cause: {first})"
