"""Intervals against known values and simulated samples."""

from __future__ import annotations

import numpy as np
import pytest

from rommeo_rllib.reporting.statistics import (
    Interval,
    bootstrap_band,
    bootstrap_mean,
    first_for_good,
    success_rate,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (19, 20, 0.7639, 0.9911),
        (1, 20, 0.0089, 0.2361),
        (50, 100, 0.4038, 0.5962),
        (97, 100, 0.9155, 0.9897),
        # z^2 / (n + z^2), where no or every trial succeeds.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (0, 1, 0.0, 0.7935),
    ],
)
def test_a_rate_has_its_wilson_interval(successes, trials, low, high):
    found = success_rate(successes, trials)
    assert found.value == successes / trials
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} successes in {trials} trials"):
        success_rate(successes, trials)


def test_a_mean_of_normal_values_has_nearly_the_textbook_interval():
    values = np.random.default_rng(1).normal(5.0, 2.0, 500)
    found = bootstrap_mean(values)
    half = 1.96 * values.std(ddof=1) / np.sqrt(500)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_intervals_cover_the_truth_in_nearly_95_of_100_samples():
    # Skewed, as returns are; every sample is a point of its own.
    samples = np.random.default_rng(2).exponential(1.0, (60, 1000))
    _, low, high = bootstrap_band(samples)
    covered = np.mean((low <= 1.0) & (high >= 1.0))
    assert 0.91 < covered < 0.97
    # What misses the truth does so on both sides.
    assert (low > 1.0).any()
    assert (high < 1.0).any()


def test_a_mean_depends_on_values_and_seed_only():
    values = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(np.array(values), seed=3)
    low, mean, high = min(values), np.mean(values), max(values)
    found = bootstrap_mean(values)
    assert low <= found.low < mean < found.high <= high


@pytest.mark.parametrize("values", [[0.1], [0.1] * 7])
def test_equal_values_leave_no_doubt(values):
    mean = float(np.mean(values))
    assert bootstrap_mean(values) == Interval(mean, mean, mean)


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf, 1.0]])
def test_a_mean_of_nothing_or_of_what_is_not_finite_is_refused(values):
    with pytest.raises(ValueError, match="at least one value, all finite"):
        bootstrap_mean(values)


def test_a_band_has_mean_and_bounds_at_every_point():
    curves = np.random.default_rng(0).normal(size=(8, 5))
    band = bootstrap_band(curves)
    assert band.shape == (3, 5)
    mean, low, high = band
    np.testing.assert_allclose(mean, curves.mean(0))
    assert (curves.min(0) <= low).all()
    assert (low < mean).all()
    assert (mean < high).all()
    assert (high <= curves.max(0)).all()


def test_a_single_curve_is_its_own_band():
    curve = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(bootstrap_band(curve), np.repeat(curve, 3, axis=0))


def test_curves_without_points_have_a_band_without_points():
    assert bootstrap_band(np.zeros((4, 0))).shape == (3, 0)


def test_an_interval_reads_as_value_and_bounds():
    interval = Interval(0.5, 0.25, 0.75)
    assert str(interval) == "0.5 [0.25, 0.75]"
    assert interval.as_dict("rate") == {"rate": 0.5, "low": 0.25, "high": 0.75}


def test_what_holds_for_good_is_found_seed_by_seed():
    never, always, late, lost = [0, 0, 0], [1, 1, 1], [1, 0, 1], [1, 1, 0]
    holds = np.array([never, always, late, lost], bool).T
    assert first_for_good(holds).tolist() == [np.inf, 0.0, 2.0, np.inf]
    assert first_for_good(np.zeros(0, bool)) == np.inf
