"""What Ray Tune has left behind, read as JSON alone.

Tune's own readers run whatever code stands pickled in an experiment's state; the results of a trial
and what is needed to understand them stand beside that in plain JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rommeo_rllib.errors import CommandError, reason
from rommeo_rllib.experiments.folders import Folder
from rommeo_rllib.experiments.trials import Trial, TrialResult, is_plain_name, read_result
from rommeo_rllib.naming import printable

STATE_FILES = "experiment_state-*.json"
# What Tune writes of an object that JSON cannot say.
_OBJECT = re.compile(r"<.+>", re.DOTALL)
_CLASS = re.compile(r"<class '(?:.*\.)?(\w+)'>")


def read_trials(folder: Path) -> list[tuple[Any, TrialResult]]:
    """Each trial of an experiment, with `trial_id`, `trainable_name` and `status`, and its results.

    Raises:
        CommandError: if a file cannot be read; it names the file.
    """
    place = Folder(str(folder))
    # The names hold the time at which a session began: a resumed experiment has several.
    state = max((name for name in place.names() if fnmatch(name, STATE_FILES)), default="")
    if not state:
        raise CommandError(f"{printable(folder)} holds no {STATE_FILES}.")
    try:
        listed = json.loads(place.read(state) or "")["trial_data"]
        parsed = [(json.loads(trial), json.loads(runtime)) for trial, runtime in listed]
        return [_trial(place, trial, runtime) for trial, runtime in parsed]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise CommandError(
            f"{printable(folder / state)} is damaged, or of a foreign version of Ray Tune: "
            f"{type(error).__name__}: {printable(error)}"
        ) from error


def _trial(
    folder: Folder, trial: Mapping[str, Any], runtime: Mapping[str, Any]
) -> tuple[Any, TrialResult]:
    known = SimpleNamespace(
        **{key: str(trial[key]) for key in ("trial_id", "trainable_name", "status")}
    )
    # Where it was written may be another machine's folder.
    name = Path(trial["relative_logdir"]).name
    if not is_plain_name(name):
        raise ValueError(f"a trial's folder is {name!r}")
    own = Trial({}, id=known.trial_id, folder=name)
    inside = Path(folder.where, name)
    own.checkpoint = max((path.name for path in inside.glob("checkpoint_*")), default=None)
    if known.status == "ERROR":
        file = Path(runtime.get("error_filename") or "error.txt").name
        text = folder.read(f"{name}/{file}") or "no reason is known"
        # Tune appends a failure to those before it.
        own.status, own.error = "failed", reason(text.rpartition("Failure # ")[-1])
    result = read_result(own, folder)
    named = _CLASS.fullmatch(str(result.config.get("env")))
    result.config = {key: v for key, v in result.config.items() if not _has_objects(v)}
    if named:
        result.config["env"] = named[1]
    return known, result


def _has_objects(value: Any) -> bool:
    """Whether there is something in a configuration that Tune could not say in JSON."""
    if isinstance(value, dict):
        return any(map(_has_objects, value.values()))
    if isinstance(value, list):
        return any(map(_has_objects, value))
    return isinstance(value, str) and _OBJECT.fullmatch(value) is not None
