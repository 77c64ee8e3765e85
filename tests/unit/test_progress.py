"""Progress as a person sees it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from rommeo_rllib.experiments import progress
from rommeo_rllib.experiments.progress import ProgressCallback, nested


@pytest.mark.parametrize(("steps_per_trial", "shown"), [(100, "30/200"), (0, "30/?")])
def test_a_terminal_shows_the_steps_of_all_trials_whether_their_end_is_known_or_not(
    steps_per_trial, shown
):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=200)
    callback = ProgressCallback(2, steps_per_trial, "a/b", console)
    callback.setup()
    trials: list[Any] = []
    for number, value in enumerate([1.5, 2.5]):
        result = {"num_env_steps_sampled_lifetime": 10 * (number + 1), "a": {"b": value}}
        trials.append(SimpleNamespace(trial_id=number, status="RUNNING", last_result=result))
        callback.on_trial_result(0, trials, trials[-1], result)
    trials[0].status = "TERMINATED"
    callback.on_trial_complete(0, trials, trials[0])
    callback.on_experiment_end(trials)
    assert shown in screen.getvalue().replace(" ", "")
    assert "1/2 trials done, 1 running, best b 2.50" in screen.getvalue()


def trial(status: str, steps: int) -> SimpleNamespace:
    result = {"num_env_steps_sampled_lifetime": steps}
    return SimpleNamespace(trial_id=id(result), status=status, last_result=result)


def test_without_a_terminal_a_line_now_and_then_estimates_the_time_that_is_left(monkeypatch):
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    screen = io.StringIO()
    callback = ProgressCallback(4, 100, "a/b", Console(file=screen, width=200))
    # One was done before this session began, and takes no part in its pace.
    trials = [trial("TERMINATED", 100), trial("RUNNING", 0)]
    callback.on_trial_start(0, trials, trials[1])
    trials[1] = trial("RUNNING", 50)
    trials.append(trial("ERROR", 0))
    callback.on_trial_result(0, trials, trials[1], trials[1].last_result)
    line = screen.getvalue().splitlines()[-1]
    assert line.startswith("1/4 trials done, 1 running, 1 failed, 150/400 env steps, about 0:")


def test_a_missing_metric_is_none():
    result = {"a": {"b": 1, "nan": float("nan")}}
    assert nested(result, "a/b") == 1.0
    assert nested(result, "a/c") is None
    assert nested(result, "a/b/c") is None
    assert nested(result, "a/nan") is None
