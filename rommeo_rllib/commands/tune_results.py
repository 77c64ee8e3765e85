"""What Ray Tune has left behind, read as JSON alone.

Tune's own readers run whatever code stands pickled in an experiment's state; the results of a trial
and what is needed to understand them stand beside that in plain JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rommeo_rllib.commands.errors import CommandError
from rommeo_rllib.commands.trials import CONFIG_FILE, ROWS_FILE, Trial, TrialResult, flat
from rommeo_rllib.naming import printable

STATE_FILES = "experiment_state-*.json"
# What Tune writes of an object that JSON cannot say.
_OBJECT = re.compile(r"<.+>", re.DOTALL)
_CLASS = re.compile(r"<class '(?:.*\.)?(\w+)'>")


def read_trials(folder: Path) -> list[tuple[Any, TrialResult]]:
    """Each trial of an experiment, with `trial_id`, `trainable_name` and `status`, and its results.

    Raises:
        CommandError: if the experiment's state cannot be read; it names the file.
    """
    # The names hold the time at which a session began: a resumed experiment has several.
    states = sorted(folder.glob(STATE_FILES))
    if not states:
        raise CommandError(f"{printable(folder)} holds no {STATE_FILES}.")
    try:
        listed = json.loads(states[-1].read_text(encoding="utf-8"))["trial_data"]
        parsed = [(json.loads(trial), json.loads(runtime)) for trial, runtime in listed]
        return [_trial(folder, trial, runtime) for trial, runtime in parsed]
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise CommandError(
            f"{printable(states[-1])} is damaged, or of a foreign version of Ray Tune: "
            f"{type(error).__name__}: {printable(error)}"
        ) from error


def _trial(
    folder: Path, trial: Mapping[str, Any], runtime: Mapping[str, Any]
) -> tuple[Any, TrialResult]:
    known = SimpleNamespace(
        trial_id=printable(trial["trial_id"]),
        trainable_name=printable(trial["trainable_name"]),
        status=printable(trial["status"]),
    )
    # Its last part: what a file says may not lead out of the experiment's folder.
    inside = folder / Path(trial["relative_logdir"]).name
    rows = list(_rows(inside / ROWS_FILE))
    result = TrialResult(
        Trial({}, id=known.trial_id),
        _config(inside / CONFIG_FILE),
        [flat(row) for row in rows],
    )
    result.metrics = rows[-1] if rows else {}
    checkpoints = sorted(path for path in inside.glob("checkpoint_*") if path.is_dir())
    if checkpoints:
        result.checkpoint = SimpleNamespace(path=str(checkpoints[-1]))
    if known.status == "ERROR":
        name = runtime.get("error_filename") or "error.txt"
        file = inside / Path(name).name
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        # Tune appends a failure to those before it.
        result.error = RuntimeError(text.split("Failure # ")[-1] or "no reason is known")
    return known, result


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """A trial's results; a last line that is still being written is left out."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            raise
        row.pop("config", None)
        yield row


def _config(file: Path) -> dict[str, Any]:
    """A configuration without what Tune could not say in JSON; an environment keeps its name."""
    given = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    config = {key: value for key, value in given.items() if not _has_objects(value)}
    named = _CLASS.fullmatch(str(given.get("env")))
    return config | ({"env": named[1]} if named else {})


def _has_objects(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_objects, value.values()))
    if isinstance(value, list):
        return any(map(_has_objects, value))
    return isinstance(value, str) and _OBJECT.fullmatch(value) is not None
