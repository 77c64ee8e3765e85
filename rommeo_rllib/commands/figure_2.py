"""Figure 2 of the paper: the continuous algorithms on Max of Two Quadratics."""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

import rommeo_rllib
from rommeo_rllib.commands import options
from rommeo_rllib.envs.max_of_two_quadratics import SURFACES
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.about import About
from rommeo_rllib.experiments.configurations import Configuration, fixed_of
from rommeo_rllib.experiments.ray_session import quiet_ray
from rommeo_rllib.experiments.running import Experiment, raise_if_incomplete, run_trials
from rommeo_rllib.experiments.seed_runs import seed_runs
from rommeo_rllib.experiments.seeds import replicas_to_use, trials_of_seeds
from rommeo_rllib.experiments.settings import apply_settings, require_no_seed
from rommeo_rllib.experiments.trials import ENV_STEPS, MOST_TRIALS, Results
from rommeo_rllib.registry import REGISTRY
from rommeo_rllib.reporting import figure_2
from rommeo_rllib.reporting.figure_2 import OURS, THRESHOLD, Runs

ALGORITHMS = tuple(name for name, entry in REGISTRY.items() if entry.in_figure_2)
GAME = "max_of_two_quadratics"

SETTINGS = {"tuned": "", "paper": "_paper"}
"""What the name of a configuration ends with."""


@dataclass
class Figure2:
    """Reproduce Figure 2: learning path, returns, opponent models, in pictures and JSON.

    Every algorithm trains with its tuned configuration or, with `--settings paper`, with what the
    paper's authors' program says. Called again with the same options it goes
    on where it was stopped: trials that have ended are kept.
    """

    seeds: int = 20
    """Number of seeds of each algorithm."""

    surface: str = "paper"
    """Which reward surface: paper (as printed) or authors (as in their program)."""

    settings: str = "tuned"
    """Whose settings: tuned (this package's) or paper (those of the authors' program)."""

    algorithms: Annotated[
        tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: all that have such settings)")
    ] = ()
    """Which algorithms."""

    episodes: int = 60
    """Number of episodes of 25 plays that each seed trains."""

    seed: int = 0
    """The first seed."""

    out: Path = Path("results/figure-2")
    """Folder for figure-2a, figure-2b and figure-2c, each as PNG and SVG, for figure-2.json and for
    the trials."""

    set: options.Changes = field(default_factory=tuple)
    """Changes a key of each algorithm's configuration: --set q_layer_norm=False. May be given
    several times; give such trials another --out."""

    def run(self, console: Console) -> None:
        """Reproduces the figure and prints its table."""
        self._check()
        out = self.out.expanduser().resolve()
        with quiet_ray():
            runs, results = {}, []
            for name in self.algorithms:
                console.print(f"{name}, {self.surface} surface ...")
                folder = f"{self.surface}{SETTINGS[self.settings]}"
                grid = self._train(name, out / "trials" / folder, console)
                results.append(grid)
                runs[name] = seed_runs(grid)
        self._report({name: found for name, found in runs.items() if found}, out, console)
        for grid in results:
            raise_if_incomplete(grid, str(out / "trials"), "the same command")

    def _check(self) -> None:
        options.require_counts(self, "seeds", most=MOST_TRIALS)
        options.require_counts(self, "episodes")
        options.require_seed(self.seed, self.seeds)
        options.require_names("--surface", [self.surface], SURFACES)
        options.require_names("--settings", [self.settings], tuple(SETTINGS))
        options.require_writable_folder("--out", self.out)
        possible = algorithms_with(self.settings)
        self.algorithms = self.algorithms or possible
        options.require_names("--algorithms", self.algorithms, possible)
        require_no_seed(self.set, "--set")
        if any(one.startswith("env_config.surface=") for one in self.set):
            raise UsageError("--set env_config.surface=...: allowed: --surface.")
        for name in self.algorithms if self.set else ():
            configurations.validate(self._configuration(name).config, self.set)

    def _configuration(self, name: str) -> Configuration:
        """An algorithm's, as it is trained."""
        configuration = configurations.load(configuration_name(name, self.settings))
        config = configuration.config
        config.env_config = {**config.env_config, "surface": self.surface}
        apply_settings(config, self.set)
        return configuration

    def _train(self, name: str, folder: Path, console: Console) -> Results:
        """All seeds of one algorithm, or those that are still missing."""
        configuration = self._configuration(name)
        config = configuration.config
        # Greedy actions are reported by the learners; an evaluation would tell the same.
        config.evaluation(evaluation_interval=None)
        config.min_sample_timesteps_per_iteration = plays_per_episode(config)
        # Policies and opponent models are compared play by play.
        config.average_metrics = name == OURS
        stop = {ENV_STEPS: self.episodes * plays_per_episode(config)}
        replicas = replicas_to_use(config, self.seeds)
        experiment = Experiment(
            config.algo_class,
            config,
            stop,
            storage=str(folder),
            name=name,
            trials=trials_of_seeds({}, self.seed, self.seeds, replicas),
            fixed=fixed_of(config, stop),
            about=About(configuration.name, self.seed, self.seeds, THRESHOLD),
            # The plays on the learning path are read from the checkpoint's replay.
            checkpoint=name == OURS,
            tensorboard=False,
        )
        return run_trials(experiment, console, resume=True)

    def _report(self, runs: dict[str, Runs], out: Path, console: Console) -> None:
        config = self._configuration(self.algorithms[0]).config
        plays = plays_per_episode(config)
        in_episodes = {
            name: [dataclasses.replace(run, env_steps=run.env_steps / plays) for run in found]
            for name, found in runs.items()
        }
        report = {
            "surface": self.surface,
            "settings": self.settings,
            "episodes": self.episodes,
            "plays_per_episode": plays,
            **figure_2.table(in_episodes),
            "command": f"rommeo reproduce figure-2 --seeds {self.seeds} --surface {self.surface} "
            f"--settings {self.settings} --episodes {self.episodes} --seed {self.seed} "
            f"--algorithms {' '.join(self.algorithms)}"
            + "".join(f" --set {one}" for one in self.set),
            "versions": {
                "rommeo_rllib": rommeo_rllib.__version__,
                "python": platform.python_version(),
            },
        }
        pictures = figure_2.draw(in_episodes, config, self.surface, out)
        file = out / "figure-2.json"
        file.write_text(json.dumps(report, indent=1) + "\n")
        title = f"{self.seeds} seeds, {self.surface} surface, {self.settings} settings"
        table = Table(title=f"{title} [95 % intervals]")
        for heading in ("algorithm", "global optimum", "local optimum", "return", "above 9 from"):
            table.add_column(heading)
        for name, entry in report["algorithms"].items():
            table.add_row(name, *figure_2.cells(entry))
        console.print(table)
        for path in [*pictures, file]:
            console.print(f"Written: {path}", soft_wrap=True)


def configuration_name(algorithm: str, settings: str = "tuned") -> str:
    """The name of an algorithm's configuration with these `SETTINGS`."""
    return f"{GAME}/{algorithm.lower().replace('-', '_')}{SETTINGS[settings]}"


def algorithms_with(settings: str) -> tuple[str, ...]:
    """The algorithms that have such a configuration; the ablation has none of the paper's."""
    known = configurations.names()
    return tuple(name for name in ALGORITHMS if configuration_name(name, settings) in known)


def plays_per_episode(config: Any) -> int:
    """Env steps of an episode."""
    return int(config.env_config["plays_per_episode"])
