"""Progress as a person sees it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rommeo_rllib.commands.progress import ProgressCallback, nested


@pytest.mark.parametrize(("steps_per_trial", "shown"), [(100, "30/200"), (0, "30/?")])
def test_a_terminal_shows_the_steps_of_all_trials_whether_their_end_is_known_or_not(
    steps_per_trial, shown
):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=200)
    callback = ProgressCallback(2, steps_per_trial, "a/b", console)
    callback.setup()
    for number, value in enumerate([1.5, 2.5]):
        result = {"num_env_steps_sampled_lifetime": 10 * (number + 1), "a": {"b": value}}
        callback.on_trial_result(0, [], SimpleNamespace(trial_id=str(number)), result)
    callback.on_trial_complete(0, [], None)
    callback.on_experiment_end([])
    assert shown in screen.getvalue().replace(" ", "")
    assert "1/2 trials done, best b 2.50" in screen.getvalue()


def test_a_missing_metric_is_none():
    result = {"a": {"b": 1, "nan": float("nan")}}
    assert nested(result, "a/b") == 1.0
    assert nested(result, "a/c") is None
    assert nested(result, "a/b/c") is None
    assert nested(result, "a/nan") is None
