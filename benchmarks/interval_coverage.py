"""How often bootstrap intervals over few seeds hold the truth: theirs should be 95 of 100.

    python benchmarks/interval_coverage.py

Scores are drawn as games give them: normal around 9 (all seeds at the optimum), or a lottery in
which a seed ends near 9 with probability 0.8 and near 0 else. Intervals are the percentile
bootstrap's, as `reporting.statistics` and `reporting.comparison` make them, with fewer resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from rommeo_rllib.reporting.statistics import CONFIDENCE

SEEDS = (4, 5, 10, 20, 50)
SAMPLES, RESAMPLES = 2000, 400

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Statistic = Callable[[np.ndarray], np.ndarray]


def normal(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """All seeds at the optimum."""
    return random.normal(9.0, 0.5, size)


def lottery(random: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Four of five seeds at the optimum."""
    return np.where(random.random(size) < 0.8, 9.0, 0.0) + random.normal(0.0, 0.3, size)


def iqm(sample: np.ndarray) -> np.ndarray:
    """Interquartile mean over the last axis."""
    return np.asarray(stats.trim_mean(sample, 0.25, axis=-1))


def mean(sample: np.ndarray) -> np.ndarray:
    """Mean over the last axis."""
    return sample.mean(-1)


def coverage(draw: Draw, statistic: Statistic, seeds: int) -> float:
    """The share of samples whose interval holds what a sample of a million has."""
    random = np.random.default_rng(0)
    truth = statistic(draw(random, (1_000_000,)))
    sample = draw(random, (SAMPLES, seeds))
    picks = random.integers(seeds, size=(RESAMPLES, seeds))
    values = np.stack([statistic(sample[:, pick]) for pick in picks])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


if __name__ == "__main__":
    columns = [(draw, statistic) for draw in (normal, lottery) for statistic in (iqm, mean)]
    names = (f"{draw.__name__}, {statistic.__name__}" for draw, statistic in columns)
    print(f"| seeds | {' | '.join(names)} |")
    print("|---" * (1 + len(columns)) + "|")
    for seeds in SEEDS:
        cells = [coverage(draw, statistic, seeds) for draw, statistic in columns]
        print(f"| {seeds} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
