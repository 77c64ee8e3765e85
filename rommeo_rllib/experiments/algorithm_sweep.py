"""A sweep of an RLlib algorithm: its trials, and what they have brought."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.configurations import fixed_of, require_end
from rommeo_rllib.experiments.running import Experiment
from rommeo_rllib.experiments.searching import Clock
from rommeo_rllib.experiments.seeds import can_be_replicated, trials_of_seeds
from rommeo_rllib.experiments.settings import Setting, apply_settings, attribute_of, changed
from rommeo_rllib.experiments.sweep_results import Outcome, outcomes_of
from rommeo_rllib.experiments.sweeps import SweepRequest, first_keys
from rommeo_rllib.experiments.trials import ENV_STEPS, Results, Trial, as_json


class AlgorithmPlan:
    """A sweep of an RLlib algorithm; the seeds of a setting are replicas where that is possible.

    Raises:
        UsageError: if a key is unknown, or a value is not allowed.
    """

    def __init__(self, sweep: SweepRequest):
        self._sweep = sweep
        configuration = configurations.load(sweep.configuration)
        self._config, self._stop = configuration.config, configuration.stop
        self._config.evaluation(evaluation_interval=None)
        self._config.metrics_num_episodes_for_smoothing = 3
        apply_settings(self._config, sweep.set)
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
        self._grids = {self._path(path, "--grid"): values for path, values in sweep.grids.items()}
        self._search = {self._path(path, "--search"): d for path, d in sweep.search.items()}
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
        return changed(self._swept(exact), exact)

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
        attribute = attribute_of(self._config, path, f"{option} {path}")
        return ".".join([attribute, *inner])

    def _swept(self, paths: Mapping[str, Any]) -> dict[str, Any]:
        """The present values of all keys that paths lead into."""
        return {key: getattr(self._config, key) for key in first_keys(paths)}

    def _check(self) -> None:
        """Raises a UsageError for a setting that the algorithm would refuse."""
        for setting in (*self.settings, *self._to_be_drawn()):
            config = self._config.copy(copy_frozen=False)
            for key, value in changed(self._swept(setting), setting).items():
                setattr(config, key, value)
            configurations.validate(config, self._sweep.set)

    def _to_be_drawn(self) -> Iterator[Setting]:
        """Settings that a search may come to, beside those that it begins with."""
        for path, distribution in self._search.items():
            # A population's values are put back to their bounds, which are else hardly drawn.
            if self._sweep.method == "pbt" or (
                self._sweep.method == "optuna" and distribution.is_enumerable
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
