"""Runs trials with Ray Tune, shows how far they are, and keeps Ray's own noise down."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

ENV_STEPS = "num_env_steps_sampled_lifetime"

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


def run_trials(
    trainable: Any,
    param_space: Any,
    *,
    stop: dict[str, Any],
    storage: str,
    name: str,
    num_trials: int,
    console: Console,
    metric: str = "env_runners/episode_return_mean",
    resume: bool = False,
    checkpoint: bool = True,
) -> Any:
    """Runs all trials to their end, showing progress; returns Tune's `ResultGrid`.

    Args:
        trainable: a Trainable class.
        param_space: Tune's search space, an AlgorithmConfig or a dict.
        stop: Tune's stopping criteria.
        storage: folder or URI for all experiments.
        name: this experiment's folder in it.
        num_trials: how many trials the search space makes.
        console: where progress is shown.
        metric: path of the result to show the best of.
        resume: go on with the experiment of that name where it was stopped.
        checkpoint: whether each trial is saved at its end.
    """
    from ray import tune

    from rommeo_rllib.commands.progress import ProgressCallback

    if resume:
        return tune.Tuner.restore(
            f"{storage}/{name}", trainable, resume_unfinished=True, restart_errored=True
        ).fit()
    # A new process costs several seconds of CPU, as much as a short trial.
    can_be_reused = trainable.reset_config is not tune.Trainable.reset_config
    reporter = ProgressCallback(num_trials, int(stop.get(ENV_STEPS, 0)), metric, console)
    return tune.Tuner(
        trainable,
        param_space=param_space,
        tune_config=tune.TuneConfig(reuse_actors=can_be_reused),
        run_config=tune.RunConfig(
            name=name,
            storage_path=storage,
            stop=stop,
            verbose=0,
            callbacks=[reporter],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=checkpoint),
        ),
    ).fit()
