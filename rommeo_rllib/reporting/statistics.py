"""Intervals for results over seeds. The seed is the unit of replication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def as_dict(self, name: str = "value") -> dict[str, float]:
        """The three numbers, the estimate under `name`."""
        bounds = asdict(self)
        return {name: bounds.pop("value"), **bounds}

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def success_rate(successes: int, trials: int) -> Interval:
    """The share of trials that succeeded, with its Wilson interval.

    Raises:
        ValueError: if there are no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials; allowed: 0 <= successes <= n.")
    bounds = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / trials, bounds.low, bounds.high)


def bootstrap_mean(values: Sequence[float] | np.ndarray, seed: int = 0) -> Interval:
    """The mean over seeds with its bootstrap interval (percentile; one value has no interval).

    Raises:
        ValueError: if there are no values, or one is not finite.
    """
    sample = np.asarray(values, float)
    if sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError(f"A mean needs at least one value, all finite; given {sample.tolist()}.")
    mean = float(sample.mean())
    if np.ptp(sample) == 0.0:
        return Interval(mean, mean, mean)
    _, low, high = bootstrap_band(sample[:, np.newaxis], resamples=9999, seed=seed)[:, 0]
    return Interval(mean, float(low), float(high))


def bootstrap_band(
    curves: np.ndarray,
    resamples: int = 1000,
    seed: int = 0,
    statistic: Callable[..., np.ndarray] = np.mean,
) -> np.ndarray:
    """Mean (or another statistic over axis 0) and 95 % bootstrap band of curves.

    (seeds, points) -> (3, points): value, low, high.
    """
    curves = np.asarray(curves, float)
    value = statistic(curves, axis=0)
    if len(curves) == 1:
        return np.stack([value, value, value])
    picks = np.random.default_rng(seed).integers(len(curves), size=(resamples, len(curves)))
    values = np.stack([statistic(curves[pick], axis=0) for pick in picks])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return np.stack([value, low, high])


def first_for_good(holds: np.ndarray) -> np.ndarray:
    """From which report on something holds to the end: (reports, ...) -> (...), counted from 0.

    Infinity where it does not hold in the last report.
    """
    lasting = np.logical_and.accumulate(holds[::-1]).sum(0)
    return np.where(lasting > 0, float(len(holds)) - lasting, np.inf)
