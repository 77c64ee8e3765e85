"""What a sweep tries, from what was said on the command line."""

from __future__ import annotations

import pytest

from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import search_space, searching
from rommeo_rllib.experiments.search_space import Distribution
from rommeo_rllib.experiments.settings import changed


def test_a_grids_values_are_literals_or_else_texts():
    found = search_space.parse_grid(["q_lr=0.1, 1e-3", "env_config.surface=paper,authors"])
    assert found == {"q_lr": [0.1, 1e-3], "env_config.surface": ["paper", "authors"]}
    assert search_space.parse_grid(["a=[8, 8],None"]) == {"a": [[8, 8], None]}


@pytest.mark.parametrize("text", ["q_lr", "=1", "q_lr=", "q_lr=a,,b"])
def test_a_grid_of_another_form_is_refused(text):
    with pytest.raises(UsageError, match=f"--grid {text}"):
        search_space.parse_grid([text])


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["q_lr=0.1", "q_lr=0.2"], "q_lr is given twice"),
        (["q_lr=0.1,0.2,0.1"], "twice"),
        (["a=[8, 8],[8, 8]"], "twice"),
        (["q_lr=1e999"], "inf is no value"),
    ],
)
def test_a_grids_values_are_finite_and_stand_once(texts, reason):
    with pytest.raises(UsageError, match=f"--grid .*{reason}"):
        search_space.parse_grid(texts)


def test_two_distributions_of_one_key_are_refused():
    with pytest.raises(UsageError, match="tau is given twice"):
        search_space.parse_search(["tau=uniform(0, 1)", "tau=uniform(1, 2)"])


def test_distributions_are_read_and_drawn_from_within_their_bounds():
    search = search_space.parse_search(
        [
            "alpha.initial=loguniform(1, 100)",
            "tau=uniform(0.1, 0.2)",
            "alpha.decay_steps=randint(10, 20)",
            "replay_capacity=lograndint(10, 1000)",
            "alpha.kind=choice('linear', 'exponential')",
        ]
    )
    points = search_space.drawn(search, 50, seed=1)
    assert points == search_space.drawn(search, 50, seed=1)
    assert points != search_space.drawn(search, 50, seed=2)
    assert points[:5] == search_space.drawn(search, 5, seed=1)
    for point in points:
        assert 1 <= point["alpha.initial"] <= 100
        assert 0.1 <= point["tau"] <= 0.2
        assert point["alpha.decay_steps"] in range(10, 20)
        assert point["replay_capacity"] in range(10, 1000)
    assert {point["alpha.kind"] for point in points} == {"linear", "exponential"}
    # Half of a logarithmic distribution lies below the bounds' geometric mean.
    assert 15 < sum(point["alpha.initial"] < 10 for point in points) < 35


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tau", "expected key=value"),
        ("tau=0.1", "expected a distribution"),
        ("tau=loguniform(1", "expected a distribution"),
        ("tau=f.uniform(1, 2)", "expected a distribution"),
        ("tau=logunifrom(1, 2)", "Did you mean 'loguniform'?"),
        ("tau=uniform(1)", "takes two finite numbers"),
        ("tau=randint(1, 2.5)", "takes two integers"),
        ("tau=uniform(2, 1)", "must increase"),
        ("tau=loguniform(0, 1)", "must increase above 0"),
        ("tau=choice()", "at least one value"),
        ("tau=", "expected a distribution"),
        ("tau=uniform", "expected a distribution"),
        ("tau=" + "(" * 300 + "1", "expected a distribution"),
        ("tau=uniform(*[1, 2])", "takes literals"),
        ("tau=uniform(1, {[]: 2})", "takes literals"),
        ("tau=uniform(1, nan)", "takes literals"),
        ("tau=randint(1, 10**30)", "takes literals"),
        ("tau=uniform(1, 1e999)", "takes two finite numbers"),
        ("tau=uniform(-1e999, 1)", "takes two finite numbers"),
        ("tau=uniform(False, True)", "takes two finite numbers"),
        ("tau=uniform(1, None)", "takes two finite numbers"),
        ("tau=uniform(0, 1, 2)", "takes two finite numbers"),
        ("tau=uniform()", "takes two finite numbers"),
        ("tau=randint(False, 2)", "takes two integers"),
        ("tau=uniform(1, 2, x=3)", "takes no names of arguments"),
        ("tau=uniform(low=1, high=2)", "takes no names of arguments"),
        ("tau=choice(1, **{'b': 2})", "takes no names of arguments"),
        ("tau=uniform(-1e308, 1e308)", "bounds of at most"),
        (f"tau=lograndint(1, {2**64})", "bounds of at most"),
        ("tau=choice(1, 2, 1)", "twice"),
        ("tau=choice(1, 1e999)", "inf is no value"),
    ],
)
def test_what_is_no_distribution_is_refused_with_a_reason(text, reason):
    with pytest.raises(UsageError) as error:
        search_space.parse_search([text])
    assert reason in str(error.value)


def test_all_values_of_all_keys_are_combined():
    settings = search_space.combined({"a": [1, 2], "b.c": ["x", "y", "z"]})
    assert len(settings) == 6
    assert {"a": 2, "b.c": "y"} in settings
    assert search_space.combined({}) == [{}]


def test_alphas_are_constants_and_all_combinations_of_schedules():
    found = search_space.alpha_settings([0.5], [1.0, 2.0], [0.1, 0.2], [10], ["linear"])
    assert found[0] == 0.5
    assert len(found) == 5
    assert found[-1] == {"initial": 2.0, "final": 0.2, "decay_steps": 10, "kind": "linear"}


def test_a_value_inside_a_key_is_changed_after_the_key_itself():
    setting = {"alpha.initial": 3.0, "alpha": {"initial": 1.0, "final": 0.1}, "tau": 0.5}
    before = {"alpha": 7.0, "tau": 0.1}
    after = changed(before, setting)
    assert after == {"alpha": {"initial": 3.0, "final": 0.1}, "tau": 0.5}
    assert before == {"alpha": 7.0, "tau": 0.1}
    with pytest.raises(UsageError, match="is no dict"):
        changed({"alpha": "auto"}, {"alpha.initial": 1.0})


@pytest.mark.parametrize(
    ("distribution", "value", "clipped"),
    [
        (Distribution("uniform", (1.0, 2.0)), 2.4, 2.0),
        (Distribution("loguniform", (1.0, 2.0)), 0.8, 1.0),
        (Distribution("randint", (10, 20)), 24, 19),
        (Distribution("lograndint", (10, 20)), 12, 12),
        (Distribution("choice", ("a", "b")), "b", "b"),
    ],
)
def test_a_mutation_is_put_back_within_its_bounds(distribution, value, clipped):
    found = searching._Clip({"alpha.initial": distribution})({"alpha": {"initial": value}})
    assert found == {"alpha": {"initial": clipped}}
    assert type(found["alpha"]["initial"]) is type(clipped)
