"""Figure 2 of the paper: the continuous algorithms on Max of Two Quadratics."""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

import rommeo_rllib
from rommeo_rllib.commands import configurations, options
from rommeo_rllib.commands.about import About
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.train import raise_if_failed, replicas_to_use, with_seeds
from rommeo_rllib.commands.tuning import ENV_STEPS, Experiment, quiet_ray, run_trials
from rommeo_rllib.envs.max_of_two_quadratics import SURFACES
from rommeo_rllib.naming import unknown_name_message

if TYPE_CHECKING:
    from rommeo_rllib.commands.figure_2_report import Runs

ALGORITHMS = ("ROMMEO-AC", "ROMMEO-AC-EMP", "PR2-AC", "MASQL", "MADDPG", "DDPG", "DDPG-OM")
GAME = "max_of_two_quadratics"
OURS = "ROMMEO-AC"

THRESHOLD = 9.0
"""A return per play above this is the global optimum's."""
_SETTINGS_FILE = "figure-2-settings.json"


@dataclass
class Figure2:
    """Reproduce Figure 2: learning path, returns, opponent models, in pictures and JSON.

    Every algorithm trains with its tuned configuration. Called again with the same options it goes
    on where it was stopped: trials that have ended are kept.
    """

    seeds: int = 20
    """Number of seeds of each algorithm."""

    surface: str = "paper"
    """Which reward surface: paper (as printed) or authors (as in their program)."""

    algorithms: tuple[str, ...] = ALGORITHMS
    """Which algorithms."""

    episodes: int = 60
    """Number of episodes of 25 plays that each seed trains."""

    seed: int = 0
    """The first seed."""

    out: Path = Path("results/figure-2")
    """Folder for figure-2a, figure-2b and figure-2c, each as PNG and SVG, for figure-2.json and for
    the trials."""

    def run(self, console: Console) -> None:
        """Reproduces the figure and prints its table."""
        self._check()
        out = self.out.expanduser().resolve()
        with quiet_ray():
            runs, results = {}, []
            for name in self.algorithms:
                console.print(f"{name}, {self.surface} surface ...")
                grid = self._train(name, out / "trials" / self.surface, console)
                results.append(grid)
                runs[name] = self._runs(grid)
        self._report({name: found for name, found in runs.items() if found}, out, console)
        for grid in results:
            raise_if_failed(grid, str(out / "trials"))

    def _check(self) -> None:
        options.require_counts(self, "seeds", "episodes")
        options.require_seed(self.seed, self.seeds)
        if self.surface not in SURFACES:
            raise UsageError(unknown_name_message("--surface", self.surface, SURFACES))
        for name in self.algorithms:
            if name not in ALGORITHMS:
                raise UsageError(unknown_name_message("algorithm", name, ALGORITHMS))

    def _train(self, name: str, folder: Path, console: Console) -> Any:
        """All seeds of one algorithm, or those that are still missing."""
        configuration = configurations.load(configuration_name(name))
        config = configuration.config
        config.env_config = {**config.env_config, "surface": self.surface}
        # Greedy actions are reported by the learners; an evaluation would tell the same.
        config.evaluation(evaluation_interval=None)
        config.min_sample_timesteps_per_iteration = plays_per_episode(config)
        stop = {ENV_STEPS: self.episodes * plays_per_episode(config)}
        same_as_before = self._note_settings(settings_of(config), folder / name)
        replicas = replicas_to_use(config, self.seeds)
        seeds = list(range(self.seed, self.seed + self.seeds, replicas))
        experiment = Experiment(
            config.algo_class,
            with_seeds(config, seeds, replicas),
            stop=stop,
            storage=str(folder),
            name=name,
            num_trials=len(seeds),
            about=About(configuration.name, self.seed, self.seeds, THRESHOLD),
            # The plays on the learning path are read from the checkpoint's replay.
            checkpoint=name == OURS,
            tensorboard=False,
        )
        return run_trials(experiment, console, resume=same_as_before)

    def _note_settings(self, settings: dict[str, Any], folder: Path) -> bool:
        """Writes down what is run in `folder`; whether the same was begun there before."""
        file = folder / _SETTINGS_FILE
        wanted = {
            "seeds": self.seeds,
            "episodes": self.episodes,
            "seed": self.seed,
            "settings": settings,
        }
        # As it will be read again.
        wanted = json.loads(json.dumps(wanted))
        if file.exists():
            found = json.loads(file.read_text())
            if found != wanted:
                changed = sorted(key for key in wanted if found.get(key) != wanted[key])
                raise UsageError(
                    f"{folder} holds a run with other {' and '.join(changed)}; give another --out, "
                    "or remove that folder."
                )
            return True
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wanted, indent=1) + "\n")
        return False

    def _runs(self, grid: Any) -> Runs:
        from rommeo_rllib.commands.seed_runs import seed_runs

        # The last trial may have computed more seeds than were asked for.
        asked = range(self.seed, self.seed + self.seeds)
        return [run for run in seed_runs(grid) if run.seed in asked]

    def _report(self, runs: dict[str, Runs], out: Path, console: Console) -> None:
        from rommeo_rllib.commands import figure_2_report

        config = configurations.load(configuration_name(OURS)).config
        config.env_config = {**config.env_config, "surface": self.surface}
        plays = plays_per_episode(config)
        in_episodes = {
            name: [dataclasses.replace(run, env_steps=run.env_steps / plays) for run in found]
            for name, found in runs.items()
        }
        report = {
            "surface": self.surface,
            "episodes": self.episodes,
            "plays_per_episode": plays,
            **figure_2_report.table(in_episodes),
            "command": f"rommeo reproduce figure-2 --seeds {self.seeds} --surface {self.surface} "
            f"--episodes {self.episodes} --seed {self.seed} "
            f"--algorithms {' '.join(self.algorithms)}",
            "versions": {
                "rommeo_rllib": rommeo_rllib.__version__,
                "python": platform.python_version(),
            },
        }
        pictures = figure_2_report.draw(in_episodes, config, self.surface, out)
        file = out / "figure-2.json"
        file.write_text(json.dumps(report, indent=1) + "\n")
        table = Table(title=f"{self.seeds} seeds, {self.surface} surface [95 % intervals]")
        for heading in ("algorithm", "global optimum", "local optimum", "return", "above 9 from"):
            table.add_column(heading)
        for name, entry in report["algorithms"].items():
            table.add_row(name, *figure_2_report.cells(entry))
        console.print(table)
        for path in [*pictures, file]:
            console.print(f"Written: {path}", soft_wrap=True)


def configuration_name(algorithm: str) -> str:
    """The name of an algorithm's tuned configuration."""
    return f"{GAME}/{algorithm.lower().replace('-', '_')}"


def plays_per_episode(config: Any) -> int:
    """Env steps of an episode."""
    return int(config.env_config["plays_per_episode"])


def settings_of(config: Any) -> dict[str, Any]:
    """What a configuration sets that its algorithm's default does not, if JSON can say it."""
    default = vars(config.algo_class.get_default_config())
    settings = {}
    for key, value in sorted(vars(config).items()):
        if key in default and value != default[key]:
            try:
                settings[key] = json.loads(json.dumps(value))
            except TypeError:  # A function, such as the policies' mapping.
                continue
    return settings
