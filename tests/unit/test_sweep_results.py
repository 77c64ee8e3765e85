"""A sweep's table and pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rommeo_rllib.commands.tables import print_outcomes
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.experiments.sweep_results import Outcome, outcome_of
from rommeo_rllib.reporting.statistics import Interval
from rommeo_rllib.reporting.sweep_figures import write_pictures


def run(seed: int, last: float, points: int = 4) -> SeedRun:
    returns = np.linspace(-5.0, last, points)
    alpha = np.geomspace(10.0, 0.1, points)
    alpha[0] = np.nan  # Before the first update there is none.
    steps = 25 * np.arange(1, points + 1)
    metrics = {"player_0/alpha": alpha, "player_1/alpha": alpha}
    return SeedRun(seed, None, None, steps, returns, np.full(points, np.nan), metrics)


def outcome(setting: dict[str, Any], *lasts: float) -> Outcome:
    runs = [run(seed, last) for seed, last in enumerate(lasts)]
    return outcome_of(setting, runs, success_above=9.0)


def schedule(initial: float, decay_steps: int) -> dict[str, Any]:
    alpha = {"initial": initial, "final": 0.1, "decay_steps": decay_steps, "kind": "linear"}
    return {"alpha": alpha}


def test_a_settings_row_keeps_its_form_where_alpha_alone_was_swept():
    row = outcome({"alpha": 0.5}, 10.0, 8.0).row()
    assert row.keys() == {"alpha", "seeds", "success", "return_per_play"}
    assert (row["alpha"], row["seeds"], row["success"]["rate"]) == (0.5, 2, 0.5)
    assert row["return_per_play"]["mean"] == 9.0


def test_a_settings_row_names_what_else_was_swept():
    row = outcome({"alpha": 0.5, "q_lr": 0.1}, 10.0).row()
    assert row["settings"] == {"q_lr": 0.1}


def test_unknown_bounds_are_null():
    row = Outcome({"alpha": 1.0}, 3, None, Interval(1.0, np.nan, np.nan)).row()
    assert row["success"] is None
    assert row["return_per_play"] == {"mean": 1.0, "low": None, "high": None}


def test_the_table_has_the_best_setting_first():
    screen = io.StringIO()
    outcomes = [outcome({"alpha": 1.0}, 2.0), outcome({"alpha": 0.1}, 10.0)]
    print_outcomes(outcomes, Console(file=screen, width=120))
    said = screen.getvalue()
    assert said.index("alpha 0.1") < said.index("alpha 1 ")


@pytest.mark.parametrize(
    ("outcomes", "population", "pictures"),
    [
        (
            [outcome({"alpha": a}, 10, 9, 8) for a in (0.1, 1.0)],
            False,
            {"constant_alpha", "curves"},
        ),
        (
            [outcome(schedule(i, d), 10, 8) for i in (1.0, 20.0) for d in (50, 100)],
            False,
            {"schedules", "curves"},
        ),
        (
            [outcome({"tau": t, "q_lr": q}, 10, 8) for t in (0.1, 1.0) for q in (0.1, 0.2)],
            False,
            {"schedules", "curves"},
        ),
        ([outcome({"alpha.initial": a}, 10) for a in (1.7, 4.2)], True, {"population"}),
        ([outcome({"alpha": 0.1}, 10)], False, set()),
    ],
    ids=["constants", "schedules", "two keys", "population", "one setting"],
)
def test_pictures_are_those_that_fit_the_settings(outcomes, population, pictures, tmp_path: Path):
    paths = write_pictures(outcomes, "game/algorithm", tmp_path, population=population)
    assert {path.stem for path in paths} == pictures
    for path in paths:
        assert path.stat().st_size > 5_000
        assert path.with_suffix(".svg").exists()


def test_a_heat_map_needs_a_whole_grid(tmp_path: Path):
    three_of_four = [outcome(schedule(i, d), 10) for i, d in ((1.0, 5), (1.0, 9), (2.0, 5))]
    paths = write_pictures(three_of_four, "game/algorithm", tmp_path)
    assert {path.stem for path in paths} == {"curves"}
