"""Runs trials with Ray Tune, shows how far they are, and keeps Ray's own noise down."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

ENV_STEPS = "num_env_steps_sampled_lifetime"

_QUIET_WORKER = {"PYTHONWARNINGS": "ignore", "RAY_DEDUP_LOGS": "1"}


@contextmanager
def quiet_ray() -> Iterator[None]:
    """A Ray session: the cluster's if RAY_ADDRESS names one, else this machine's, shut down after.

    One that is running already is used and left as it is.
    """
    # Before Ray is imported: its new output engine and usage notice print on import.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    warnings.filterwarnings("ignore")
    import ray
    import ray.rllib

    for name in ("ray", "ray.rllib", "ray.tune", "ray.train", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
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
    storage: Path | str,
    name: str,
    num_trials: int,
    console: Console,
    progress_metric: str = "env_runners/episode_return_mean",
) -> Any:
    """Runs all trials to their end, showing progress; returns Tune's `ResultGrid`."""
    from ray import tune

    from rommeo_rllib.commands.progress import ProgressCallback

    reporter = ProgressCallback(num_trials, int(stop.get(ENV_STEPS, 0)), console, progress_metric)
    tuner = tune.Tuner(
        trainable,
        param_space=param_space,
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(storage),
            stop=stop,
            verbose=0,
            callbacks=[reporter],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
        ),
    )
    with reporter.progress:
        return tuner.fit()
