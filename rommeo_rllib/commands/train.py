"""`rommeo train`: trains a configuration over one or more seeds."""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from rommeo_rllib.commands import configurations
from rommeo_rllib.commands.configurations import Configuration
from rommeo_rllib.commands.errors import CommandError, UsageError
from rommeo_rllib.commands.tuning import ENV_STEPS, quiet_ray, run_trials

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Train:
    """Train an algorithm on a game by the name of a configuration.

    Runs one trial a seed with Ray Tune, then prints a table and writes pictures.
    """

    configuration: tyro.conf.Positional[str]
    """A configuration's name, such as max_of_two_quadratics/rommeo_ac, or a Python file with
    `config` and `stop`."""

    seed: int = 0
    """Seed of the first trial; the others count up from it."""

    num_samples: int = 1
    """Number of trials, each with a seed of its own."""

    stop_steps: int | None = None
    """Env steps after which a trial stops; by default what the configuration says."""

    storage: Path = Path("results")
    """Folder for results, checkpoints and pictures."""

    name: str | None = None
    """Name of the experiment's folder in the storage; by default made from configuration and
    time."""

    json: Path | None = None
    """File to write the table to: one object a trial."""

    set: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE")
    ] = field(default_factory=tuple)
    """Changes a key of the configuration, also a nested one: --set q_lr=0.001 --set
    env_config.surface=authors. May be given several times."""

    def run(self, console: Console) -> None:
        """Trains, then reports."""
        if self.num_samples < 1:
            raise UsageError(f"--num-samples {self.num_samples}: allowed: at least 1.")
        with quiet_ray():
            configuration = self._configuration()
            name = self.name or _default_name(configuration.name)
            storage = self.storage.expanduser().resolve()
            console.print(
                f"Training [bold]{configuration.name}[/] with seeds {self.seed} to "
                f"{self.seed + self.num_samples - 1} ..."
                if self.num_samples > 1
                else f"Training [bold]{configuration.name}[/] with seed {self.seed} ..."
            )
            results = run_trials(
                configuration.config.algo_class,
                _with_seeds(configuration.config, self.seed, self.num_samples),
                stop=configuration.stop,
                storage=storage,
                name=name,
                num_trials=self.num_samples,
                console=console,
            )
        trials = [_Trial(result) for result in results if result.error is None]
        if trials:
            _print_table(trials, console)
            if self.json is not None:
                rows = [trial.row() for trial in trials]
                self.json.parent.mkdir(parents=True, exist_ok=True)
                self.json.write_text(json.dumps(rows, indent=2) + "\n")
            _write_pictures(trials, configuration, storage / name / "figures", console)
        if results.errors:
            raise CommandError(
                f"{len(results.errors)} of {self.num_samples} trials failed; the first: "
                f"{_reason(results.errors[0])}. Details are in {storage / name}."
            )

    def _configuration(self) -> Configuration:
        configuration = configurations.load(self.configuration)
        configurations.apply_settings(configuration.config, self.set)
        if self.stop_steps is not None:
            configuration.stop[ENV_STEPS] = self.stop_steps
        _prepare(configuration.config)
        try:
            configuration.config.validate()
        except ValueError as error:
            raise UsageError(str(error)) from error
        return configuration


class _Trial:
    """One finished trial: its results over time and its checkpoint."""

    def __init__(self, result: Any):
        self.seed: int = result.config["seed"]
        self.frame: pd.DataFrame = result.metrics_dataframe
        self.checkpoint: str | None = result.checkpoint.path if result.checkpoint else None
        self.env_steps = self.frame[ENV_STEPS].to_numpy()

    def returns_per_play(self, prefix: str = "") -> Any:
        """Mean reward of an agent at a play (env step), for each reported iteration."""
        agents = [c for c in self.frame if c.startswith(_AGENT_RETURNS.format(prefix))]
        per_episode = self.frame[agents].mean(axis=1)
        return (per_episode / self.frame[_LENGTH.format(prefix)]).to_numpy()

    def row(self) -> dict[str, Any]:
        """The trial's line in the table."""
        import numpy as np

        greedy = self.returns_per_play("evaluation/")
        greedy = greedy[np.isfinite(greedy)]
        return {
            "seed": self.seed,
            "env_steps": int(self.env_steps[-1]),
            "return_per_play": float(self.returns_per_play()[-1]),
            "greedy_return_per_play": float(greedy[-1]) if len(greedy) else None,
            "checkpoint": self.checkpoint,
        }

    def columns(self, pattern: str) -> dict[str, Any]:
        """The learners' metrics whose name begins with `pattern`, by "policy/metric"."""
        prefix = "learners/"
        return {
            column.removeprefix(prefix): self.frame[column].to_numpy()
            for column in self.frame
            if column.startswith(prefix) and column.split("/")[-1].startswith(pattern)
        }


_AGENT_RETURNS = "{}env_runners/agent_episode_returns_mean/"
_LENGTH = "{}env_runners/episode_len_mean"


def _prepare(config: Any) -> None:
    """What the report needs: greedy evaluation, returns of late, and the plays of a game."""
    from rommeo_rllib.commands.game_recorder import GameRecorder

    if config.evaluation_interval is None:
        config.evaluation(
            evaluation_interval=10, evaluation_duration=1, evaluation_config={"explore": False}
        )
    config.metrics_num_episodes_for_smoothing = 3
    if not config.callbacks_class or config.callbacks_class.__name__ == "RLlibCallback":
        config.callbacks(GameRecorder)


def _with_seeds(config: Any, seed: int, count: int) -> Any:
    from ray import tune

    return config.debugging(seed=tune.grid_search(list(range(seed, seed + count))))


def _default_name(configuration: str) -> str:
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return f"{configuration.replace('/', '-').strip('-.')}_{stamp}"


def _print_table(trials: list[_Trial], console: Console) -> None:
    table = Table(title="Return of an agent per play")
    for heading in ("seed", "env steps", "sampled, last 3 episodes", "greedy"):
        table.add_column(heading, justify="right")
    for row in (trial.row() for trial in trials):
        greedy = row["greedy_return_per_play"]
        table.add_row(
            str(row["seed"]),
            str(row["env_steps"]),
            f"{row['return_per_play']:.2f}",
            "-" if greedy is None else f"{greedy:.2f}",
        )
    console.print(table)
    for trial in trials:
        console.print(f"Checkpoint of seed {trial.seed}: {trial.checkpoint}", soft_wrap=True)


def _write_pictures(
    trials: list[_Trial], configuration: Configuration, folder: Path, console: Console
) -> None:
    from rommeo_rllib.commands.train_figures import write_pictures

    for path in write_pictures(trials, configuration.config, configuration.name, folder):
        console.print(f"Picture: {path}", soft_wrap=True)


def _reason(error: Exception) -> str:
    """The line of Ray's long report that says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    return (telling or lines or [repr(error)])[-1]
