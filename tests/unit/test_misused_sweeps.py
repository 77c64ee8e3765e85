"""What a sweep refuses before Ray is started."""

from __future__ import annotations

from typing import Any

import pytest

from rommeo_rllib.commands.sweep import Sweep
from rommeo_rllib.errors import UsageError

NAME, TABULAR = "climbing_game/rommeo_ac", "climbing_game/rommeo_q"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (TABULAR, {"metric": "nope"}, "--metric nope: .*Allowed: 'converged'"),
        (TABULAR, {"metric": "convergd"}, "Did you mean 'converged'"),
        (NAME, {"metric": "evaluation/x"}, "does not evaluate; give --judge-by greedy"),
    ],
)
def test_a_metric_that_no_result_will_have_is_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        Sweep(name, alpha=(1.0,), num_samples=1, **options).plan()


@pytest.mark.parametrize(
    ("method", "search", "message"),
    [
        ("pbt", "tau=uniform(0.001, 1.01)", "`tau` is 1.01; allowed"),
        ("pbt", "prior_window=randint(0, 1000000)", "`prior_window` is 0; allowed"),
        ("optuna", "prior_window=randint(0, 1000000)", "`prior_window` is 0; allowed"),
        ("optuna", "tau=choice(0.1, 0.2, 0.3, 0.4, 'a')", "`tau` is 'a'; allowed"),
    ],
)
def test_a_value_that_a_search_may_come_to_later_is_refused_too(method, search, message):
    with pytest.raises(UsageError, match=message):
        _search(method, search).plan()


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_a_bound_that_is_hardly_drawn_may_be_out_of_what_is_allowed(method):
    assert _search(method, "tau=uniform(0, 1)").plan().settings


def _search(method: Any, search: str) -> Sweep:
    return Sweep(NAME, search=(search,), method=method, points=2, num_samples=1)
