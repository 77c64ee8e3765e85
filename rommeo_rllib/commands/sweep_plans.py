"""What a sweep runs: trials of an RLlib algorithm, or of a tabular learner."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from rommeo_rllib.commands import configurations, search_space
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.search_space import Distribution, Setting
from rommeo_rllib.commands.searching import Clock
from rommeo_rllib.commands.sweep_results import ALPHA, Outcome, outcomes_of
from rommeo_rllib.commands.train import can_be_replicated, fixed_of, trials_of_seeds
from rommeo_rllib.commands.trials import Results, Trial, as_json
from rommeo_rllib.commands.tuning import ENV_STEPS, Experiment
from rommeo_rllib.reporting.statistics import Interval, success_rate

if TYPE_CHECKING:
    from rommeo_rllib.commands.sweep import Sweep

_TABULAR_EPISODES = 300

Grids = Mapping[str, list[Any]]
Search = Mapping[str, Distribution]


class SweepPlan(Protocol):
    """What a sweep runs, and how its results are read."""

    settings: list[Setting]

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        ...

    def outcomes(self, results: Results) -> list[Outcome]:
        """What each setting has brought."""
        ...


class AlgorithmPlan:
    """A sweep of an RLlib algorithm; the seeds of a setting are replicas where that is possible.

    Raises:
        UsageError: if a key is unknown, or a value is not allowed.
    """

    def __init__(self, sweep: Sweep, grids: Grids, search: Search):
        self._sweep, self._search = sweep, search
        configuration = configurations.load(sweep.configuration)
        self._config, self._stop = configuration.config, configuration.stop
        configurations.apply_settings(self._config, sweep.set)
        if sweep.stop_steps is not None:
            self._stop[ENV_STEPS] = sweep.stop_steps
        if (sweep.asha or sweep.method == "pbt") and ENV_STEPS not in self._stop:
            raise UsageError(f"--stop-steps is missing: `stop` names no {ENV_STEPS}.")
        self._config.evaluation(evaluation_interval=None)
        if sweep.judge_by == "greedy":
            self._evaluate_at_the_end()
        self._config.metrics_num_episodes_for_smoothing = 3
        together = min(sweep.replicas or sweep.num_samples, sweep.num_samples)
        own = getattr(self._config, "replicas", 1)
        self._replicas = together if can_be_replicated(self._config) else own
        if sweep.method != "random" and self._replicas < sweep.num_samples:
            raise UsageError(
                f"--num-samples {sweep.num_samples}: --method {sweep.method} needs all seeds of a "
                "point in one trial, which --replicas or the configuration rule out; allowed: 1."
            )
        self._grids = {self._path(path, "--grid"): values for path, values in grids.items()}
        self._search = {self._path(path, "--search"): d for path, d in search.items()}
        self.settings = sweep.settings(self._grids, self._search)
        self._check()

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        sweep, config = self._sweep, self._config
        metric = sweep.metric or "env_runners/episode_return_mean"
        clock = Clock(ENV_STEPS, int(self._stop.get(ENV_STEPS, 0)))
        search = sweep.searcher(metric, self._search)
        if search is not None:
            config.debugging(seed=sweep.seed)
            if self._replicas > 1:
                config.training(replicas=self._replicas)
        swept = {path for setting in self.settings for path in setting} | {*self._search}
        return Experiment(
            config.algo_class,
            config,
            self._stop,
            storage,
            name,
            trials=[] if search else self._trials(),
            configured=self._configured,
            fixed=fixed_of(config, self._stop, swept) | sweep.fixed(self._search),
            metric=metric,
            scheduler=sweep.scheduler(metric, clock, self._search),
            changing=tuple(self._search) if sweep.method == "pbt" else (),
            search=search,
            checkpoint=False,
            checkpoint_frequency=sweep.checkpoint_frequency,
            tensorboard=False,
            about=sweep.about(),
        )

    def outcomes(self, results: Results) -> list[Outcome]:
        """What each setting has brought."""
        sweep = self._sweep
        return outcomes_of(
            results,
            lambda result: result.trial.tried,
            sweep.success_above,
            # Points that are chosen while others run are outcomes of their own.
            apart=sweep.method != "random",
            greedy=sweep.judge_by == "greedy",
        )

    def _trials(self) -> list[Trial]:
        first, count, each = self._sweep.seed, self._sweep.num_samples, self._replicas
        if self._sweep.method == "pbt":
            # Each member of the population has seeds of its own.
            return [
                Trial(setting, first + each * number, each, each)
                for number, setting in enumerate(self.settings)
            ]
        return [
            trial
            for setting in self.settings
            for trial in trials_of_seeds(setting, first, count, each)
        ]

    def _configured(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the configuration's keys that a setting changes."""
        # JSON, from which it was read again, has lists alone, and no sets.
        exact = next((one for one in self.settings if as_json(one) == setting), setting)
        return search_space.changed(self._swept(exact), exact)

    def _evaluate_at_the_end(self) -> None:
        if ENV_STEPS not in self._stop:
            raise UsageError(f"--stop-steps is missing: `stop` names no {ENV_STEPS}.")
        iteration = self._config.min_sample_timesteps_per_iteration or 1
        self._config.evaluation(
            evaluation_interval=math.ceil(self._stop[ENV_STEPS] / iteration),
            evaluation_duration=1,
            evaluation_config={**(self._config.evaluation_config or {}), "explore": False},
        )

    def _path(self, path: str, option: str) -> str:
        """The same path, as RLlib names its first key."""
        inner = path.split(".")[1:]
        attribute = configurations.attribute_of(self._config, path, f"{option} {path}")
        return ".".join([attribute, *inner])

    def _swept(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        """The present values of all keys that paths lead into."""
        return {key: getattr(self._config, key) for key in _first_keys(paths)}

    def _check(self) -> None:
        """Raises a UsageError for a setting that the algorithm would refuse."""
        for setting in self.settings:
            config = self._config.copy(copy_frozen=False)
            for key, value in search_space.changed(self._swept(setting), setting).items():
                setattr(config, key, value)
            try:
                config.validate()
            except ValueError as error:
                raise UsageError(str(error)) from error


class TabularPlan:
    """A sweep of a tabular learner; all seeds of a setting are trials that play at once.

    Raises:
        UsageError: if the method needs what tabular learners have not.
    """

    def __init__(self, sweep: Sweep, module: ModuleType, grids: Grids, search: Search):
        if sweep.method == "pbt":
            raise UsageError("--method pbt: tabular learners cannot change alpha in mid-play.")
        self._sweep, self._module, self._search = sweep, module, search
        has_alpha = ALPHA in module.learner.Settings.__dataclass_fields__
        self._key = ALPHA if has_alpha else "temperature"
        self.settings = sweep.settings(grids, search)

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        from rommeo_rllib.tabular.trainable import CONVERGED, TRAINABLES

        sweep, module = self._sweep, self._module
        plays = module.plays_per_episode
        steps = sweep.stop_steps
        episodes = math.ceil(steps / plays) if steps else _TABULAR_EPISODES
        space = {
            **module.settings,
            "game": module.game,
            "game_settings": module.game_settings,
            "plays_per_episode": plays,
            "trials": sweep.num_samples,
            "episodes": episodes,
            "seed": sweep.seed,
        }
        for change in sweep.set:
            path, text = configurations.split_setting("--set", change)
            space |= search_space.changed(
                self._swept(space, [path]), {path: configurations.literal(text)}
            )
        metric = sweep.metric or CONVERGED
        self._space = space
        search = sweep.searcher(metric, {self._path(p): d for p, d in self._search.items()})
        own = {self._path(path).split(".")[0] for setting in self.settings for path in setting}
        return Experiment(
            TRAINABLES[module.learner.name],
            space,
            {},
            storage,
            name,
            trials=[] if search else [Trial(setting) for setting in self.settings],
            configured=self._configured,
            fixed={
                "algorithm": module.learner.name,
                "settings": {key: value for key, value in space.items() if key not in own},
                **sweep.fixed(self._search),
            },
            metric=metric,
            scheduler=sweep.scheduler(metric, Clock("episodes", episodes), self._search),
            search=search,
            checkpoint=False,
            checkpoint_frequency=sweep.checkpoint_frequency,
            tensorboard=False,
            about=sweep.about(),
        )

    def outcomes(self, results: Results) -> list[Outcome]:
        """What each setting has brought."""
        from rommeo_rllib.tabular.trainable import CONVERGED, REWARD

        seeds, outcomes = self._sweep.num_samples, []
        for result in results:
            if result.error is not None:
                continue
            share, reward = result.metrics.get(CONVERGED), result.metrics[REWARD]
            success = None if share is None else success_rate(round(share * seeds), seeds)
            mean = Interval(reward, math.nan, math.nan)
            outcomes.append(Outcome(self._setting_of(result.trial), seeds, success, mean))
        return outcomes

    def _configured(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the configuration's keys that a setting changes."""
        by_key = {self._path(path): value for path, value in setting.items()}
        return search_space.changed(self._swept(self._space, by_key), by_key)

    def _setting_of(self, trial: Trial) -> Setting:
        if self._sweep.method == "random":
            return trial.setting
        return {path: trial.setting[self._path(path)] for path in self._search}

    def _path(self, path: str) -> str:
        """Alpha is called temperature by those rivals that have no alpha."""
        first, *inner = path.split(".")
        return ".".join([self._key if first == ALPHA else first, *inner])

    def _swept(self, space: Mapping[str, Any], paths: Sequence[str] | Setting) -> dict[str, Any]:
        return {key: space.get(key) for key in _first_keys(paths)}


def _first_keys(paths: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(path.split(".")[0] for path in paths))
