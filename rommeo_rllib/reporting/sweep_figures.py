"""The pictures that `rommeo sweep` makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib.experiments.sweep_results import ALPHA, Outcome, describe
from rommeo_rllib.reporting.figures import COLOURS, in_house_style, new_figure, save
from rommeo_rllib.reporting.statistics import bootstrap_band
from rommeo_rllib.reporting.tabular_figures import heat_map

if TYPE_CHECKING:
    from rommeo_rllib.experiments.seed_runs import SeedRun

_MOST_CURVES = 6
_RETURN, _SHARE = "return of an agent per play", "share of successes"
_STEPS = "env steps"


def write_pictures(
    outcomes: Sequence[Outcome],
    name: str,
    folder: Path,
    *,
    population: bool = False,
    curves: bool = True,
) -> list[Path]:
    """Draws what fits the settings; returns the PNGs' paths.

    Args:
        outcomes: what each setting has brought.
        name: what was swept, for the titles.
        folder: where to.
        population: whether settings changed in mid-training.
        curves: whether to draw learning curves, too.
    """
    figures: dict[str, Figure] = {}
    constants = [o for o in outcomes if set(o.setting) == {ALPHA} and _is_number(o.alpha)]
    if len(constants) > 1:
        figures["constant_alpha"] = plot_constants(constants, name)
    axes = None if population else _two_parameters(outcomes)
    if axes is not None:
        figures["schedules"] = _heat_map(outcomes, axes, name)
    drawn = [o for o in outcomes if curves and o.runs and _alphas(o.runs[0]) is not None]
    if population and drawn:
        figures["population"] = plot_population(drawn, name)
    elif len(drawn) > 1:
        figures["curves"] = plot_schedules_over_curves(drawn, name)
    return [save(figure, folder, file)[0] for file, figure in figures.items()]


@in_house_style
def plot_constants(outcomes: Sequence[Outcome], name: str) -> Figure:
    """Share of successes, or mean return, against alpha on a log axis, with intervals."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.alpha)
    shares = all(outcome.success is not None for outcome in outcomes)
    intervals = [o.success if shares and o.success is not None else o.mean for o in outcomes]
    value = np.array([interval.value for interval in intervals])
    low = value - np.array([interval.low for interval in intervals])
    high = np.array([interval.high for interval in intervals]) - value
    figure, axes = new_figure()
    axes.errorbar(
        [outcome.alpha for outcome in outcomes],
        value,
        np.nan_to_num(np.stack([low, high])),
        fmt="o-",
        color=COLOURS[0],
        capsize=3,
    )
    axes.set(
        xscale="log",
        xlabel="alpha (units of the reward)",
        ylabel=_SHARE if shares else _RETURN,
        title=name,
    )
    if shares:
        axes.set_ylim(-0.03, 1.03)
    return figure


@in_house_style
def plot_schedules_over_curves(outcomes: Sequence[Outcome], name: str) -> Figure:
    """Learning curves of the best settings, and under them alpha over the same env steps."""
    best = sorted(outcomes, key=lambda outcome: outcome.goodness, reverse=True)[:_MOST_CURVES]
    figure, (upper, lower) = _two_panels()
    for colour, outcome in zip(COLOURS, best, strict=False):
        steps, returns = _together(outcome.runs, lambda run: run.returns)
        mean, low, high = bootstrap_band(returns)
        label = describe(outcome.setting)
        upper.plot(steps, mean, color=colour, label=label)
        upper.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        steps, alpha = _together(outcome.runs, _alphas)
        lower.plot(steps, alpha.mean(0), color=colour)
    upper.set(title=f"{name}, the best of {len(outcomes)} settings", ylabel=_RETURN)
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


@in_house_style
def plot_population(outcomes: Sequence[Outcome], name: str) -> Figure:
    """Each member's return and alpha over env steps; where a line jumps it took up another's."""
    figure, (upper, lower) = _two_panels()
    best = max(outcomes, key=lambda outcome: outcome.mean.value)
    for outcome in outcomes:
        style: Any = {"color": "0.6", "linewidth": 0.9}
        if outcome is best:
            style = {"color": COLOURS[1], "linewidth": 2.0, "label": "best member", "zorder": 3}
        steps, returns = _together(outcome.runs, lambda run: run.returns)
        upper.plot(steps, returns.mean(0), **style)
        steps, alpha = _together(outcome.runs, _alphas)
        lower.plot(steps, alpha.mean(0), **style)
    upper.set(title=f"{name}, population of {len(outcomes)}", ylabel=_RETURN)
    upper.legend(loc="lower right")
    return figure


def _two_panels() -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.8, 5.6), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    panels[1].set(yscale="log", xlabel=_STEPS, ylabel="alpha (units of the reward)")
    return figure, panels


def _alphas(run: SeedRun) -> np.ndarray | None:
    """Alpha at each report; None if the algorithm reports none."""
    return run.metric(ALPHA)


def _together(
    runs: Sequence[SeedRun], values: Callable[[SeedRun], np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """(env steps, (seeds, reports)) where all seeds have a value."""
    columns = [column for run in runs if (column := values(run)) is not None]
    length = min(map(len, columns))
    table = np.stack([column[:length] for column in columns])
    complete = np.isfinite(table).all(0)
    return runs[0].env_steps[:length][complete], table[:, complete]


def _two_parameters(outcomes: Sequence[Outcome]) -> tuple[str, str] | None:
    """The two numbers in which settings differ, if it is two and they form a grid."""
    flat = [_flat(outcome) for outcome in outcomes]
    flat = [one for one in flat if one.keys() == flat[-1].keys()]
    paths = [p for p in flat[-1] if len({repr(one[p]) for one in flat}) > 1] if flat else []
    if len(paths) != 2 or not all(_is_number(one[path]) for one in flat for path in paths):
        return None
    cells = {(one[paths[0]], one[paths[1]]) for one in flat}
    first, second = ({one[path] for one in flat} for path in paths)
    is_grid = len(cells) == len(flat) == len(first) * len(second)
    return (paths[0], paths[1]) if is_grid else None


def _heat_map(outcomes: Sequence[Outcome], paths: tuple[str, str], name: str) -> Figure:
    flat = {index: _flat(outcome) for index, outcome in enumerate(outcomes)}
    flat = {index: one for index, one in flat.items() if set(paths) <= one.keys()}
    columns, rows = (sorted({one[path] for one in flat.values()}) for path in paths)
    table = np.full((len(rows), len(columns)), np.nan)
    shares = all(outcomes[index].success is not None for index in flat)
    for index, one in flat.items():
        success, mean = outcomes[index].success, outcomes[index].mean
        cell = rows.index(one[paths[1]]), columns.index(one[paths[0]])
        table[cell] = success.value if shares and success is not None else mean.value
    fixed = {p: v for p, v in next(iter(flat.values())).items() if p not in paths}
    held = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in fixed.items())
    seeds = f"{outcomes[next(iter(flat))].seeds} seeds"
    return heat_map(
        columns,
        rows,
        table,
        x_label=_label(paths[0]),
        y_label=_label(paths[1]),
        value_label=_SHARE if shares else _RETURN,
        bounds=(0.0, 1.0) if shares else None,
        title=f"{name}\n" + ", ".join(filter(None, [held, seeds])),
    )


def _flat(outcome: Outcome) -> dict[str, Any]:
    """{"alpha": {"initial": 2.0, ...}} -> {"alpha.initial": 2.0, ...}."""
    flat: dict[str, Any] = {}
    for path, value in outcome.setting.items():
        inner = {f"{path}.{k}": v for k, v in value.items()} if isinstance(value, dict) else None
        flat |= {path: value} if inner is None else inner
    return flat


def _label(path: str) -> str:
    known = {
        "alpha.initial": "initial alpha (units of the reward)",
        "alpha.final": "final alpha (units of the reward)",
        "alpha.decay_steps": "env steps to the final alpha",
        ALPHA: "alpha (units of the reward)",
    }
    return known.get(path, path)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
