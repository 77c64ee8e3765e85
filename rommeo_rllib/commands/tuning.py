"""Runs trials with Ray Tune, shows how far they are, and keeps Ray's own noise down."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from rommeo_rllib.commands.about import About, write_about

ENV_STEPS = "num_env_steps_sampled_lifetime"

_ENDED_FILE = "all-trials-ended"

# Processes and nodes are lost now and then; a trial that fails more often has a fault of its own.
_MAX_FAILURES = 2

_QUIET_WORKER = {"PYTHONWARNINGS": "ignore", "RAY_DEDUP_LOGS": "1"}


def import_ray_quietly() -> None:
    """Imports RLlib so that Ray keeps its notices and warnings to itself."""
    # Before Ray is imported: its new output engine and usage notice print on import.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    warnings.filterwarnings("ignore")
    import ray.rllib  # noqa: F401

    for name in ("ray", "ray.rllib", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What Tune logs of a failed trial is in the trial's folder, too.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


@contextmanager
def quiet_ray() -> Iterator[None]:
    """A Ray session: the cluster's if RAY_ADDRESS names one, else this machine's, shut down after.

    One that is running already is used and left as it is.
    """
    import_ray_quietly()
    import ray

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": _QUIET_WORKER},
        )
    try:
        yield
    finally:
        if started_here:
            ray.shutdown()


@dataclass
class Experiment:
    """What is tried, and where results go.

    Attributes:
        trainable: a Trainable class.
        param_space: Tune's search space, an AlgorithmConfig or a dict.
        stop: Tune's stopping criteria.
        storage: folder or URI for all experiments.
        name: this experiment's folder in it.
        num_trials: how many trials the search space makes.
        metric: path of the result to show the best of, which is the greatest.
        search: how points are chosen and trials scheduled (and how many samples of the space are
            drawn), Tune's own arguments.
        checkpoint: whether each trial is saved at its end.
        checkpoint_frequency: iterations between two checkpoints; 0 for none before the end.
        tensorboard: whether to write event files for TensorBoard; they cost more than all other
            records together.
        about: what was asked for, to be written down beside the results.
    """

    trainable: Any
    param_space: Any
    stop: dict[str, Any]
    storage: str
    name: str
    num_trials: int
    metric: str = "env_runners/episode_return_mean"
    search: dict[str, Any] = field(default_factory=dict)
    checkpoint: bool = True
    checkpoint_frequency: int = 0
    tensorboard: bool = True
    about: About | None = None

    @property
    def folder(self) -> str:
        """Where this experiment's results are."""
        return f"{self.storage}/{self.name}"


def run_trials(experiment: Experiment, console: Console, *, resume: bool = False) -> Any:
    """Runs all trials to their end, showing progress; returns Tune's `ResultGrid`.

    Args:
        experiment: what to run.
        console: where progress is shown.
        resume: go on with the experiment of that name where it was stopped; what it was stopped
            too early to have stored begins anew.
    """
    from ray import tune

    ended = None if "://" in experiment.folder else Path(experiment.folder) / _ENDED_FILE
    if ended is not None and experiment.about is not None:
        write_about(experiment.about, ended.parent)
    if resume and ended is not None and ended.exists():
        # To restore it would run again what ended after Tune last stored it.
        return tune.ResultGrid(tune.ExperimentAnalysis(experiment.folder))
    results = _fit(experiment, console, resume)
    if ended is not None and not results.errors:
        ended.touch()
    return results


def _fit(experiment: Experiment, console: Console, resume: bool) -> Any:
    from ray import tune

    with _tunes_switches():
        if resume and tune.Tuner.can_restore(experiment.folder):
            restored = tune.Tuner.restore(
                experiment.folder,
                experiment.trainable,
                resume_unfinished=True,
                restart_errored=True,
                param_space=experiment.param_space,
            )
            return restored.fit()
        if resume:
            console.print(f"Nothing to resume in {experiment.folder}: beginning.", soft_wrap=True)
        return _tuner(experiment, console).fit()


def _tuner(experiment: Experiment, console: Console) -> Any:
    from ray import tune
    from ray.tune.logger import JsonLoggerCallback, TBXLoggerCallback

    from rommeo_rllib.commands.progress import ProgressCallback

    steps = int(experiment.stop.get(ENV_STEPS, 0))
    callbacks = [
        ProgressCallback(experiment.num_trials, steps, experiment.metric, console),
        JsonLoggerCallback(),
    ]
    if experiment.tensorboard:
        callbacks.append(TBXLoggerCallback())
    return tune.Tuner(
        experiment.trainable,
        param_space=experiment.param_space,
        tune_config=tune.TuneConfig(
            # A new process costs several seconds of CPU, as much as a short trial.
            reuse_actors=experiment.trainable.reset_config is not tune.Trainable.reset_config,
            **experiment.search,
        ),
        run_config=tune.RunConfig(
            name=experiment.name,
            storage_path=experiment.storage,
            stop=experiment.stop,
            verbose=0,
            callbacks=callbacks,
            failure_config=tune.FailureConfig(max_failures=_MAX_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_at_end=experiment.checkpoint,
                checkpoint_frequency=experiment.checkpoint_frequency,
            ),
        ),
    )


@contextmanager
def _tunes_switches() -> Iterator[None]:
    """Within it Tune adds no loggers of its own, and bears with results that lack the metric.

    Before a trial's first episode has ended there is no return to report.
    """
    names = ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_DISABLE_STRICT_METRIC_CHECKING")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
