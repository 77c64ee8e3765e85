"""Reads what experiments have left behind, for `rommeo report`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from rommeo_rllib.errors import CommandError, UsageError, reason
from rommeo_rllib.experiments.about import About, read_about
from rommeo_rllib.experiments.folders import Folder, is_folder
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.experiments.seeds import seeds_text
from rommeo_rllib.experiments.sweep_results import describe, grouped
from rommeo_rllib.experiments.trials import TRIALS_FILE, Ledger, Trial, has_ended, read_result
from rommeo_rllib.experiments.tune_results import STATE_FILES, read_trials
from rommeo_rllib.provenance import PROVENANCE
from rommeo_rllib.registry import REGISTRY

if TYPE_CHECKING:
    import pandas as pd

# In these trials differ without being different settings.
_NOT_SETTINGS = ("seed", "replicas", "env", "env_config", "game", "game_settings")
_TERMINATED = "TERMINATED"


@dataclass(frozen=True)
class Task:
    """What was played."""

    game: str
    settings: Mapping[str, Any]

    @property
    def details(self) -> str:
        """The game's settings in few words."""
        return ", ".join(f"{key} {value}" for key, value in self.settings.items())


@dataclass
class Group:
    """The seeds of one algorithm with one setting.

    Attributes:
        algorithm: its name.
        setting: the values in which it differs from others of its experiment, by key.
        folder: the experiment's.
        task: what was played.
        config: the whole configuration, of one seed.
        runs: the seeds; none of a tabular learner, whose trials report their means alone.
        tabular: a tabular learner's reports, else None.
        name: what tells it apart from the others of a report.
        settings: what of its configuration is not its algorithm's default.
    """

    algorithm: str
    setting: Mapping[str, Any]
    folder: Path
    task: Task
    config: dict[str, Any]
    runs: list[SeedRun]
    tabular: pd.DataFrame | None = None
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Experiment:
    """What lies in an experiment's folder.

    Attributes:
        folder: the folder.
        about: what was asked for, where that was written down.
        groups: what there are results of.
        missing: a sentence for each thing that is not there.
        versions: what the results were made with; several where trials differ.
    """

    folder: Path
    about: About | None
    groups: list[Group] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    versions: list[dict[str, str]] = field(default_factory=list)


def read_experiments(folders: Iterable[Path]) -> list[Experiment]:
    """All experiments in the folders and below them, their groups named so that none is alike.

    Raises:
        UsageError: if a folder does not exist or holds no experiment.
        CommandError: if an experiment cannot be read, or none has results.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        folder = folder.expanduser()
        if not is_folder(folder):
            raise UsageError(f"There is no folder {folder}.")
        files = [file for name in (TRIALS_FILE, STATE_FILES) for file in folder.rglob(name)]
        inside = sorted({file.parent.resolve() for file in files})
        if not inside:
            raise UsageError(f"{folder} holds no results of `rommeo train`, `sweep` or Ray Tune.")
        found |= dict.fromkeys(inside)
    experiments = [_experiment(folder) for folder in found]
    groups = [group for experiment in experiments for group in experiment.groups]
    if not groups:
        reasons = " ".join(sentence for one in experiments for sentence in one.missing)
        raise CommandError(f"There is nothing to report. {reasons}")
    _name(groups)
    return experiments


def _experiment(folder: Path) -> Experiment:
    pairs, asked = _own_trials(folder) or (read_trials(folder), None)
    experiment = Experiment(folder, read_about(folder))
    usable = []
    for number, (trial, result) in enumerate(pairs):
        if _can_be_used(trial, result, experiment.missing):
            if "game" not in result.config and result.config.get("seed") is None:
                experiment.missing.append(f"{trial.trial_id} was not given a seed.")
                result.config["seed"] = number
            usable.append((trial, result))
    for name in dict.fromkeys(trial.trainable_name for trial, _ in usable):
        results = [result for trial, result in usable if trial.trainable_name == name]
        experiment.groups += _groups(_algorithm(name), results, experiment, asked)
    versions = [result.metrics.get(PROVENANCE) for _, result in usable]
    experiment.versions = [json.loads(text) for text in dict.fromkeys(map(json.dumps, versions))]
    experiment.versions = [one for one in experiment.versions if one]
    return experiment


def _own_trials(folder: Path) -> tuple[list[tuple[Any, Any]], list[Trial]] | None:
    """What the file of trials tells, also while they run; None if there is none."""
    place = Folder(str(folder))
    ledger = Ledger.read(place)
    if ledger is None:
        return None
    pairs = []
    for trial in ledger.trials:
        result = read_result(trial, place)
        status = _TERMINATED if has_ended(result) else trial.status
        name = ledger.fixed.get("algorithm", "")
        pairs.append(
            (SimpleNamespace(trial_id=trial.id, status=status, trainable_name=name), result)
        )
    return pairs, ledger.trials


def _can_be_used(trial: Any, result: Any, missing: list[str]) -> bool:
    """Whether a trial has results that count; what there is to say of it is added to `missing`."""
    seeds = _seeds_of(result.config)
    which = f"Trial {trial.trial_id}{f' ({seeds})' if seeds else ''}"
    if result.error is not None:
        missing.append(f"{which} failed and is left out: {reason(result.error)}")
        return False
    if result.metrics_dataframe is None or result.metrics_dataframe.empty:
        missing.append(f"{which} has not reported anything ({trial.status.lower()}).")
        return False
    if trial.status != _TERMINATED:
        missing.append(f"{which} has not ended ({trial.status.lower()}): it counts as it stands.")
    return True


def _seeds_of(config: Mapping[str, Any]) -> str:
    first, count = config.get("seed"), config.get("replicas", config.get("trials", 1))
    return seeds_text(range(first, first + count)) if isinstance(first, int) else ""


def _algorithm(trainable: str) -> str:
    import_ray_quietly()
    from rommeo_rllib.registration import ALGORITHMS
    from rommeo_rllib.tabular.trainable import TRAINABLES

    known = {made.__name__: name for name, made in (ALGORITHMS | TRAINABLES).items()}
    return known.get(trainable, trainable)


def _groups(
    algorithm: str, results: list[Any], experiment: Experiment, trials: list[Trial] | None
) -> list[Group]:
    differing = _differing([result.config for result in results])

    def setting_of(result: Any) -> dict[str, Any]:
        return {key: result.config.get(key) for key in differing}

    if "game" in results[0].config:
        return [
            _group(algorithm, setting_of(result), experiment, result, [], result.metrics_dataframe)
            for result in results
        ]
    about = experiment.about
    groups = []
    for setting, runs in grouped(results, setting_of):
        result = next(r for r in results if setting_of(r) == setting)
        asked: Sequence[int] | None = about.seeds if about else None
        if trials is not None:
            same = (trial for trial in trials if trial.setting == result.trial.setting)
            asked = sorted(seed for trial in same for seed in trial.seeds)
        group = _group(algorithm, setting, experiment, result, runs)
        present = {run.seed for run in runs}
        absent = [seed for seed in asked or () if seed not in present]
        if absent:
            what = f"{algorithm}{f', {describe(setting)}' if setting else ''}"
            experiment.missing.append(
                f"{what}: {len(absent)} of {len(asked or ())} seeds are missing: {_listed(absent)}."
            )
        groups += [group] if runs else []
    return groups


def _group(
    algorithm: str,
    setting: Mapping[str, Any],
    experiment: Experiment,
    result: Any,
    runs: list[SeedRun],
    tabular: pd.DataFrame | None = None,
) -> Group:
    config = result.config
    game = config.get("game", config.get("env"))
    settings = config.get("game_settings", config.get("env_config")) or {}
    name = game if isinstance(game, str) else getattr(game, "__name__", str(game))
    task = Task(name, dict(settings))
    own = _not_defaults(algorithm, config)
    return Group(algorithm, setting, experiment.folder, task, config, runs, tabular, settings=own)


def _not_defaults(algorithm: str, config: Mapping[str, Any]) -> dict[str, Any]:
    default = _defaults(algorithm)
    return {
        key: value
        for key, value in sorted(plain(config).items())
        if not key.startswith("__")
        and key != "seed"
        and (key not in default or default[key] != value)
    }


@functools.cache
def _defaults(algorithm: str) -> dict[str, Any]:
    """What an algorithm of this package sets itself; nothing of another one."""
    if algorithm not in REGISTRY:
        return {}
    return plain(REGISTRY[algorithm].load().get_default_config().to_dict())


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration JSON can say; functions and classes it cannot."""
    found = {}
    for key, value in config.items():
        try:
            found[key] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            continue
    return found


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which configurations differ, seeds aside."""
    every = [plain(config) for config in configs]
    keys = dict.fromkeys(key for config in every for key in config)
    return [
        key
        for key in keys
        if key not in _NOT_SETTINGS
        and not key.startswith("__")
        and len({json.dumps(config.get(key), sort_keys=True) for config in every}) > 1
    ]


def _name(groups: Sequence[Group]) -> None:
    """Names groups by as little as tells them apart."""
    ways: tuple[Callable[[Group], list[str]], ...] = (
        lambda group: [group.algorithm],
        lambda group: [describe(group.setting)],
        lambda group: [group.algorithm, describe(group.setting)],
        lambda group: [group.algorithm, group.folder.name],
        lambda group: [group.algorithm, describe(group.setting), group.folder.name],
        lambda group: [group.algorithm, describe(group.setting), str(group.folder)],
    )
    for way in ways:
        names = [", ".join(filter(None, way(group))) for group in groups]
        tasks = [(group.task.game, group.task.details) for group in groups]
        distinct = set(zip(names, tasks, strict=True))
        if all(names) and len(distinct) == len(groups):
            break
    for name, group in zip(names, groups, strict=True):
        group.name = name


def _listed(seeds: Sequence[int], most: int = 10) -> str:
    shown = ", ".join(map(str, seeds[:most]))
    return shown if len(seeds) <= most else f"{shown} and {len(seeds) - most} more"


def scores(runs: Iterable[SeedRun], *, greedy: bool) -> np.ndarray:
    """Each seed's last return of an agent per play, (seeds,); NaN where there is none."""
    key = "greedy_return_per_play" if greedy else "return_per_play"
    found = [run.row()[key] for run in runs]
    return np.array([np.nan if value is None else value for value in found], float)
