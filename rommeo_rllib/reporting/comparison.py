"""Comparing algorithms over seeds and tasks: what `statistics` says of one sample, for several.

Follows Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(NeurIPS 2021): interquartile means, probability of improvement, performance profiles and curves of
sample efficiency, with intervals from a bootstrap that draws seeds anew within each task.

The seed is the unit of replication. What cannot be counted, because it is NaN or infinite, is left
out, and every result says how many seeds that were. Intervals need two seeds a task; their bounds
are NaN where there are fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rommeo_rllib.reporting.statistics import CONFIDENCE, Interval

Array = NDArray[np.float64]
Scores = Mapping[str, ArrayLike]
"""By the task's name: one number a seed. Tasks may differ in their number of seeds."""

RESAMPLES = 2000
# Numbers that are held at a time while samples are drawn anew.
_MOST_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """An estimate, and what went into it.

    Attributes:
        interval: value and 95 % bounds.
        seeds: how many seeds were counted, all tasks (and both algorithms) together.
        left_out: how many were not, since their score is NaN or infinite.
    """

    interval: Interval
    seeds: int
    left_out: int


@dataclass(frozen=True)
class Band:
    """A curve with its 95 % band.

    Attributes:
        x: (points,) thresholds or env steps.
        value: (points,).
        low: (points,); NaN where there are too few seeds.
        high: (points,).
        seeds: how many seeds were counted.
        left_out: how many seeds were not, since they have no finite value.
        carried: how many values were missing and taken over from the report before.
        cut_after: the env step up to which all seeds have reports, if one has later ones.
    """

    x: Array
    value: Array
    low: Array
    high: Array
    seeds: int
    left_out: int
    carried: int = 0
    cut_after: float | None = None


def interquartile_mean(scores: Scores, seed: int = 0) -> Estimate:
    """The mean of the middle half of all seeds' scores, all tasks together.

    A quarter of the scores, rounded down, is dropped at each end (`scipy.stats.trim_mean`).

    Args:
        scores: one algorithm's. Tasks weigh by their number of seeds; their scores should be in
            the same units.
        seed: of the bootstrap.

    Raises:
        ValueError: if a task has no finite score, or there is no task.
    """
    samples, left_out = _finite(scores)
    value, low, high = _bootstrapped(samples, _trimmed_mean, seed)
    return Estimate(Interval(float(value), float(low), float(high)), _count(samples), left_out)


def probability_of_improvement(better: Scores, than: Scores, seed: int = 0) -> Estimate:
    """The probability that one algorithm's seed scores above another's, mean over tasks.

    Ties count as a half: it is Mann and Whitney's U, divided by the number of pairs. There is no
    interval (its bounds are NaN) where every pair of a task agrees: a bootstrap would find no
    doubt, however few the seeds.

    Args:
        better: the algorithm that may be better.
        than: the other one, on the same tasks.
        seed: of the bootstrap.

    Raises:
        ValueError: if the tasks differ, or one has no finite score.
    """
    if set(better) != set(than):
        raise ValueError(f"Tasks differ: {sorted(better)} and {sorted(than)}; allowed: the same.")
    first, left_out = _finite(better)
    second, left_out_too = _finite({task: than[task] for task in better})
    value, low, high = _bootstrapped([*first, *second], _mean_dominance, seed)
    if low == high:
        low = high = np.asarray(math.nan)
    estimate = Interval(float(value), float(low), float(high))
    return Estimate(estimate, _count([*first, *second]), left_out + left_out_too)


def performance_profile(scores: Scores, thresholds: ArrayLike, seed: int = 0) -> Band:
    """The share of seeds that score above each threshold, mean over tasks, with pointwise bands.

    Args:
        scores: one algorithm's.
        thresholds: (points,), in the units of the score.
        seed: of the bootstrap.

    Raises:
        ValueError: if a task has no finite score, or there is no task.
    """
    samples, left_out = _finite(scores)
    x = np.asarray(thresholds, float)
    above = [(sample > x[:, np.newaxis]).astype(float) for sample in samples]
    value, low, high = _bootstrapped(above, _mean_of_means, seed)
    return Band(x, value, low, high, _count(samples), left_out)


def sample_efficiency(
    curves: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]], seed: int = 0
) -> Band:
    """Interquartile mean of the score over env steps, with its pointwise band.

    Seeds may have reported at different env steps, and ended at different ones. Between two reports
    a seed's score is the earlier one, so that nothing is known before it was reported; a missing
    (NaN) score is taken over from the report before. The curve spans the env steps at which all
    seeds have a score: it ends where the first of them ends, since what goes on would be the mean
    of others.

    Args:
        curves: by the task's name: for each seed its env steps, increasing, and its scores, both
            (reports,).
        seed: of the bootstrap.

    Raises:
        ValueError: if a task has no seed with a finite score, or lengths differ within a seed.
    """
    seeds = [[_reports(*curve) for curve in task] for task in curves.values()]
    known = [[(x, y) for x, y in task if np.isfinite(y).any()] for task in seeds]
    if not known or not all(known):
        raise ValueError(f"Each task needs a seed with a finite score; given {dict(curves)}.")
    every = [curve for task in known for curve in task]
    begin = max(x[np.isfinite(y)][0] for x, y in every)
    end = min(x[-1] for x, _ in every)
    grid = np.unique(np.concatenate([x for x, _ in every]))
    grid = grid[(grid >= begin) & (grid <= end)]
    tables = [np.stack([_held(x, y, grid) for x, y in task], axis=-1) for task in known]
    value, low, high = _bootstrapped(tables, _trimmed_mean, seed)
    is_cut = any(x[-1] > end for x, _ in every)
    return Band(
        x=grid,
        value=value,
        low=low,
        high=high,
        seeds=len(every),
        left_out=sum(map(len, seeds)) - len(every),
        carried=sum(_missing(x, y, begin, end) for x, y in every),
        cut_after=float(end) if is_cut else None,
    )


def _finite(scores: Scores) -> tuple[list[Array], int]:
    """Each task's finite scores, and how many were not finite."""
    given = {task: np.asarray(values, float).reshape(-1) for task, values in scores.items()}
    samples = {task: values[np.isfinite(values)] for task, values in given.items()}
    empty = [task for task, values in samples.items() if not len(values)]
    if empty or not samples:
        raise ValueError(
            f"Each task needs a finite score; without one: {empty or 'no task given'}."
        )
    return list(samples.values()), _count(list(given.values())) - _count(list(samples.values()))


def _count(samples: Sequence[Array]) -> int:
    return sum(len(sample) for sample in samples)


def _bootstrapped(
    samples: Sequence[Array], statistic: Callable[..., Array], seed: int
) -> tuple[Array, Array, Array]:
    """(value, low, high): seeds, on the last axis, are drawn anew within each sample."""
    value = np.asarray(statistic(*samples, axis=-1))
    if min(sample.shape[-1] for sample in samples) < 2 or value.size == 0:
        unknown = np.full_like(value, math.nan)
        return value, unknown, unknown
    found = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _MOST_AT_ONCE // sum(sample.size for sample in samples)),
        vectorized=True,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    return value, found.confidence_interval.low, found.confidence_interval.high


def _trimmed_mean(*samples: Array, axis: int) -> Array:
    return np.asarray(stats.trim_mean(np.concatenate(samples, axis=axis), 0.25, axis=axis))


def _mean_of_means(*samples: Array, axis: int) -> Array:
    return np.mean([sample.mean(axis) for sample in samples], axis=0)


def _mean_dominance(*samples: Array, axis: int) -> Array:
    """Samples: those of one algorithm for each task, then the other's for each."""
    half = len(samples) // 2
    pairs = zip(samples[:half], samples[half:], strict=True)
    return np.mean([_dominance(first, second, axis) for first, second in pairs], axis=0)


def _dominance(first: Array, second: Array, axis: int) -> Array:
    """Share of pairs in which the first is above the second: U / (n m)."""
    together = np.concatenate([first, second], axis=axis)
    n, m = first.shape[axis], second.shape[axis]
    ranks = stats.rankdata(together, axis=axis)[..., :n].sum(axis)
    return np.asarray((ranks - n * (n + 1) / 2) / (n * m))


def _reports(steps: ArrayLike, scores: ArrayLike) -> tuple[Array, Array]:
    x, y = np.asarray(steps, float), np.asarray(scores, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(
            f"Env steps are {x.shape}, scores {y.shape}; allowed: the same (reports,)."
        )
    return x, y


def _held(x: Array, y: Array, grid: Array) -> Array:
    """The latest finite score at each env step of the grid."""
    known = np.isfinite(y)
    return y[known][np.searchsorted(x[known], grid, side="right") - 1]


def _missing(x: Array, y: Array, begin: float, end: float) -> int:
    return int((~np.isfinite(y) & (x >= begin) & (x <= end)).sum())
