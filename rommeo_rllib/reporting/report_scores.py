"""How the seeds of a report score: the table of a game, and comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rommeo_rllib.experiments.results import Group, scores
from rommeo_rllib.reporting.comparison import interquartile_mean, probability_of_improvement
from rommeo_rllib.reporting.page import Html, joined, table
from rommeo_rllib.reporting.page_figures import whisker
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean, success_rate
from rommeo_rllib.tabular.play_config import CONVERGED, REWARD

STEPS_LABEL = "env steps"
UNKNOWN = math.nan
TASK = "task"
"""Key of the one task that is compared at a time."""


@dataclass(frozen=True)
class Judgement:
    """What counts.

    Attributes:
        success_above: a seed is a success if its return is above this; None if that is unknown.
        greedy: whether greedy returns count, not sampled ones.
    """

    success_above: float | None
    greedy: bool


@dataclass(frozen=True)
class Scored:
    """A group with its seeds' scores.

    Attributes:
        group: the group.
        scores: (seeds,); NaN where a seed has none.
        success: share of seeds that succeeded, where it is known what that is; no score is none.
        iqm: interquartile mean of the scores.
        mean: of the scores.
        steps: the seeds' last env steps.
    """

    group: Group
    scores: np.ndarray
    success: Interval | None
    iqm: Interval
    mean: Interval
    steps: np.ndarray

    @property
    def goodness(self) -> tuple[float, float]:
        """What groups are ranked by: successes, then return."""
        value = self.iqm.value if math.isfinite(self.iqm.value) else self.mean.value
        return (self.success.value if self.success else 0.0, value)


def ranked(groups: Sequence[Group], judgement: Judgement) -> list[Scored]:
    """The groups with their scores, best first."""
    scored = [_scored(group, judgement) for group in groups]
    return sorted(scored, key=lambda one: one.goodness, reverse=True)


def unscored(scored: Sequence[Scored], judgement: Judgement) -> list[str]:
    """A sentence for each group some of whose seeds have no return."""
    fail = ", and count as failures" if judgement.success_above is not None else ""
    return [
        f"{one.group.name}: {count} of {len(one.scores)} seeds have no return, are left out of "
        f"means{fail}."
        for one in scored
        if (count := int((~np.isfinite(one.scores)).sum()))
    ]


def _scored(group: Group, judgement: Judgement) -> Scored:
    if group.tabular is not None:
        return _tabular(group)
    found = scores(group.runs, greedy=judgement.greedy)
    finite = found[np.isfinite(found)]
    success = None
    if judgement.success_above is not None:
        success = success_rate(int((found > judgement.success_above).sum()), len(found))
    unknown = Interval(UNKNOWN, UNKNOWN, UNKNOWN)
    iqm = interquartile_mean({TASK: finite}).interval if len(finite) else unknown
    mean = bootstrap_mean(finite) if len(finite) else unknown
    if len(finite) == 1:
        mean = Interval(mean.value, UNKNOWN, UNKNOWN)
    steps = np.array([run.env_steps[-1] for run in group.runs])
    return Scored(group, found, success, iqm, mean, steps)


def _tabular(group: Group) -> Scored:
    """Tabular learners report means over their trials, so that means have no intervals here."""
    assert group.tabular is not None
    last, trials = group.tabular.iloc[-1], int(group.config["trials"])
    share = last.get(CONVERGED)
    success = None if share is None else success_rate(round(share * trials), trials)
    mean = Interval(float(last[REWARD]), UNKNOWN, UNKNOWN)
    steps = np.array([last["plays"]])
    return Scored(group, np.zeros(0), success, Interval(UNKNOWN, UNKNOWN, UNKNOWN), mean, steps)


def summary(scored: Sequence[Scored], judgement: Judgement) -> Html:
    """The table of all groups, best first; columns of which nothing is known are left out."""
    shown = next((key for key in ("success", "iqm") if _bounds(scored, key) is not None), None)
    bounds = (0.0, 1.0) if shown == "success" else _bounds(scored, "iqm")
    kind = "greedy" if judgement.greedy else "sampled actions'"
    rows = []
    for one in scored:
        marked: Interval | None = getattr(one, shown) if shown else None
        mark = whisker(marked, *bounds) if marked is not None and bounds else ""
        cells = {
            "success": text_of(one.success),
            "iqm": text_of(one.iqm),
            "mean": text_of(one.mean),
        }
        if shown:
            cells[shown] = joined([cells[shown], mark], "")
        seeds = len(one.scores) or int(one.group.config["trials"])
        rows.append([one.group.name, seeds, *cells.values(), _range(one.steps)])
    threshold = judgement.success_above
    converged = all(one.group.tabular is not None for one in scored)
    success = (
        "converged"
        if converged
        else f"success (above {threshold:g})"
        if threshold is not None
        else "success"
    )
    headings = ["", "seeds", success, "IQM of return", "mean return", STEPS_LABEL]
    keep = [i for i in range(len(headings)) if i < 2 or any(row[i] != "-" for row in rows)]
    caption = f"Last {kind} return per play, best first [95 % intervals over seeds]"
    return table(caption, [headings[i] for i in keep], [[row[i] for i in keep] for row in rows])


def _bounds(scored: Sequence[Scored], key: str) -> tuple[float, float] | None:
    found = [interval for one in scored if (interval := getattr(one, key)) is not None]
    values = [v for i in found for v in (i.low, i.high) if math.isfinite(v)]
    return (min(values), max(values)) if values else None


def improvements(scored: Sequence[Scored]) -> Html:
    """How probably the best group beats each other one; nothing where there is no other."""
    known = [one for one in scored if np.isfinite(one.scores).any()]
    if len(known) < 2:
        return Html("")
    best, *others = known
    rows = []
    for other in others:
        found = probability_of_improvement({TASK: best.scores}, {TASK: other.scores})
        mark = whisker(found.interval, 0.0, 1.0)
        rows.append([other.group.name, joined([text_of(found.interval), mark], "")])
    caption = (
        f"Probability that a seed of the first in the table above ({best.group.name}) has a higher "
        "return than one of ... (a half: no difference; no interval where all pairs agree). The "
        "first was chosen by the same seeds, which flatters it."
    )
    return table(caption, ["compared with", "probability of improvement"], rows)


def text_of(interval: Interval | None) -> str:
    """An interval in few figures; without bounds where they are not known."""
    if interval is None or math.isnan(interval.value):
        return "-"
    if math.isnan(interval.low):
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


def _range(steps: np.ndarray) -> str:
    low, high = int(steps.min()), int(steps.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
