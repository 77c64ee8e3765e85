"""Schedules: their values over time, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rommeo_rllib.naming import reject_unknown_keys
from rommeo_rllib.schedules import make_schedule
from rommeo_rllib.temperatures import Auto, is_learned, make_alpha

DECAY = {"initial": 500.0, "final": 0.1, "decay_steps": 1000}


@pytest.mark.parametrize("spec", [0.3, np.float32(0.3), [[0, 0.3]], [(0, 0.3), (10, 0.3)]])
def test_a_constant_never_changes(spec):
    schedule = make_schedule(spec, "alpha")
    assert [schedule.value(t) for t in (0, 5, 10**9)] == pytest.approx([0.3] * 3)


def test_an_integer_is_a_number():
    assert make_schedule(2, "alpha").value(7) == 2.0


@pytest.mark.parametrize("spec", [DECAY, {**DECAY, "kind": "linear"}, [[0, 500.0], [1000, 0.1]]])
def test_a_linear_decay(spec):
    schedule = make_schedule(spec, "alpha")
    values = [schedule.value(t) for t in (0, 250, 500, 1000, 1001, 10**9)]
    assert values == pytest.approx([500.0, 375.025, 250.05, 0.1, 0.1, 0.1])


def test_a_piecewise_schedule_interpolates_between_its_points():
    schedule = make_schedule([[0, 1.0], [10, 3.0], [30, 2.0]], "alpha")
    values = [schedule.value(t) for t in (0, 5, 10, 20, 30, 99)]
    assert values == pytest.approx([1.0, 2.0, 3.0, 2.5, 2.0, 2.0])


def test_an_exponential_decay_falls_by_the_same_factor():
    schedule = make_schedule({**DECAY, "kind": "exponential"}, "alpha")
    middle = math.sqrt(500.0 * 0.1)
    values = [schedule.value(t) for t in (0, 500, 1000, 2000)]
    assert values == pytest.approx([500.0, middle, 0.1, 0.1])
    assert schedule.value(300) / schedule.value(200) == pytest.approx(
        schedule.value(800) / schedule.value(700)
    )


@given(
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.integers(1, 10**6),
    st.sampled_from(["linear", "exponential"]),
    st.integers(0, 2 * 10**6),
)
def test_a_schedule_stays_between_its_ends(initial, final, steps, kind, t):
    spec = {"initial": initial, "final": final, "decay_steps": steps, "kind": kind}
    value = make_schedule(spec, "alpha").value(t)
    low, high = sorted([initial, final])
    assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    if t >= steps:
        assert value == pytest.approx(final)


@pytest.mark.parametrize("bad", [-1.0, 0, 0.0, math.nan, math.inf, True, None, "0.1", [], 1j])
def test_a_value_that_is_no_positive_number_is_refused(bad):
    with pytest.raises(ValueError, match="`alpha`"):
        make_schedule(bad, "alpha")


@pytest.mark.parametrize("key", ["initial", "final", "decay_steps"])
@pytest.mark.parametrize("bad", [-1.0, 0.0, math.nan, True, "1", None])
def test_a_bad_value_within_a_decay_names_its_key(key, bad):
    with pytest.raises(ValueError, match=rf"`alpha\['{key}'\]` is .*above 0"):
        make_schedule({**DECAY, key: bad}, "alpha")


def test_zero_may_be_allowed():
    assert make_schedule(0.0, "kl_coeff", allow_zero=True).value(3) == 0.0
    assert make_schedule({**DECAY, "final": 0}, "kl_coeff", allow_zero=True).value(1000) == 0.0
    assert make_schedule([[0, 1.0], [4, 0.0]], "kl_coeff", allow_zero=True).value(4) == 0.0
    with pytest.raises(ValueError, match="at least 0"):
        make_schedule(-0.1, "kl_coeff", allow_zero=True)


@pytest.mark.parametrize("key", ["initial", "final"])
def test_an_exponential_decay_cannot_start_or_end_at_zero(key):
    with pytest.raises(ValueError, match=f"{key}.*above 0"):
        make_schedule({**DECAY, key: 0.0, "kind": "exponential"}, "kl_coeff", allow_zero=True)


@pytest.mark.parametrize(
    ("misspelt", "right"), [("intial", "initial"), ("decay_step", "decay_steps"), ("Kind", "kind")]
)
def test_a_misspelt_key_names_the_nearest(misspelt, right):
    with pytest.raises(ValueError, match=rf"no key '{misspelt}'. Did you mean '{right}'\?"):
        make_schedule({**DECAY, misspelt: 1.0}, "alpha")


@pytest.mark.parametrize("key", ["initial", "final", "decay_steps"])
def test_a_missing_key_is_named(key):
    with pytest.raises(ValueError, match=rf"lacks \['{key}'\]"):
        make_schedule({k: v for k, v in DECAY.items() if k != key}, "alpha")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"'cosine'; allowed: 'linear', 'exponential'"):
        make_schedule({**DECAY, "kind": "cosine"}, "alpha")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 1.0], [10, 2.0], [5, 1.0]], "must increase"),
        ([[0, 1.0], [0, 2.0]], "must increase"),
        ([[5, 1.0], [10, 2.0]], "first point must be at 0"),
        ([[0, 1.0], [math.nan, 2.0]], "finite"),
        ([[0, 1.0], ["10", 2.0]], "finite"),
        ([[0, 1.0, 2.0]], "pairs"),
        ([0, 1.0], "pairs"),
        ([[0, 1.0], [10, -2.0]], "env step 10"),
        ([[0, True]], "env step 0"),
    ],
)
def test_bad_points_are_refused(points, message):
    with pytest.raises(ValueError, match=rf"`alpha.*{message}"):
        make_schedule(points, "alpha")


@pytest.mark.parametrize(
    ("spec", "initial", "target", "total"),
    [
        ("auto", 1.0, None, None),
        ({"target_entropy": "auto"}, 1.0, None, None),
        ({"target_entropy": None, "initial": 0.2}, 0.2, None, None),
        ({"target_entropy": -0.5, "initial": 3}, 3.0, -0.5, None),
        ({"total_target_entropy": 0.0}, 1.0, None, 0.0),
    ],
)
def test_alpha_may_be_learned(spec, initial, target, total):
    assert is_learned(spec)
    alpha = make_alpha(spec)
    # It is not a schedule that looks like it.
    assert isinstance(alpha, Auto)
    assert not hasattr(alpha, "value")
    assert (alpha.initial, alpha.target_entropy, alpha.total_target_entropy) == (
        initial,
        target,
        total,
    )


@pytest.mark.parametrize("spec", [0.5, DECAY, [[0, 1.0]], {**DECAY, "kind": "exponential"}])
def test_a_number_or_schedule_of_alpha_is_not_learned(spec):
    assert not is_learned(spec)
    assert not isinstance(make_alpha(spec), Auto)


def test_alpha_may_follow_a_schedule():
    assert make_alpha(DECAY).value(500) == make_schedule(DECAY, "alpha").value(500)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("automatic", "`alpha` is 'automatic'"),
        ({"target_entropy": math.nan}, "target_entropy"),
        ({"target_entropy": True}, "target_entropy"),
        ({"target_entropy": None, "initial": 0.0}, "initial"),
        ({"target_entropy": 1.0, "total_target_entropy": 2.0}, "one of its targets"),
        ({"target_entropy": -1.0, "inital": 0.5}, "Did you mean 'initial'"),
        ({"target_entropy": -1.0, "final": 0.5}, "no key 'final'"),
    ],
)
def test_bad_settings_of_a_learned_alpha_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        make_alpha(spec)


def test_known_keys_pass():
    reject_unknown_keys(["a", "b"], ["a", "b", "c"], "x")
