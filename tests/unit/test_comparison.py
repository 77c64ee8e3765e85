"""Comparisons of algorithms against closed forms, scipy and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rommeo_rllib.reporting.comparison import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    sample_efficiency,
)

NAN = float("nan")
_numbers = st.floats(-100, 100, allow_subnormal=False)
_sample = st.lists(_numbers, min_size=1, max_size=12)


def test_the_middle_half_makes_the_interquartile_mean():
    # Of eight scores two are dropped at each end.
    found = interquartile_mean({"game": [8.0, -1000.0, 1.0, 2.0, 3.0, 4.0, 7.0, 1000.0]})
    assert found.interval.value == pytest.approx((2.0 + 3.0 + 4.0 + 7.0) / 4)
    assert (found.seeds, found.left_out) == (8, 0)


@settings(max_examples=30, deadline=None)
@given(_sample, _sample)
def test_tasks_are_pooled_as_scipy_trims_them(first, second):
    found = interquartile_mean({"one": first, "other": second}).interval.value
    assert found == pytest.approx(stats.trim_mean(first + second, 0.25), abs=1e-9)


def test_the_interval_of_a_large_sample_is_nearly_the_trimmed_means_textbook_interval():
    scores = np.random.default_rng(0).normal(5.0, 2.0, 400)
    found = interquartile_mean({"game": scores}).interval
    # Tukey and McLaughlin: the winsorised standard deviation over (1 - 2 * 0.25) sqrt(n).
    winsorised = np.asarray(stats.mstats.winsorize(scores, (0.25, 0.25)))
    half = 1.96 * winsorised.std(ddof=1) / (0.5 * np.sqrt(len(scores)))
    assert found.high - found.value == pytest.approx(half, rel=0.15)
    assert found.value - found.low == pytest.approx(half, rel=0.15)


def test_seeds_are_drawn_anew_within_their_task():
    # Tasks that differ by far, seeds that do not: nothing but the seeds' spread is in doubt.
    scores = {"low": [0.0, 1.0, 2.0, 3.0], "high": [100.0, 101.0, 102.0, 103.0]}
    found = interquartile_mean(scores).interval
    everything = np.concatenate([scores["low"], scores["high"]])
    random = np.random.default_rng(0)
    pooled = stats.trim_mean(random.choice(everything, (2000, 8)), 0.25, axis=1)
    assert found.high - found.low < 4.0 < 20.0 < np.subtract(*np.quantile(pooled, [0.975, 0.025]))


def test_what_is_not_finite_is_left_out_and_counted():
    found = interquartile_mean({"game": [1.0, NAN, 3.0, np.inf]})
    assert found.interval.value == 2.0
    assert (found.seeds, found.left_out) == (2, 2)


def test_one_seed_has_a_value_but_no_interval():
    found = interquartile_mean({"game": [3.0], "other": [1.0, 2.0]}).interval
    assert found.value == 2.0
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("scores", [{}, {"game": []}, {"game": [1.0], "other": [NAN]}])
def test_a_task_without_scores_is_refused(scores):
    with pytest.raises(ValueError, match="needs a finite score"):
        interquartile_mean(scores)


@settings(max_examples=30, deadline=None)
@given(_sample, _sample)
def test_the_probability_of_improvement_is_the_share_of_pairs_with_ties_as_halves(first, second):
    found = probability_of_improvement({"game": first}, {"game": second}).interval.value
    pairs = [(x > y) + 0.5 * (x == y) for x, y in itertools.product(first, second)]
    assert found == pytest.approx(np.mean(pairs))
    u = stats.mannwhitneyu(first, second, method="asymptotic").statistic
    assert found == pytest.approx(u / (len(first) * len(second)))


def test_the_probability_of_improvement_is_a_mean_over_tasks():
    better, worse = {"one": [2.0, 3.0], "other": [0.0] * 9}, {"one": [0.0, 1.0], "other": [0.0] * 3}
    found = probability_of_improvement(better, worse)
    assert found.interval.value == pytest.approx((1.0 + 0.5) / 2)
    assert found.seeds == 16
    # In either task all pairs are alike, however they are drawn: no ground for an interval.
    assert np.isnan([found.interval.low, found.interval.high]).all()


def test_the_probability_of_improvement_has_the_bootstraps_interval():
    random = np.random.default_rng(0)
    first, second = random.normal(0.5, 1.0, 30), random.normal(0.0, 1.0, 20)
    found = probability_of_improvement({"game": first}, {"game": second}).interval
    redrawn = [
        np.mean(random.choice(first, 30)[:, None] > random.choice(second, 20)) for _ in range(2000)
    ]
    low, high = np.quantile(redrawn, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)


def test_algorithms_are_compared_on_the_same_tasks_only():
    with pytest.raises(ValueError, match=r"Tasks differ: \['one'\] and \['other'\]"):
        probability_of_improvement({"one": [1.0]}, {"other": [1.0]})


def test_a_profile_is_the_share_of_seeds_above_each_threshold():
    scores = {"one": [0.0, 1.0, 2.0, 3.0], "other": [5.0, NAN]}
    found = performance_profile(scores, [-1.0, 0.0, 1.5, 4.0, 5.0])
    np.testing.assert_allclose(found.value, np.mean([[1, 0.75, 0.5, 0, 0], [1, 1, 1, 1, 0]], 0))
    assert (found.seeds, found.left_out) == (5, 1)


def test_a_profiles_band_is_that_of_a_share_and_falls_with_the_threshold():
    scores = np.random.default_rng(0).normal(size=200)
    found = performance_profile({"game": scores}, np.linspace(-2, 2, 9))
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 200)
    np.testing.assert_allclose(found.high - found.value, half, atol=0.012)
    for curve in (found.value, found.low, found.high):
        assert (np.diff(curve) <= 0).all()


def test_aligned_curves_have_the_interquartile_mean_at_each_step():
    steps = np.arange(1, 6) * 25
    curves = np.random.default_rng(0).normal(size=(8, 5))
    found = sample_efficiency({"game": [(steps, curve) for curve in curves]})
    np.testing.assert_array_equal(found.x, steps)
    np.testing.assert_allclose(found.value, stats.trim_mean(curves, 0.25, axis=0))
    assert ((found.low <= found.value) & (found.value <= found.high)).all()
    assert (found.seeds, found.left_out, found.carried, found.cut_after) == (8, 0, 0, None)
    alone = interquartile_mean({"game": curves[:, 2]}).interval
    assert (found.low[2], found.high[2]) == pytest.approx((alone.low, alone.high), abs=0.15)


def test_the_curve_ends_where_the_first_seed_ends_and_says_so():
    found = sample_efficiency({"game": [([1, 2, 3], [1.0, 2.0, 3.0]), ([1, 2], [3.0, 4.0])]})
    np.testing.assert_array_equal(found.x, [1, 2])
    np.testing.assert_array_equal(found.value, [2.0, 3.0])
    assert found.cut_after == 2


def test_seeds_that_report_at_other_steps_hold_their_latest_score():
    found = sample_efficiency({"game": [([10, 30, 40], [0.0, 2.0, 4.0]), ([20, 40], [10.0, 20.0])]})
    np.testing.assert_array_equal(found.x, [20, 30, 40])
    np.testing.assert_array_equal(found.value, [5.0, 6.0, 12.0])


def test_missing_scores_are_carried_on_and_seeds_without_any_left_out():
    curves = [
        ([1, 2, 3, 4], [NAN, 1.0, NAN, 3.0]),
        ([1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0]),
        ([1, 2, 3, 4], [NAN] * 4),
    ]
    found = sample_efficiency({"game": curves})
    np.testing.assert_array_equal(found.x, [2, 3, 4])
    np.testing.assert_array_equal(found.value, [1.0, 1.0, 2.0])
    assert (found.seeds, found.left_out, found.carried) == (2, 1, 1)


def test_curves_that_never_meet_have_no_points():
    found = sample_efficiency({"game": [([1, 2], [1.0, 1.0]), ([3, 4], [1.0, 1.0])]})
    assert found.x.shape == found.value.shape == found.low.shape == (0,)


@pytest.mark.parametrize("curves", [{}, {"game": []}, {"game": [([1], [NAN])]}])
def test_curves_without_any_score_are_refused(curves):
    with pytest.raises(ValueError, match="needs a seed with a finite score"):
        sample_efficiency(curves)


def test_a_curve_whose_steps_and_scores_differ_in_number_is_refused():
    with pytest.raises(ValueError, match=r"Env steps are \(2,\), scores \(1,\)"):
        sample_efficiency({"game": [([1, 2], [1.0])]})
