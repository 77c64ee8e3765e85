"""What Tune and Ray itself keep to themselves. Ray is imported when it is needed: it takes long."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch


def is_registered(env: str) -> bool:
    """Whether an environment of this name was given to `ray.tune.register_env`."""
    from ray.tune.registry import ENV_CREATOR, _global_registry

    return bool(_global_registry.contains(ENV_CREATOR, env))


def rename_trial(search: Any, trial: Any, trial_id: str) -> None:
    """Gives a trial that a `BasicVariantGenerator` has just made another id."""
    search._live_trials.discard(trial.trial_id)
    trial.trial_id = trial_id
    search._live_trials.add(trial_id)


def go_on(trial: Any, checkpoint: str) -> None:
    """Has a new trial begin with a checkpoint, path or URI, and write its own after that one."""
    from ray.train._internal.session import _TrainingResult
    from ray.tune import Checkpoint

    trial.restore_path = checkpoint
    trial._restore_checkpoint_result = _TrainingResult(Checkpoint(checkpoint), metrics={})
    # The next one must not be written into the same folder.
    trial.storage.current_checkpoint_index = int(checkpoint.rsplit("_", 1)[-1])


def sigterm_left_alone() -> AbstractContextManager[Any]:
    """Within it Ray, when it starts, sets no handler of SIGTERM: its own exits at once."""
    import ray

    return patch.object(ray._private.utils, "set_sigterm_handler")
