"""What a report says of one game: a table, curves, comparisons, alpha."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib.commands.report_results import Group, scores
from rommeo_rllib.commands.seed_runs import SeedRun
from rommeo_rllib.reporting.comparison import (
    Band,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    sample_efficiency,
)
from rommeo_rllib.reporting.page import Html, element, figure, joined, table
from rommeo_rllib.reporting.page_figures import Line, draw_lines, legend, whisker
from rommeo_rllib.reporting.statistics import Interval, bootstrap_mean, success_rate
from rommeo_rllib.reporting.themed_svg import NUM_SERIES, as_text, themed_svg

STEPS_LABEL = "env steps"
RETURN_LABEL = "return of an agent per play"
UNKNOWN = math.nan

MOST_CURVES = NUM_SERIES - 1
_MOST_SEEDS_DRAWN = 30
_TASK = "task"


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


def task_sections(
    scored: Sequence[Scored], judgement: Judgement, name: str
) -> tuple[list[Html], list[str]]:
    """Table, curves and comparisons of what was played on one game, and what is missing there."""
    curves, curve_notes = _curves(scored, judgement, name)
    pictures = [curves, _alpha(scored, name), _profiles(scored, name)]
    parts = [_summary(scored, judgement), element("div", *filter(None, pictures), class_="figures")]
    return [*parts, _improvements(scored)], unscored(scored, judgement) + curve_notes


def unscored(scored: Sequence[Scored], judgement: Judgement) -> list[str]:
    """A sentence for each group some of whose seeds have no return."""
    fail = ", and count as failures" if judgement.success_above is not None else ""
    return [
        f"{one.group.name}: {count} of {len(one.scores)} seeds have no return, are left out of "
        f"means{fail}."
        for one in scored
        if (count := int((~np.isfinite(one.scores)).sum()))
    ]


def ranked(groups: Sequence[Group], judgement: Judgement) -> list[Scored]:
    """The groups with their scores, best first."""
    scored = [_scored(group, judgement) for group in groups]
    return sorted(scored, key=lambda one: one.goodness, reverse=True)


def _scored(group: Group, judgement: Judgement) -> Scored:
    if group.tabular is not None:
        return _tabular(group)
    found = scores(group.runs, greedy=judgement.greedy)
    finite = found[np.isfinite(found)]
    success = None
    if judgement.success_above is not None:
        success = success_rate(int((found > judgement.success_above).sum()), len(found))
    unknown = Interval(UNKNOWN, UNKNOWN, UNKNOWN)
    iqm = interquartile_mean({_TASK: finite}).interval if len(finite) else unknown
    mean = bootstrap_mean(finite) if len(finite) else unknown
    if len(finite) == 1:
        mean = Interval(mean.value, UNKNOWN, UNKNOWN)
    steps = np.array([run.env_steps[-1] for run in group.runs])
    return Scored(group, found, success, iqm, mean, steps)


def _tabular(group: Group) -> Scored:
    """Tabular learners report means over their trials, so that means have no intervals here."""
    from rommeo_rllib.tabular.trainable import CONVERGED, REWARD

    assert group.tabular is not None
    last, trials = group.tabular.iloc[-1], int(group.config["trials"])
    share = last.get(CONVERGED)
    success = None if share is None else success_rate(round(share * trials), trials)
    mean = Interval(float(last[REWARD]), UNKNOWN, UNKNOWN)
    steps = np.array([last["plays"]])
    return Scored(group, np.zeros(0), success, Interval(UNKNOWN, UNKNOWN, UNKNOWN), mean, steps)


def _summary(scored: Sequence[Scored], judgement: Judgement) -> Html:
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


def _curves(scored: Sequence[Scored], judgement: Judgement, name: str) -> tuple[Html, list[str]]:
    """Returns over env steps; of tabular learners the share that has converged."""
    tabular = [one for one in scored if one.group.tabular is not None]
    if tabular:
        return _tabular_curves(tabular, name), []
    lines: list[Line] = []
    for place, one in enumerate(scored[:MOST_CURVES]):
        line = line_of(one.group, place, lambda run: run.returns, each_seed=len(scored) == 1)
        lines += [line] if line else []
        if len(scored) == 1 and line:
            greedy = line_of(one.group, place + 1, lambda run: run.greedy_returns)
            lines = [
                _named(line, "sampled actions"),
                *([_named(greedy, "greedy")] if greedy else []),
            ]
    if not lines:
        return Html(""), [f"{one.group.name}: no seed has a learning curve." for one in scored]
    drawing = draw_lines(
        lines,
        x_label=STEPS_LABEL,
        y_label=RETURN_LABEL,
        reference=judgement.success_above,
        limits=(_floor(lines), None),
    )
    marked = "" if judgement.success_above is None else " Dotted: what a success is above."
    many = _of_many(len(scored))
    caption = f"Interquartile mean over seeds with its 95 % band{many}.{marked}"
    drawn = picture("Learning curves", drawing, f"{name}-curves", lines, caption)
    notes = [note for line in lines for note in _notes(line)]
    return drawn, notes


def _tabular_curves(scored: Sequence[Scored], name: str) -> Html:
    from rommeo_rllib.tabular.trainable import CONVERGED

    lines = []
    for place, one in enumerate(scored[:MOST_CURVES]):
        frame, trials = one.group.tabular, int(one.group.config["trials"])
        if frame is None or CONVERGED not in frame:
            continue
        shares = [success_rate(round(share * trials), trials) for share in frame[CONVERGED]]
        value, low, high = np.array([(s.value, s.low, s.high) for s in shares]).T
        x = frame["plays"].to_numpy(float)
        lines.append(Line(one.group.name, Band(x, value, low, high, trials, 0), place))
    if not lines:
        return Html("")
    label = "share of trials converged"
    drawing = draw_lines(lines, x_label="plays", y_label=label, limits=(-0.03, 1.03))
    caption = f"Share of trials with its 95 % Wilson interval{_of_many(len(scored))}."
    return picture("Learning curves", drawing, f"{name}-curves", lines, caption)


def _alpha(scored: Sequence[Scored], name: str) -> Html:
    lines = [
        line
        for place, one in enumerate(scored[:MOST_CURVES])
        if (line := line_of(one.group, place, lambda run: run.metric("alpha")))
    ]
    positive = [line for line in lines if (line.band.value > 0).all()]
    if not lines:
        return Html("")
    drawing = draw_lines(
        lines,
        x_label=STEPS_LABEL,
        y_label="alpha (units of the reward)",
        log=len(positive) == len(lines),
    )
    caption = f"Weight of the policy's entropy, mean over policies{_of_many(len(scored))}."
    return picture("Alpha over time", drawing, f"{name}-alpha", lines, caption)


def _profiles(scored: Sequence[Scored], name: str) -> Html:
    known = [one for one in scored if np.isfinite(one.scores).sum() > 1][:MOST_CURVES]
    if len(known) < 2:
        return Html("")
    every = np.concatenate([one.scores for one in known])
    thresholds = np.unique(every[np.isfinite(every)])
    # A little more on both sides, where all and none are above.
    margin = 0.02 * max(float(np.ptp(thresholds)), 1e-9)
    thresholds = np.concatenate([[thresholds[0] - margin], thresholds, [thresholds[-1] + margin]])
    places = {one.group.name: place for place, one in enumerate(scored)}
    lines = [
        Line(
            one.group.name,
            performance_profile({_TASK: one.scores}, thresholds),
            places[one.group.name],
        )
        for one in known
    ]
    drawing = draw_lines(
        lines,
        x_label=RETURN_LABEL,
        y_label="share of seeds above",
        limits=(-0.03, 1.03),
        steps=True,
    )
    caption = f"Share of seeds whose last return is above each value{_of_many(len(scored))}."
    return picture("Performance profiles", drawing, f"{name}-profiles", lines, caption)


def _improvements(scored: Sequence[Scored]) -> Html:
    known = [one for one in scored if np.isfinite(one.scores).any()]
    if len(known) < 2:
        return Html("")
    best, *others = known
    rows = []
    for other in others:
        found = probability_of_improvement({_TASK: best.scores}, {_TASK: other.scores})
        mark = whisker(found.interval, 0.0, 1.0)
        rows.append([other.group.name, joined([text_of(found.interval), mark], "")])
    caption = (
        f"Probability that a seed of the first in the table above ({best.group.name}) has a higher "
        "return than one of ... (a half: no difference; no interval where all pairs agree). The "
        "first was chosen by the same seeds, which flatters it."
    )
    return table(caption, ["compared with", "probability of improvement"], rows)


def line_of(
    group: Group,
    place: int,
    values: Callable[[SeedRun], np.ndarray | None],
    *,
    each_seed: bool = False,
) -> Line | None:
    """A group's interquartile mean over env steps; None if no seed has a value."""
    found = [(run.env_steps, y) for run in group.runs if (y := values(run)) is not None]
    if not any(np.isfinite(y).any() for _, y in found):
        return None
    seeds = found[:_MOST_SEEDS_DRAWN] if each_seed and len(found) > 1 else []
    return Line(group.name, sample_efficiency({_TASK: found}), place, seeds)


def _named(line: Line, name: str) -> Line:
    return Line(name, line.band, line.place, line.each_seed)


def _notes(line: Line) -> Iterable[str]:
    band = line.band
    if band.left_out:
        yield f"{line.name}: {band.left_out} seeds without any return are not in the curve."
    if band.cut_after is not None:
        yield (
            f"{line.name}: the curve ends at env step {band.cut_after:g}, with the first of its "
            "seeds; others went on."
        )
    if band.carried:
        yield f"{line.name}: {band.carried} missing reports are replaced by the ones before."


def _floor(lines: Sequence[Line]) -> float | None:
    """Where the y axis begins: random plays at the start may lie far below all that matters."""
    finite = np.concatenate([line.band.value for line in lines])
    low, median, high = np.quantile(finite, [0.0, 0.25, 1.0])
    return float(median - (high - median)) if median - low > 2 * (high - median) > 0 else None


def _of_many(count: int) -> str:
    return f"; the best {MOST_CURVES} of {count}" if count > MOST_CURVES else ""


def picture(title: str, drawing: Figure, name: str, lines: Sequence[Line], caption: str) -> Html:
    """A drawing of curves for the page; `name` is unique in it."""
    ends = "; ".join(
        f"{line.name} ends at {line.band.value[-1]:.3g}" for line in lines if len(line.band.x)
    )
    svg = themed_svg(drawing, name, f"{title}. {caption} {ends}.")
    return figure(title, as_text(svg), legend(lines), element("figcaption", caption))


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
