"""`rommeo train`: trains a configuration over one or more seeds."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import options
from rommeo_rllib.errors import CommandError, Interrupted, UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.about import About
from rommeo_rllib.experiments.configurations import Configuration
from rommeo_rllib.experiments.folders import Folder, write_whole
from rommeo_rllib.experiments.running import (
    ENV_STEPS,
    Experiment,
    quiet_ray,
    require_agreement,
    run_trials,
)
from rommeo_rllib.experiments.trials import Results, Trial, TrialResult

if TYPE_CHECKING:
    from rommeo_rllib.experiments.seed_runs import SeedRun

_MOST_REPLICAS = 64
_MOST_ROWS_SHOWN = 40
_MOST_OF_A_REPORT, _MOST_OF_A_LINE = 1 << 16, 500
_LOCAL = "file://"
_LONGEST_NAME = 50  # Characters, of up to four bytes.


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
        options.require_counts(self, "num_samples", "replicas", most=options.MOST_TRIALS)
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
            last = self.seed + self.num_samples - 1
            which = f"seed {last}" if self.num_samples == 1 else f"seeds {self.seed} to {last}"
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
        from rommeo_rllib.experiments.seed_runs import seed_runs
        from rommeo_rllib.reporting.train_figures import write_pictures

        runs = seed_runs(results)
        if runs:
            _print_table(runs, console)
            if self.json is not None:
                write_rows(self.json, [run.row() for run in runs])
            folder = pictures_folder(storage, name)
            pictures = write_pictures(runs, configuration.config, configuration.name, folder)
            for path in pictures:
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
        configurations.apply_settings(config, self.set)
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


def require_no_seed(settings: Iterable[str], option: str, *others: str) -> None:
    """Raises a UsageError for a key that options say, of which a setting would have no effect.

    Args:
        settings: what was set, "key=value" each.
        option: by which.
        others: further keys that options say, as "key: its option".
    """
    said = {"seed": "--seed", **dict(one.split(": ") for one in others)}
    for setting in settings:
        key = setting.partition("=")[0].split(".")[0]
        if key in said:
            raise UsageError(f"{option} {setting}: this has no effect; give {said[key]}.")


def require_end(stop: Mapping[str, Any]) -> None:
    """Raises a UsageError if nothing would end a trial."""
    if not stop:
        raise UsageError("`stop` is empty, and a trial would never end; give --stop-steps.")


def can_be_replicated(config: Any) -> bool:
    """Whether seeds can be computed together, as replicas of one trial."""
    from rommeo_rllib.joint_action.config import JointActionConfig
    from rommeo_rllib.joint_action.sampling.fast_path_conditions import samples_plainly

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


def trials_of_seeds(
    setting: Mapping[str, Any], first: int, count: int, replicas: int
) -> list[Trial]:
    """Trials of `replicas` seeds each; the last one may compute more than are asked for."""
    end = first + count
    return [
        Trial(dict(setting), seed, replicas, min(replicas, end - seed))
        for seed in range(first, end, replicas)
    ]


def fixed_of(config: Any, stop: Mapping[str, Any], swept: Collection[str] = ()) -> dict[str, Any]:
    """What a resumed command must ask for again: the algorithm, its settings, when to stop.

    Args:
        config: the configuration.
        stop: when to stop.
        swept: keys whose values are trials'.
    """
    own = ("seed", "replicas", *swept)
    settings = {k: v for k, v in configurations.settings_of(config).items() if k not in own}
    return {"algorithm": config.algo_class.__name__, "settings": settings, "stop": dict(stop)}


def resolved(storage: str) -> str:
    """The storage as Tune wants it: an absolute path or a URI.

    Raises:
        UsageError: if nothing can be written there.
    """
    if "://" in storage:
        Folder(storage)
        if storage.startswith(_LOCAL):
            options.require_writable_folder("--storage", Path(storage.removeprefix(_LOCAL)))
        return storage.rstrip("/")
    path = options.expanded("--storage", Path(storage)).resolve()
    options.require_writable_folder("--storage", path)
    return str(path)


def default_name(configuration: str, storage: str) -> str:
    """A folder's name for an experiment, from what is run and when; none that is there already."""
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    # A file's path may be longer than a folder's name can be.
    name = f"{configuration.replace('/', '-').strip('-.')[-_LONGEST_NAME:].strip('-.')}_{stamp}"
    taken = (f"{name}_{number}" for number in itertools.count(2))
    while Path(storage, name).exists():
        name = next(taken)
    return name


def require_name(command: Any) -> None:
    """Raises a UsageError unless a command that goes on says with what, and by whole numbers."""
    options.require_folder_name(command.name)
    for option in ("resume", "extend"):
        if getattr(command, option) and command.name is None:
            raise UsageError(f"--{option} needs --name: which experiment?")
    if command.trust and not (command.resume or command.extend):
        raise UsageError("--trust has no effect without --resume or --extend: leave it out.")
    if command.checkpoint_frequency < 0:
        raise UsageError(
            f"--checkpoint-frequency {command.checkpoint_frequency}: allowed: 0 (none before the "
            "end) or more."
        )


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


def _unfinished(result: TrialResult) -> str:
    """What there is of a trial that has not come to its end."""
    seeds = list(result.trial.seeds)
    which = f"Seed {seeds[0]}" if len(seeds) == 1 else f"Seeds {seeds[0]} to {seeds[-1]}"
    steps = int(result.metrics.get(ENV_STEPS, 0))
    saved = f"checkpoint: {result.checkpoint.path}" if result.checkpoint else "no checkpoint yet"
    return f"{which}: not ended, partial results up to env step {steps}; {saved}."


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a table as JSON, one object a row."""
    write_whole(file, json.dumps(rows, indent=2) + "\n")


def pictures_folder(storage: str, name: str) -> Path:
    """Where an experiment's pictures go: beside its results, or here if these are elsewhere."""
    return Path(storage if "://" not in storage else "results") / name / "figures"


def raise_if_incomplete(results: Results, where: str, again: str | None = None) -> None:
    """Raises an error unless all trials have ended well: it says how many have not, and why.

    Args:
        results: what there is.
        where: the experiment's folder.
        again: the command that goes on with it; None for options.

    Raises:
        Interrupted: if a signal has ended the run early.
        CommandError: if trials have failed or are missing.
    """
    errors, unfinished = results.errors, results.unfinished
    total = len(results) + len(unfinished)
    again = again or f"the same with --name {where.rsplit('/', 1)[-1]} --resume"
    if results.interrupted is not None:
        ended = f"{len(results) - len(errors)} of {total} trials in {where} have ended"
        raise Interrupted(results.interrupted, f"{ended}; {again} goes on.")
    if errors:
        raise CommandError(
            f"{len(errors)} of {total} trials failed; the first: {reason(errors[0])}. Details are "
            f"in {where}; {again} runs them again."
        )
    if unfinished:
        raise CommandError(
            f"{len(unfinished)} of {total} trials in {where} have not come to their end; {again} "
            "goes on with them."
        )


def reason(error: Exception | str) -> str:
    """What of Ray's long report says what went wrong, in one line."""
    text = str(error)[-_MOST_OF_A_REPORT:]
    lines = [line.strip()[:_MOST_OF_A_LINE] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    # Ray's own errors only say that there was one.
    causes = [line for line in telling if not line.startswith("ray.")] or telling or lines
    if not causes:
        return repr(error)
    # RLlib puts an advice of its own in front of whatever goes wrong in an environment.
    first, last = causes[0], causes[-1]
    return last if first == last else f"{last} (cause: {first})"
