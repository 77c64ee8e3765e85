"""Pictures of results: curves with intervals, learning paths, cross-play, and moving pictures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from rommeo_rllib.reporting.statistics import bootstrap_band

P = ParamSpec("P")

# Okabe and Ito's palette, which the colour-blind can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_STYLE: Any = {
    "figure.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
}


# A longer legend would cover the curves.
_MOST_NAMES_INSIDE = 4
_FRAME_MILLISECONDS = 100


@dataclass(frozen=True)
class Curves:
    """One curve a seed, on common points.

    Attributes:
        x: (points,).
        y: (seeds, points).
        dashed: drawn dashed, to tell two kinds of curves apart.
    """

    x: np.ndarray
    y: np.ndarray
    dashed: bool = False


def in_house_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorates a function that draws a figure."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


def new_figure(width: float = 6.0, height: float = 4.0) -> tuple[Figure, Axes]:
    """An empty figure; sizes in inches. Needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


@in_house_style
def plot_curves(
    named: Mapping[str, Curves],
    *,
    title: str,
    x_label: str,
    y_label: str,
    reference: tuple[float, str] | None = None,
    statistic: Callable[..., np.ndarray] = np.mean,
    each_seed: bool = True,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Means over seeds with 95 % bootstrap bands, and each seed as a thin line.

    Args:
        named: what to draw, by the name in the legend.
        title: the title.
        x_label: what the x axis shows, with its unit.
        y_label: what the y axis shows, with its unit.
        reference: a height to mark, and what it is.
        statistic: what of the seeds is drawn with its band, over axis 0.
        each_seed: whether to draw each seed, too.
        limits: of the y axis.
    """
    figure, axes = new_figure()
    for colour, (name, curves) in zip(_cycle(len(named)), named.items(), strict=True):
        middle, low, high = bootstrap_band(curves.y, statistic=statistic)
        style = "--" if curves.dashed else "-"
        if len(curves.y) > 1:
            axes.fill_between(curves.x, low, high, color=colour, alpha=0.2, linewidth=0)
        if len(curves.y) > 1 and each_seed:
            axes.plot(curves.x, curves.y.T, color=colour, alpha=0.15, linewidth=0.7)
        axes.plot(curves.x, middle, style, color=colour, linewidth=1.8, label=name)
    if reference is not None:
        height, what = reference
        axes.axhline(height, color="0.4", linewidth=0.8, linestyle=":")
        axes.annotate(
            what,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -3),
            textcoords="offset points",
            ha="right",
            va="top",
            color="0.35",
            fontsize=8,
        )
    axes.set(title=title, xlabel=x_label, ylabel=y_label, ylim=limits)
    if len(named) > _MOST_NAMES_INSIDE:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    elif len(named) > 1:
        axes.legend(loc="lower right")
    return figure


@in_house_style
def plot_learning_path(
    payoff: Callable[[np.ndarray], np.ndarray],
    low: Sequence[float],
    high: Sequence[float],
    plays: np.ndarray,
    path: np.ndarray,
    *,
    title: str,
) -> Figure:
    """The reward surface of two continuous actions, the plays on it and the policy's path.

    Args:
        payoff: (..., 2) joint actions to (..., 2) rewards; player 0's is drawn.
        low: the two actions' lower bounds.
        high: the two actions' upper bounds.
        plays: (plays, 2) joint actions in the order of play.
        path: (points, 2) greedy joint actions in the order of training.
        title: the title.
    """
    figure, axes = new_figure(6.4, 5.2)
    axes.grid(visible=False)
    x, y = (np.linspace(a, b, 201) for a, b in zip(low, high, strict=True))
    reward = payoff(np.stack(np.meshgrid(x, y), axis=-1))[..., 0]
    # The valleys are far deeper than the hills are high: colours follow the upper part.
    floor = float(np.quantile(reward, 0.35))
    levels = np.linspace(floor, reward.max(), 25)
    greys = LinearSegmentedColormap.from_list("light_greys", ["0.55", "1.0"])
    surface = axes.contourf(x, y, reward, levels=levels, cmap=greys, extend="min")
    figure.colorbar(surface, ax=axes, label="reward of a play", format="%.0f")
    order = np.arange(len(plays))
    points = axes.scatter(
        plays[:, 0], plays[:, 1], 8, order, cmap="plasma_r", alpha=0.8, linewidths=0, label="plays"
    )
    figure.colorbar(points, ax=axes, label="play (env step)")
    if len(path):
        axes.plot(*path.T, color=COLOURS[1], linewidth=1.5, label="greedy joint action")
        axes.plot(*path[0], "o", color="white", markeredgecolor=COLOURS[1], markersize=8)
        axes.plot(*path[-1], "*", color=COLOURS[1], markeredgecolor="white", markersize=16)
    axes.set(
        title=title,
        xlabel="action of player 0",
        ylabel="action of player 1",
        xlim=(low[0], high[0]),
        ylim=(low[1], high[1]),
    )
    axes.legend(loc="upper left", frameon=True, framealpha=0.85)
    return figure


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes the figure as PNG and SVG; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{suffix}" for suffix in ("png", "svg")]
    for path in paths:
        figure.savefig(path, bbox_inches="tight")
    return paths


def _cycle(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


@in_house_style
def plot_cross_play(returns: np.ndarray, names: Sequence[str]) -> Figure:
    """Returns of all pairs, (checkpoints, checkpoints), each cell with its number.

    Args:
        returns: row: who plays for the first agent; column: who plays for all others.
        names: of the checkpoints.
    """
    size = 2.5 + 0.7 * len(names)
    figure, axes = new_figure(size + 0.8, size)
    image = axes.imshow(returns, cmap="viridis")
    middle = (returns.min() + returns.max()) / 2
    for (row, column), value in np.ndenumerate(returns):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set(xlabel="all others play as in", ylabel="first agent plays as in", title="Cross-play")
    figure.colorbar(image, label="return of all agents together")
    return figure


def save_gif(frames: Sequence[np.ndarray], file: Path) -> None:
    """Writes frames, (height, width, 3) of uint8 each, as a moving picture: ten a second, for ever.

    Raises:
        ValueError: if frames are no pictures.
    """
    from PIL import Image

    wrong = [f for f in frames if f.dtype != np.uint8 or f.ndim != 3 or f.shape[-1] != 3]
    if wrong:
        raise ValueError(
            f"The environment's render() gave an array of {wrong[0].dtype} and shape "
            f"{wrong[0].shape}; allowed: (height, width, 3) of uint8."
        )
    file = file.expanduser()
    pictures = [Image.fromarray(frame) for frame in frames]
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=_FRAME_MILLISECONDS, loop=0
    )
