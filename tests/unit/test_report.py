"""What the page of a report says, of results that never ran."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_results import made_up_experiment, made_up_group, made_up_run

from rommeo_rllib.experiments.results import Group, _can_be_used, _name, scores
from rommeo_rllib.reporting.report_opponents import lead, opponent_models
from rommeo_rllib.reporting.report_page import _missing, report_page
from rommeo_rllib.reporting.report_path import learning_paths
from rommeo_rllib.reporting.report_scores import Judgement, ranked, summary, unscored
from rommeo_rllib.reporting.report_tasks import _notes, line_of
from rommeo_rllib.reporting.train_figures import reward_surface

NAN = float("nan")
COMMAND = "rommeo report made-up --out report.html"
ALONE = [made_up_run(seed) for seed in range(4)]


def page(*groups: Group) -> str:
    judgement = Judgement(9.0, greedy=False)
    return report_page([made_up_experiment(*groups)], judgement, COMMAND, None)


def with_return(seed: int, last: float) -> object:
    run = made_up_run(seed)
    return replace(run, returns=np.append(run.returns[:-1], last))


def table_of(*groups: Group, above: float | None = 9.0) -> str:
    """The table alone, for the pictures take time."""
    judgement = Judgement(above, greedy=False)
    return summary(ranked(groups, judgement), judgement)


@pytest.fixture(scope="module")
def alone() -> str:
    return page(made_up_group(ALONE))


def test_the_page_has_one_title_and_headings_in_order(alone):
    levels = [int(level) for level in re.findall(r"<h(\d)", alone)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_page_asks_for_nothing_from_outside(alone):
    links = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"']*)""", alone)
    assert links
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert "@import" not in alone
    assert not re.search(r"url\((?!#)", alone)


def test_every_drawing_is_described_or_hidden_from_those_who_do_not_see_it(alone):
    drawings = re.findall(r"<svg[^>]*>", alone)
    assert drawings
    assert all('role="img" aria-label="' in d or 'aria-hidden="true"' in d for d in drawings)


def test_ids_are_unique(alone):
    ids = re.findall(r'\bid="([^"]*)"', alone)
    assert len(ids) == len(set(ids))


def test_the_table_has_rate_and_means_with_their_intervals(alone):
    assert "1.00 [0.51, 1.00]" in alone  # Wilson's of four of four.
    assert re.search(r"9\.\d\d \[9\.\d\d, 9\.\d\d\]", alone)
    assert "success (above 9)" in alone


def test_without_a_threshold_there_is_no_rate():
    found = table_of(made_up_group(ALONE), above=None)
    assert "success" not in found
    assert "IQM of return" in found


def test_command_versions_and_configuration_are_there(alone):
    for said in ("rommeo train made/up --num-samples 4", COMMAND, "2.60.0", "Configuration"):
        assert said in alone


def test_what_is_missing_is_said():
    found = _missing(["Trial 3 failed: the power is <off>."])
    assert "What is missing" in found
    assert "the power is &lt;off&gt;" in found


def test_seeds_without_a_return_are_failures_but_not_in_means():
    group = made_up_group([*ALONE[:3], with_return(3, NAN)])
    found = table_of(group)
    assert "0.75 [0.30, 0.95]" in found
    assert "nan" not in found
    judgement = Judgement(9.0, greedy=False)
    (sentence,) = unscored(ranked([group], judgement), judgement)
    assert "1 of 4 seeds have no return" in sentence


def test_a_curve_that_ends_with_its_first_seed_says_so():
    short = made_up_run(3)
    short = replace(short, env_steps=short.env_steps[:20], returns=short.returns[:20])
    short = replace(short, greedy_returns=short.greedy_returns[:20], metrics={})
    line = line_of(made_up_group([*ALONE[:3], short]), 0, lambda run: run.returns)
    assert line is not None
    assert any("the curve ends at env step 500" in sentence for sentence in _notes(line))


def test_one_seed_has_no_interval():
    found = table_of(made_up_group(ALONE[:1]), above=None)
    row = re.search(r'<th scope="row">ROMMEO-AC</th>.*?</tr>', found)
    assert row
    assert "[" not in row.group()


def test_algorithms_are_compared_best_first():
    worse = made_up_group([made_up_run(s, ends_at=0.0) for s in range(4)], algorithm="DDPG")
    found = page(worse, made_up_group(ALONE))
    assert found.index('"row">ROMMEO-AC') < found.index('"row">DDPG')
    assert "Performance profiles" in found
    assert "probability of improvement" in found


def test_a_game_without_a_surface_has_no_learning_path():
    runs = [made_up_run(seed, learns=False) for seed in range(2)]
    group = made_up_group(runs, game="climbing_game")
    assert learning_paths([group], "t") == ""
    assert opponent_models([group], "t") == ""


def test_the_learning_path_moves_what_the_run_has_reported(alone):
    (text,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', alone)
    content = json.loads(text)
    assert content["low"] == [-10, -10]
    assert len(content["runs"]) == 4
    first = content["runs"][0]
    run = ALONE[0]
    assert first["steps"] == run.env_steps.tolist()
    # The model that agent 1 has is about agent 0.
    expected = [
        run.metrics[f"{agent}/opponent_model_mean_0"][5] for agent in ("player_1", "player_0")
    ]
    np.testing.assert_allclose(first["model"][5], expected, atol=0.006)


def test_opponent_models_that_are_a_report_ahead_lead_by_its_env_steps():
    assert lead(made_up_run(0)) == pytest.approx(25.0)


def test_models_that_never_settle_where_policies_do_have_no_lead():
    run = made_up_run(0)
    astray = {k: v * 0 if "opponent_model_mean" in k else v for k, v in run.metrics.items()}
    assert np.isnan(lead(replace(run, metrics=astray)))
    assert np.isnan(lead(made_up_run(0, learns=False)))


def test_tabular_learners_have_shares_of_trials():
    frame = pd.DataFrame({"plays": [25, 50], "converged": [0.5, 0.8], "reward": [3.0, 9.0]})
    group = replace(
        made_up_group([], algorithm="ROMMEO-Q", game="climbing_game", trials=20), tabular=frame
    )
    found = table_of(group)
    assert "0.80 [0.58, 0.92]" in found
    assert "converged" in found


def test_groups_are_named_by_as_little_as_tells_them_apart():
    first, second = made_up_group(ALONE), made_up_group(ALONE, algorithm="DDPG")
    _name([first, second])
    assert [first.name, second.name] == ["ROMMEO-AC", "DDPG"]
    low, high = (replace(first, setting={"alpha": value}) for value in (0.1, 1.0))
    _name([low, high])
    assert [low.name, high.name] == ["alpha 0.1", "alpha 1"]
    _name([low, high, second])
    assert low.name == "ROMMEO-AC, alpha 0.1"


def test_scores_are_the_last_returns_and_nan_where_there_is_none():
    never = replace(ALONE[0], greedy_returns=np.full(30, NAN))
    np.testing.assert_array_equal(scores([never], greedy=True), [NAN])
    np.testing.assert_array_equal(scores(ALONE, greedy=False), [r.returns[-1] for r in ALONE])


def test_surfaces_are_those_of_two_continuous_actions_that_stay_as_they_are():
    surface = reward_surface("two_hills", {})
    assert surface is not None
    assert (surface.low, surface.high) == ((-10.0, -10.0), (10.0, 10.0))
    np.testing.assert_allclose(surface.payoff(np.array([[5.0, 5.0], [-5.0, -5.0]]))[:, 0], [10, 0])
    assert reward_surface("two_hills", {"context": 1.0}) is None
    assert reward_surface("two_hills", {"agents": 3}) is None
    assert reward_surface("climbing_game", {}) is None
    assert reward_surface("coordination_grid", {}) is None
    assert reward_surface("a game of one's own", {}) is None


def trial(status: str = "TERMINATED", **result: Any) -> tuple[Any, Any]:
    made: dict[str, Any] = {"error": None, "metrics_dataframe": pd.DataFrame({"x": [1]})}
    config = {"seed": 2, "replicas": 3}
    return (
        SimpleNamespace(trial_id="abc", status=status),
        SimpleNamespace(config=config, **(made | result)),
    )


def test_trials_that_failed_or_never_reported_are_left_out_and_said():
    missing: list[str] = []
    assert not _can_be_used(*trial("ERROR", error=RuntimeError("the power is off")), missing)
    assert not _can_be_used(*trial("PENDING", metrics_dataframe=None), missing)
    first, second = missing
    assert first == "Trial abc (seeds 2 to 4) failed and is left out: the power is off"
    assert "has not reported anything (pending)" in second


def test_trials_that_have_not_ended_count_as_they_stand_and_that_is_said():
    missing: list[str] = []
    assert _can_be_used(*trial("RUNNING"), missing)
    assert missing == ["Trial abc (seeds 2 to 4) has not ended (running): it counts as it stands."]
    assert _can_be_used(*trial(), missing)
    assert len(missing) == 1
