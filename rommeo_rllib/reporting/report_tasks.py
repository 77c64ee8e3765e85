"""What a report says of one game: a table, curves, comparisons, alpha."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib.experiments.results import Group
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting.comparison import Band, performance_profile, sample_efficiency
from rommeo_rllib.reporting.page import Html, element, figure
from rommeo_rllib.reporting.page_figures import Line, draw_lines, legend
from rommeo_rllib.reporting.report_scores import (
    STEPS_LABEL,
    TASK,
    Judgement,
    Scored,
    improvements,
    summary,
    unscored,
)
from rommeo_rllib.reporting.statistics import success_rate
from rommeo_rllib.reporting.themed_svg import NUM_SERIES, as_text, themed_svg
from rommeo_rllib.tabular.play_config import CONVERGED

RETURN_LABEL = "return of an agent per play"

MOST_CURVES = NUM_SERIES - 1
_MOST_SEEDS_DRAWN = 30


def task_sections(
    scored: Sequence[Scored], judgement: Judgement, name: str
) -> tuple[list[Html], list[str]]:
    """Table, curves and comparisons of what was played on one game, and what is missing there."""
    curves, curve_notes = _curves(scored, judgement, name)
    pictures = [curves, _alpha(scored, name), _profiles(scored, name)]
    parts = [summary(scored, judgement), element("div", *filter(None, pictures), class_="figures")]
    return [*parts, improvements(scored)], unscored(scored, judgement) + curve_notes


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
            performance_profile({TASK: one.scores}, thresholds),
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
    return Line(group.name, sample_efficiency({TASK: found}), place, seeds)


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
    low, quarter, high = np.quantile(finite, [0.0, 0.25, 1.0])
    usual = high - quarter
    return float(quarter - usual) if quarter - low > 2 * usual > 0 else None


def _of_many(count: int) -> str:
    return f"; the best {MOST_CURVES} of {count}" if count > MOST_CURVES else ""


def picture(title: str, drawing: Figure, name: str, lines: Sequence[Line], caption: str) -> Html:
    """A drawing of curves for the page; `name` is unique in it."""
    ends = "; ".join(
        f"{line.name} ends at {line.band.value[-1]:.3g}" for line in lines if len(line.band.x)
    )
    svg = themed_svg(drawing, name, f"{title}. {caption} {ends}.")
    return figure(title, as_text(svg), legend(lines), element("figcaption", caption))
