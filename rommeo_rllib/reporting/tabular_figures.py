"""Pictures of the tabular learners: Figure 1 of the paper, and heat maps of alpha's schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rommeo_rllib.reporting.figures import in_house_style
from rommeo_rllib.reporting.statistics import bootstrap_band

Array = NDArray[np.float64]

# Okabe and Ito's colours, which the colour-blind can tell apart, and dashes besides: what the paper
# compares is solid, its ablation and the rivals that it lacks are not.
STYLES: dict[str, tuple[str, Any]] = {
    "ROMMEO-Q": ("#D55E00", "-"),
    "ROMMEO-Q-EMP": ("#D55E00", (0, (4, 1.5))),
    "JAL": ("#7F7F7F", "-"),
    "WoLF-PHC": ("#56B4E9", "-"),
    "FMQ-c10": ("#009E73", "-"),
    "PR2-Q": ("#0072B2", "-"),
    "Distributed-Q": ("#000000", (0, (4, 1.5))),
    "Hysteretic-Q": ("#CC79A7", (0, (4, 1.5))),
    "Lenient-Q": ("#E69F00", (0, (4, 1.5))),
}
_RESAMPLES = 400


@dataclass(frozen=True)
class Trace:
    """One trial of two learners: what each believes of the other, and what the other does.

    Attributes:
        believed: for each agent (episodes,), the probability of A in its opponent model.
        played: for each agent (episodes,), the probability of A in the opponent's policy.
    """

    believed: Sequence[Array]
    played: Sequence[Array]


@in_house_style
def learning_curves(
    panels: Mapping[str, Mapping[str, Array]],
    *,
    y_label: str,
    mark: tuple[float, str],
    limits: tuple[float | None, float],
    window: int = 1,
) -> Figure:
    """Mean over trials against episodes with 95 % bootstrap bands, one panel beside the other.

    Args:
        panels: by the panel's title, by the learner's name: (episodes, trials).
        y_label: what the curves show, with its unit.
        mark: a height to mark, and what it is.
        limits: of the y axis; None begins just below the lowest curve.
        window: episodes over which each trial's curve is averaged, the last ones.
    """
    figure = Figure(figsize=(6.2 * len(panels), 4.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels: list[dict[str, float]] = []
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        ends = {}
        for name, values in curves.items():
            mean, low, high = bootstrap_band(trailing_mean(values, window).T, _RESAMPLES)
            x = np.arange(1, len(mean) + 1)
            colour, dashes = STYLES.get(name, ("#000000", ":"))
            width = 2.4 if name == "ROMMEO-Q" else 1.5
            order = 3 if name == "ROMMEO-Q" else 2
            panel.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=order)
            panel.plot(x, mean, color=colour, linestyle=dashes, linewidth=width, zorder=order)
            ends[name] = float(mean[-1])
        panel.axhline(mark[0], color="0.4", linewidth=0.8, linestyle=":", zorder=1)
        panel.set(title=title, xlabel="episode", xlim=(1, len(x)))
        labels.append(ends)
    low = axes[0].get_ylim()[0] if limits[0] is None else limits[0]
    for panel, ends in zip(axes, labels, strict=True):
        panel.set_ylim(low, limits[1])
        _label_ends(panel, ends, (low, limits[1]))
    axes[0].set_ylabel(y_label)
    _name_mark(axes[0], mark, limits[1])
    return figure


@in_house_style
def opponent_model_traces(panels: Mapping[str, Trace]) -> Figure:
    """Figure 1c: the opponent model's probability of A, and the opponent's own, in one trial.

    Args:
        panels: by the panel's title.
    """
    figure = Figure(figsize=(6.2 * len(panels), 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    colours = ("#0072B2", "#D55E00")
    for panel, (title, trace) in zip(axes, panels.items(), strict=True):
        for agent, colour in enumerate(colours):
            x = np.arange(1, len(trace.believed[agent]) + 1)
            other = 1 - agent
            panel.plot(
                x,
                trace.believed[agent],
                color=colour,
                linewidth=1.8,
                label=rf"$\rho^{agent}$(A): agent {agent}'s model of agent {other}",
            )
            panel.plot(
                x,
                trace.played[agent],
                color=colour,
                linewidth=1.5,
                linestyle=(0, (2, 1.2)),
                label=rf"$\pi^{other}$(A): agent {other}'s policy",
            )
        panel.set(title=title, xlabel="episode", ylim=(-0.02, 1.05), xlim=(1, len(x)))
    axes[0].set_ylabel("probability of A")
    axes[-1].legend(loc="lower right", bbox_to_anchor=(1.0, 0.08))
    return figure


@in_house_style
def alpha_heat_map(
    initial: Sequence[float], decay_steps: Sequence[float], share: Array, *, title: str
) -> Figure:
    """The share of trials that converged, against alpha's initial value and its decay.

    Args:
        initial: alpha's initial values, one a column.
        decay_steps: plays after which the final value is reached, one a row.
        share: (rows, columns), from 0 to 1; NaN where nothing was tried.
        title: the title; it should name what was held fixed.

    Raises:
        ValueError: if the shape of `share` does not fit.
    """
    return heat_map(
        initial,
        decay_steps,
        share,
        x_label="initial alpha (units of the reward)",
        y_label="plays to the final alpha",
        value_label="share of trials converged",
        bounds=(0.0, 1.0),
        title=title,
    )


@in_house_style
def heat_map(
    x: Sequence[float],
    y: Sequence[float],
    values: Array,
    *,
    x_label: str,
    y_label: str,
    value_label: str,
    bounds: tuple[float, float] | None,
    title: str,
) -> Figure:
    """Numbers on a grid of two parameters.

    Args:
        x: values of one parameter, one a column.
        y: values of the other, one a row.
        values: (rows, columns); NaN where nothing was tried.
        x_label: the columns' parameter, with its unit.
        y_label: the rows' parameter, with its unit.
        value_label: what the numbers are.
        bounds: the numbers at both ends of the colours; None for the smallest and the greatest.
        title: the title; it should name what was held fixed.

    Raises:
        ValueError: if the shape of `values` does not fit.
    """
    table = np.asarray(values, float)
    if table.shape != (len(y), len(x)):
        raise ValueError(
            f"`values` has shape {table.shape}; allowed: {(len(y), len(x))}, one row a value of "
            f"{y_label} and one column a value of {x_label}."
        )
    width, height = max(6.4, 2.4 + 0.75 * len(x)), max(2.9, 1.9 + 0.5 * len(y))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=False)
    low, high = bounds or (np.nanmin(table), np.nanmax(table))
    image = axes.imshow(table, vmin=low, vmax=high, cmap="cividis", aspect="auto", origin="lower")
    axes.set_xticks(range(len(x)), [f"{value:g}" for value in x])
    axes.set_yticks(range(len(y)), [f"{value:g}" for value in y])
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            colour = "white" if value < low + 0.55 * (high - low) else "black"
            text = f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, label=value_label)
    return figure


def trailing_mean(values: Array, window: int) -> Array:
    """Each episode's mean over the last `window` episodes (fewer at the start): same shape."""
    total = np.cumsum(values, axis=0)
    total[window:] -= total[:-window].copy()
    counts = np.minimum(np.arange(1, len(values) + 1), window)
    return np.asarray(total / counts[:, None])


def _name_mark(axes: Axes, mark: tuple[float, str], top: float) -> None:
    """Says what a marked height is: above the line where the picture ends soon, else below."""
    height, what = mark
    low = axes.get_ylim()[0]
    is_above = top - height < 0.095 * (top - low)
    axes.annotate(
        what,
        (0.985, height),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3 if is_above else -4),
        textcoords="offset points",
        ha="right",
        va="bottom" if is_above else "top",
        color="0.35",
        fontsize=8,
    )


def _label_ends(axes: Axes, ends: Mapping[str, float], limits: tuple[float, float]) -> None:
    """Names each curve at its right end; names that would overlap are moved apart."""
    low, high = limits
    gap = (high - low) * 0.052
    names = sorted(ends, key=lambda name: ends[name])
    heights = np.clip([ends[name] for name in names], low, high)
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    # What was pushed out at the top comes back down, and pushes in its turn.
    heights[-1:] = np.minimum(heights[-1:], high)
    for i in range(len(heights) - 2, -1, -1):
        heights[i] = min(heights[i], heights[i + 1] - gap)
    for name, height in zip(names, heights, strict=True):
        colour, _ = STYLES.get(name, ("#000000", ":"))
        axes.annotate(
            name,
            xy=(1.0, ends[name]),
            xytext=(1.05, height),
            xycoords=("axes fraction", "data"),
            textcoords=("axes fraction", "data"),
            color=colour,
            va="center",
            fontsize=9,
            fontweight="bold" if name == "ROMMEO-Q" else "normal",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )
