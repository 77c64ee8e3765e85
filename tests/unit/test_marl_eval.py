"""The export against the format that marl-eval's README describes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rommeo_rllib.reporting.marl_eval import Run, to_marl_eval

NAN = float("nan")


def run(seed: int = 0, steps: Any = (25, 50, 75), returns: Any = (1.0, 2.0, 3.0)) -> Run:
    return Run(seed, np.array(steps), np.array(returns, float))


def exported(*runs: Run, **others: list[Run]) -> dict[str, Any]:
    return to_marl_eval({"Two Hills": {"Wide": {"ROMMEO-AC": list(runs), **others}}})[0]


def test_a_run_has_the_documented_form():
    assert exported(run(3)) == {
        "two_hills": {
            "wide": {
                "ROMMEO-AC": {
                    "run_1": {
                        "step_1": {"step_count": 25, "return": [1.0]},
                        "step_2": {"step_count": 50, "return": [2.0]},
                        "step_3": {"step_count": 75, "return": [3.0]},
                        "absolute_metrics": {"return": [3.0]},
                    }
                }
            }
        }
    }


def test_absolute_metrics_are_the_last_entry_as_marl_eval_expects():
    (steps,) = exported(run())["two_hills"]["wide"]["ROMMEO-AC"].values()
    assert list(steps)[-1] == "absolute_metrics"


def test_runs_stand_in_the_order_of_seeds():
    runs = exported(run(7, returns=[7, 7, 7]), run(2))["two_hills"]["wide"]["ROMMEO-AC"]
    assert [runs[name]["step_1"]["return"] for name in ("run_1", "run_2")] == [[1.0], [7.0]]


def test_all_algorithms_have_the_same_runs_and_steps_and_what_is_left_out_is_said():
    several = {
        "ROMMEO-AC": [run(0), run(1), run(2)],
        "DDPG": [run(0, (25, 75), (1.0, 2.0)), run(1)],
    }
    content, notes = to_marl_eval({"game": {"task": several}})
    for runs in content["game"]["task"].values():
        assert list(runs) == ["run_1", "run_2"]
        for steps in runs.values():
            assert [s.get("step_count") for s in steps.values()] == [25, 75, None]
    assert any("ROMMEO-AC: 1 of 3 seeds" in note for note in notes)
    assert any("DDPG: up to 1 of 3 reports" in note for note in notes)


def test_tasks_of_an_environment_have_as_many_steps():
    tasks = {"short": {"A": [run(0, (25, 50), (1.0, 2.0))]}, "long": {"A": [run()]}}
    content, _ = to_marl_eval({"game": tasks})
    assert [len(t["A"]["run_1"]) for t in content["game"].values()] == [3, 3]


def test_steps_at_which_a_seed_has_no_return_are_left_out():
    content = exported(run(0), run(1, returns=(NAN, 2.0, np.inf)))
    for steps in content["two_hills"]["wide"]["ROMMEO-AC"].values():
        assert [entry.get("step_count") for entry in steps.values()] == [50, None]


def test_seeds_without_any_return_are_left_out_and_said():
    given = {"game": {"task": {"A": [run(0, returns=[NAN] * 3), run(1)]}}}
    content, notes = to_marl_eval(given)
    assert list(content["game"]["task"]["A"]) == ["run_1"]
    assert notes == ["A: 1 seeds without any finite return left out."]


def test_nothing_left_out_is_nothing_said():
    assert to_marl_eval({"game": {"task": {"A": [run(0), run(1)]}}})[1] == []


def test_the_contents_are_strict_json():
    json.dumps(exported(run(0), run(1, returns=(NAN, 2.0, 3.0))), allow_nan=False)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"one": {"A": [run()]}, "other": {"B": [run()]}}, "differ among tasks"),
        ({"one": {"A": [run(returns=[NAN] * 3)]}}, "A has no seed with a finite return"),
        (
            {"one": {"A": [run()], "B": [run(0, (1, 2, 3))]}},
            "no env step at which all seeds of one",
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tasks, message):
    with pytest.raises(ValueError, match=message):
        to_marl_eval({"game": tasks})
