"""What a sweep runs: trials of an RLlib algorithm, or of a tabular learner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from rommeo_rllib.commands.train import (
    can_be_replicated,
    fixed_of,
    require_end,
    require_no_seed,
    trials_of_seeds,
)
from rommeo_rllib.errors import UsageError, one_line
from rommeo_rllib.experiments import configurations, search_space
from rommeo_rllib.experiments.running import ENV_STEPS, Experiment
from rommeo_rllib.experiments.search_space import Distribution, Setting
from rommeo_rllib.experiments.searching import Clock
from rommeo_rllib.experiments.sweep_results import ALPHA, Outcome, outcomes_of
from rommeo_rllib.experiments.trials import Results, Trial, as_json
from rommeo_rllib.naming import shown, unknown_name_message
from rommeo_rllib.reporting.statistics import Interval, success_rate

if TYPE_CHECKING:
    from rommeo_rllib.commands.sweep import Sweep
    from rommeo_rllib.tabular.learner import TabularLearner

_TABULAR_EPISODES = 300
_POINTS_TRIED = 20

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
        self._config.evaluation(evaluation_interval=None)
        self._config.metrics_num_episodes_for_smoothing = 3
        configurations.apply_settings(self._config, sweep.set)
        if sweep.stop_steps is not None:
            self._stop[ENV_STEPS] = sweep.stop_steps
        require_end(self._stop)
        if (sweep.asha or sweep.method == "pbt") and ENV_STEPS not in self._stop:
            raise UsageError(f"--stop-steps is missing: `stop` names no {ENV_STEPS}.")
        # Before anything is made of its values.
        configurations.validate(self._config, sweep.set)
        if sweep.judge_by == "greedy":
            self._evaluate_at_the_end()
        self._require_metric()
        together = min(sweep.replicas or sweep.num_samples, sweep.num_samples)
        own = getattr(self._config, "replicas", 1)
        self._replicas = together if can_be_replicated(self._config) else own
        if sweep.replicas not in (None, own) and not can_be_replicated(self._config):
            raise UsageError(
                f"--replicas {sweep.replicas}: seeds of this configuration cannot be computed "
                f"together; allowed: {own}."
            )
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
            needs_metric=sweep.needs_metric,
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
            # One that was set evaluates more often; the last one counts.
            evaluation_interval=self._config.evaluation_interval
            or math.ceil(self._stop[ENV_STEPS] / iteration),
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
        for setting in (*self.settings, *self._to_be_drawn()):
            config = self._config.copy(copy_frozen=False)
            for key, value in search_space.changed(self._swept(setting), setting).items():
                setattr(config, key, value)
            configurations.validate(config, self._sweep.set)

    def _to_be_drawn(self) -> Iterator[Setting]:
        """Settings that a search may come to, beside those that it begins with."""
        for path, distribution in self._search.items():
            # A population's values are put back to their bounds, which are else hardly drawn.
            if self._sweep.method == "pbt" or (
                self._sweep.method == "optuna" and distribution.is_countable
            ):
                for value in distribution.ends():
                    yield self.settings[0] | {path: value}

    def _require_metric(self) -> None:
        """Raises a UsageError for a metric that no result will have."""
        metric = self._sweep.metric
        evaluates = self._config.evaluation_interval is not None
        if metric is not None and metric.startswith("evaluation/") and not evaluates:
            raise UsageError(
                f"--metric {metric}: this sweep does not evaluate; give --judge-by greedy, or --set"
                " evaluation_interval=10, or a metric of sampled episodes such as "
                "env_runners/episode_return_mean."
            )


class TabularPlan:
    """A sweep of a tabular learner; all seeds of a setting are trials that play at once.

    Raises:
        UsageError: if the method needs what tabular learners have not.
    """

    def __init__(self, sweep: Sweep, module: ModuleType, grids: Grids, search: Search):
        from rommeo_rllib.tabular.trainable import RESULT_KEYS

        _refuse_for_tabular_learners(sweep)
        self._sweep, self._search = sweep, search
        self._learner = _learner_of(module, sweep.configuration)
        has_alpha = ALPHA in self._learner.Settings.__dataclass_fields__
        self._key = ALPHA if has_alpha else "temperature"
        if sweep.metric is not None and sweep.metric not in RESULT_KEYS:
            unknown = unknown_name_message("result", sweep.metric, RESULT_KEYS)
            raise UsageError(f"--metric {sweep.metric}: {unknown}")
        self.settings = sweep.settings(grids, search)
        self._space = self._make_space(module)
        self._check()

    def _make_space(self, module: ModuleType) -> dict[str, Any]:
        """What all trials have in common."""
        sweep = self._sweep
        space = {
            **module.settings,
            "game": module.game,
            "game_settings": module.game_settings,
            "plays_per_episode": module.plays_per_episode,
            "trials": sweep.num_samples,
            "seed": sweep.seed,
        }
        for change in sweep.set:
            path, text = configurations.split_setting("--set", change)
            value = {path: configurations.literal(text)}
            space |= search_space.changed(self._swept(space, [path]), value)
        steps, plays = sweep.stop_steps, space["plays_per_episode"]
        if steps is not None and (not isinstance(plays, int) or plays < 1):
            raise UsageError(
                f"`plays_per_episode` is {shown(plays)}; allowed: an integer of at least 1."
            )
        space["episodes"] = _TABULAR_EPISODES if steps is None else math.ceil(steps / plays)
        return space

    def _check(self) -> None:
        """Raises a UsageError for a setting that the learner would refuse."""
        from rommeo_rllib.tabular.trainable import make_play

        settings = self.settings
        if self._sweep.method != "random":
            points = min(self._sweep.points, _POINTS_TRIED)
            settings = search_space.drawn(self._search, points, self._sweep.seed)
        for setting in settings:
            config = self._space | self._configured(setting)
            try:
                make_play(self._learner, config, trials=1)
            except ValueError as error:
                raise UsageError(str(error)) from error
            except Exception as error:
                tried = ", ".join(f"{path}={shown(value)}" for path, value in setting.items())
                raise UsageError(
                    f"{tried or self._sweep.configuration}: this cannot be played "
                    f"({one_line(error)}); allowed: values of the kind that the configuration has."
                ) from error

    def experiment(self, storage: str, name: str) -> Experiment:
        """What Tune is to run."""
        from rommeo_rllib.tabular.trainable import CONVERGED, TRAINABLES

        sweep, space = self._sweep, self._space
        episodes = space["episodes"]
        metric = sweep.metric or CONVERGED
        search = sweep.searcher(metric, {self._path(p): d for p, d in self._search.items()})
        own = {self._path(path).split(".")[0] for setting in self.settings for path in setting}
        return Experiment(
            TRAINABLES[self._learner.name],
            space,
            {},
            storage,
            name,
            trials=[] if search else [Trial(setting) for setting in self.settings],
            configured=self._configured,
            fixed={
                "algorithm": self._learner.name,
                "settings": {key: value for key, value in space.items() if key not in own},
                **sweep.fixed(self._search),
            },
            metric=metric,
            needs_metric=sweep.needs_metric,
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


def _refuse_for_tabular_learners(sweep: Sweep) -> None:
    if sweep.method == "pbt":
        raise UsageError("--method pbt: tabular learners cannot change alpha in mid-play.")
    for option, value, usual in (
        ("--success-above", sweep.success_above, None),
        ("--judge-by", sweep.judge_by, "sampled"),
        ("--replicas", sweep.replicas, None),
    ):
        if value != usual:
            raise UsageError(
                f"{option} {value} has no effect on tabular learners, which know themselves whether"
                " they have converged, and play all seeds at once: leave it out."
            )
    others = ("trials: --num-samples", "episodes: --stop-steps")
    require_no_seed(sweep.set, "--set", *others)
    keys = [text.partition("=")[0] for text in (*sweep.grid, *sweep.search)]
    require_no_seed(keys, "--grid or --search", *others, "plays_per_episode: --set")


def _learner_of(module: ModuleType, file: str) -> type[TabularLearner]:
    """The learner of a configuration file; raises a UsageError unless the file is whole."""
    from rommeo_rllib.tabular.learner import TabularLearner
    from rommeo_rllib.tabular.trainable import TRAINABLES

    learner = module.learner
    is_learner = isinstance(learner, type) and issubclass(learner, TabularLearner)
    if not is_learner or getattr(learner, "name", None) not in TRAINABLES:
        raise UsageError(
            f"{file}: `learner` is {shown(learner)}; allowed: a class of rommeo_rllib.tabular, "
            f"{', '.join(TRAINABLES)}."
        )
    for name in ("settings", "game_settings"):
        if not isinstance(getattr(module, name, None), Mapping):
            raise UsageError(f"{file}: `{name}` is missing or no dict; allowed: a dict.")
    for name in ("game", "plays_per_episode"):
        if not hasattr(module, name):
            raise UsageError(f"{file} has no `{name}`, which the file of a tabular learner needs.")
    return learner


def _first_keys(paths: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(path.split(".")[0] for path in paths))
