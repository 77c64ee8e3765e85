"""Results in the JSON format of marl-eval, for its tables and plots.

The format is described in the README of https://github.com/instadeepai/marl-eval, "Data Structure
for Raw Experiment data": environment -> task -> algorithm -> run -> step, which is "step_count" and
metrics, each a list of numbers; the last step of a run is "absolute_metrics". marl-eval looks up
environments and tasks in lower case, and wants the same algorithms, runs, steps and metrics all
over an environment.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

METRIC = "return"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One seed's results.

    Attributes:
        seed: its seed.
        env_steps: (reports,), increasing.
        returns: (reports,); NaN or infinite where unknown.
    """

    seed: int
    env_steps: Array
    returns: Array


Runs = Mapping[str, Mapping[str, Mapping[str, Sequence[Run]]]]
"""Seeds by environment, task and algorithm."""


def to_marl_eval(runs: Runs) -> tuple[dict[str, Any], list[str]]:
    """The contents of the file, and a sentence for each thing that was left out of it.

    A seed is "run_1" and so on, in the order of seeds; "step_1" and so on are the env steps at
    which all seeds of a task have a finite return. The return is a list of one number, for it is a
    mean over episodes already. The absolute metric, by marl-eval's protocol that of the best policy
    over ten times as many evaluation episodes, is the return of the last step: nothing is played
    after training.

    Raises:
        ValueError: if algorithms differ among an environment's tasks, an algorithm has no seed with
            a finite return, or there is no env step at which all seeds of a task have one.
    """
    content: dict[str, Any] = {}
    notes: list[str] = []
    for environment, tasks in runs.items():
        _check_algorithms(environment, tasks)
        known = {
            task: {name: _usable(name, found, notes) for name, found in algorithms.items()}
            for task, algorithms in tasks.items()
        }
        num_runs = min(len(r) for algorithms in known.values() for r in algorithms.values())
        steps = {task: _common_steps(task, algorithms) for task, algorithms in known.items()}
        num_steps = min(map(len, steps.values()))
        content[_identifier(environment)] = {
            _identifier(task): {
                name: _runs(found[:num_runs], steps[task][:num_steps])
                for name, found in algorithms.items()
            }
            for task, algorithms in known.items()
        }
        notes += _left_out(environment, known, num_runs, num_steps)
    return content, notes


def _check_algorithms(environment: str, tasks: Mapping[str, Mapping[str, Any]]) -> None:
    names = {task: sorted(algorithms) for task, algorithms in tasks.items()}
    if len({tuple(found) for found in names.values()}) > 1:
        raise ValueError(f"Algorithms of {environment} differ among tasks: {names}.")


def _usable(name: str, runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Those seeds that have a return, in the order of seeds."""
    known = [run for run in runs if np.isfinite(run.returns).any()]
    if not known:
        raise ValueError(f"{name} has no seed with a finite return.")
    if len(known) < len(runs):
        notes.append(f"{name}: {len(runs) - len(known)} seeds without any finite return left out.")
    return sorted(known, key=lambda run: run.seed)


def _common_steps(task: str, algorithms: Mapping[str, Sequence[Run]]) -> Array:
    every = [run.env_steps[np.isfinite(run.returns)] for r in algorithms.values() for run in r]
    common = functools.reduce(np.intersect1d, every)
    if not len(common):
        raise ValueError(f"There is no env step at which all seeds of {task} have a return.")
    return np.asarray(common)


def _runs(runs: Sequence[Run], steps: Array) -> dict[str, Any]:
    return {f"run_{number}": _steps(run, steps) for number, run in enumerate(runs, start=1)}


def _steps(run: Run, steps: Array) -> dict[str, Any]:
    values = run.returns[np.searchsorted(run.env_steps, steps)]
    entries: dict[str, Any] = {
        f"step_{number}": {"step_count": int(step), METRIC: [float(value)]}
        for number, (step, value) in enumerate(zip(steps, values, strict=True), start=1)
    }
    return {**entries, "absolute_metrics": {METRIC: [float(values[-1])]}}


def _left_out(
    environment: str,
    known: Mapping[str, Mapping[str, Sequence[Run]]],
    num_runs: int,
    num_steps: int,
) -> list[str]:
    notes = []
    for algorithms in known.values():
        for name, runs in algorithms.items():
            if len(runs) > num_runs:
                notes.append(
                    f"{name}: {len(runs) - num_runs} of {len(runs)} seeds, the last ones, left "
                    f"out: marl-eval wants as many everywhere in {environment}."
                )
            most = max(len(run.env_steps) for run in runs)
            if most > num_steps:
                notes.append(
                    f"{name}: up to {most - num_steps} of {most} reports of a seed left out."
                )
    return notes


def _identifier(name: str) -> str:
    """marl-eval looks names up in lower case; others than letters and digits become "_"."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "default"
