"""Whether a command goes on with what was begun, or asks for something else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.folders import Folder
from rommeo_rllib.experiments.seeds import seeds_text
from rommeo_rllib.experiments.trials import ROWS_FILE, TRIALS_FILE, Ledger, Trial

POINTS = "points"
"""What may grow with --extend though it is no trial's: how many points a search chooses."""

_TUNES_FILES = ("tuner.pkl", "experiment_state-")
_MOST_SHOWN = 3
_LONGEST_VALUE = 40


def known(folder: Folder) -> Ledger | None:
    """What was begun in a folder; None if nothing was.

    Raises:
        CommandError: if the file of trials is damaged.
        UsageError: if there are trials in it, but no such file.
    """
    before = Ledger.read(folder)
    if before is None:
        inside = folder.names()
        local = folder.local
        foreign = [name for name in inside if name.startswith(_TUNES_FILES)]
        if local is not None and local.is_dir():
            foreign += [file.parent.name for file in local.glob(f"*/{ROWS_FILE}")]
        if foreign:
            raise UsageError(
                f"{folder.where} holds trials ({foreign[0]}), but no {TRIALS_FILE} that tells "
                "them: give another --name."
            )
    return before


def agreed(
    asked: Ledger, before: Ledger | None, where: str, *, resume: bool, extend: bool
) -> Ledger:
    """The trials of what was begun and of what is asked for.

    Args:
        asked: what is asked for.
        before: what was begun; None if nothing was.
        where: the folder, for messages.
        resume: whether to go on with it.
        extend: whether more may be asked for than was then.

    Raises:
        UsageError: if it is not to be gone on with, or was asked for otherwise.
    """
    if before is None:
        return asked
    if not resume and not extend:
        raise UsageError(
            f"{where} holds an experiment already: --resume goes on with it; or give another "
            "--name."
        )
    free = (POINTS,) if extend else ()
    changes = [
        f"{path} was {_short(then)}, now {_short(now)}"
        for path, then, now in _differences(before.fixed, asked.fixed)
        if path not in free
    ]
    if changes:
        raise UsageError(
            f"{where} was begun with other settings: {_listed(changes, '; ')}. Repeat what was "
            "asked for then, or give another --name."
        )
    new, gone = _missing(asked, before), _missing(before, asked)
    if (new or gone) and not extend:
        parts = [f"new: {_listed(map(_told, new), ', ')}"] if new else []
        parts += [f"no longer: {_listed(map(_told, gone), ', ')}"] if gone else []
        raise UsageError(
            f"--resume: {where} was asked for other trials ({'; '.join(parts)}). --extend runs "
            "what is new and reports all."
        )
    for trial in new:
        _take_up(trial, before)
    return Ledger(asked.fixed, before.trials)


def _missing(wanted: Ledger, there: Ledger) -> list[Trial]:
    """What of the wanted seeds of each setting is not there, in trials of at most their size."""
    found: dict[str, set[int]] = {}
    for trial in there.trials:
        found.setdefault(_key(trial), set()).update(trial.seeds)
    missing = []
    for trial in wanted.trials:
        seeds = found.get(_key(trial))
        if trial.seed is None or seeds is None:
            missing += [trial] if seeds is None else []
            continue
        lacking = [seed for seed in trial.seeds if seed not in seeds]
        for first, count in _runs(lacking):
            missing.append(Trial(trial.setting, first, count, count))
    return missing


def _take_up(trial: Trial, ledger: Ledger) -> None:
    """Adds a trial; seeds that an earlier one has computed besides those asked for are taken."""
    left = list(trial.seeds)
    for other in ledger.trials:
        if other.seed is None or _key(other) != _key(trial):
            continue
        while left and left[0] == other.seed + other.asked < other.seed + other.replicas:
            other.asked += 1
            del left[0]
    if trial.seed is None:
        ledger.trials.append(trial)
    elif left:
        count = trial.replicas if len(left) == trial.asked else len(left)
        ledger.trials.append(Trial(trial.setting, left[0], count, len(left)))


def _runs(seeds: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, how many)."""
    runs: list[tuple[int, int]] = []
    for seed in seeds:
        if runs and seed == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((seed, 1))
    return runs


def _key(trial: Trial) -> str:
    return json.dumps(trial.setting, sort_keys=True)


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """(path, value then, value now) of all that differs; "unset" stands for none."""
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*then, *now}):
        one, other = then.get(key, "unset"), now.get(key, "unset")
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{key}.")
        elif one != other:
            found.append((f"{prefix}{key}", one, other))
    return found


def _told(trial: Trial) -> str:
    parts = [f"{path} {_short(value)}" for path, value in trial.setting.items()]
    return " ".join(filter(None, [*parts, seeds_text(trial.seeds)]))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _listed(parts: Iterable[str], separator: str) -> str:
    every = list(parts)
    more = len(every) - _MOST_SHOWN
    return separator.join(every[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
