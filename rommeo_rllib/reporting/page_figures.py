"""Drawings for a report's page: curves with bands, a reward surface, marks of intervals."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rommeo_rllib.reporting.comparison import Band
from rommeo_rllib.reporting.page import Html, bullets, escaped
from rommeo_rllib.reporting.statistics import Interval
from rommeo_rllib.reporting.themed_svg import (
    DASHES,
    HILL,
    MUTED,
    NUM_SERIES,
    dashes,
    in_page_style,
    series,
)

Array = NDArray[np.float64]

_INCH = 72.0
_WIDTH, _HEIGHT = 5.6, 3.4


@dataclass(frozen=True)
class Line:
    """One curve of a picture.

    Attributes:
        name: in the legend.
        band: what is drawn.
        place: which colour and dashes it has.
        each_seed: thin lines beneath it, env steps and values of each seed.
        is_second: drawn dashed, in the colour of a curve that it goes with.
    """

    name: str
    band: Band
    place: int
    each_seed: Sequence[tuple[Array, Array]] = ()
    is_second: bool = False


@in_page_style
def draw_lines(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    reference: float | None = None,
    log: bool = False,
    limits: tuple[float | None, float | None] = (None, None),
    steps: bool = False,
) -> Figure:
    """Curves with their bands; the legend is the page's.

    Args:
        lines: what to draw.
        x_label: what the x axis shows, with its unit.
        y_label: what the y axis shows, with its unit.
        reference: a height to mark.
        log: whether heights are drawn on a log axis.
        limits: of the y axis.
        steps: whether values hold until the next point.
    """
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    if log:
        axes.set_yscale("log")
        # Powers would be set in a font of their own.
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    style = "steps-post" if steps else "default"
    fill: Literal["post"] | None = "post" if steps else None
    for line in lines:
        colour, band = series(line.place), line.band
        for x, y in line.each_seed:
            axes.plot(x, y, color=colour, alpha=0.3, linewidth=0.6)
        if np.isfinite(band.low).any():
            axes.fill_between(
                band.x, band.low, band.high, color=colour, alpha=0.18, linewidth=0, step=fill
            )
        axes.plot(
            band.x,
            band.value,
            color=colour,
            linewidth=1.8,
            linestyle=_dashes(line),
            drawstyle=style,
        )
    if reference is not None:
        axes.axhline(reference, color=MUTED, linewidth=0.9, linestyle=":")
    axes.set(xlabel=x_label, ylabel=y_label)
    if limits != (None, None):
        axes.set_ylim(*limits)
    return figure


def legend(lines: Sequence[Line]) -> Html:
    """What each curve is, in HTML, so that long names break."""
    return bullets(
        [Html(f"{_sample(line)}{escaped(line.name)}") for line in lines], class_="legend"
    )


def whisker(interval: Interval, low: float, high: float) -> Html:
    """An interval as a mark beside its numbers, on an axis from `low` to `high`."""
    width, height = 120, 14
    if not np.isfinite([interval.low, interval.high]).all() or high <= low:
        return Html("")

    def at(value: float) -> str:
        return f"{4 + (width - 8) * (value - low) / (high - low):.1f}"

    y = height / 2
    return Html(
        f'<svg class="whisker" aria-hidden="true" width="{width}" height="{height}">'
        f'<path d="M4 {y}H{width - 4}" stroke="var(--line)" stroke-width="1"/>'
        f'<path d="M{at(interval.low)} {y}H{at(interval.high)}" stroke="var(--accent)" '
        'stroke-width="4" opacity="0.55"/>'
        f'<circle cx="{at(interval.value)}" cy="{y}" r="4" fill="var(--accent)"/></svg>'
    )


@dataclass(frozen=True)
class Surface:
    """The rewards of two continuous actions.

    Attributes:
        payoff: (..., 2) joint actions to (..., 2) rewards; the first agent's is drawn.
        low: both actions' lower bounds.
        high: both actions' upper bounds.
        names: of the two agents.
    """

    payoff: Callable[[Array], Array]
    low: tuple[float, float]
    high: tuple[float, float]
    names: tuple[str, str]


_SURFACE_SIZE = 5.6, 5.2
_SURFACE_BOX = 0.14, 0.11, 0.82, 0.86  # Left, bottom, width, height, as shares of the figure.
_LEVELS = 9


def surface_box() -> tuple[float, float, float, float]:
    """Where the surface lies in its drawing: left, top, width, height, in the drawing's units."""
    width, height = (size * _INCH for size in _SURFACE_SIZE)
    left, bottom, share_x, share_y = _SURFACE_BOX
    return left * width, (1 - bottom - share_y) * height, share_x * width, share_y * height


@in_page_style
def draw_surface(surface: Surface) -> Figure:
    """The surface as bands, the stronger the higher; valleys, far deeper than hills, are bare."""
    figure = Figure(figsize=_SURFACE_SIZE)
    axes = figure.add_axes(_SURFACE_BOX)
    axes.grid(visible=False)
    x, y = (np.linspace(a, b, 121) for a, b in zip(surface.low, surface.high, strict=True))
    reward = surface.payoff(np.stack(np.meshgrid(x, y), axis=-1))[..., 0]
    levels = np.linspace(np.quantile(reward, 0.35), reward.max(), _LEVELS + 1)
    colours = [to_rgba(HILL, alpha) for alpha in np.linspace(0.06, 0.75, _LEVELS)]
    axes.contourf(x, y, reward, levels=levels, colors=colours)
    axes.set(
        xlabel=f"action of {surface.names[0]}",
        ylabel=f"action of {surface.names[1]}",
        xlim=(surface.low[0], surface.high[0]),
        ylim=(surface.low[1], surface.high[1]),
    )
    return figure


def add_path_layer(svg: ET.Element, surface: Surface, paths: Mapping[str, Array]) -> None:
    """What moves over the surface: plays, trails and marks of policies and of opponent models.

    Args:
        svg: the drawing of the surface.
        surface: what is drawn.
        paths: "policy", "model" and "plays", (points, 2) each, drawn whole; they may be missing.
    """
    layer = ET.SubElement(svg, "g", {"fill": "none"})
    for name, colour, width, opacity in (
        ("plays", "var(--ink)", "2.5", "0.35"),
        ("recent", "var(--ink)", "3.5", "0.9"),
    ):
        ET.SubElement(
            layer,
            "path",
            {
                "data-part": name,
                "class": "dots",
                # A rule of the page's style would count more than attributes.
                "style": f"stroke: {colour}; stroke-width: {width}; stroke-linecap: round; "
                f"opacity: {opacity}",
                "d": _dots(surface, paths[name]) if name in paths else "",
            },
        )
    for name, place, shape in (("model", 0, _DIAMOND), ("policy", 1, _DISC)):
        colour = f"var(--series-{place})"
        points = paths.get(name)
        trail = "" if points is None else _trail(surface, points)
        style = f"stroke: {colour}; stroke-width: 2; opacity: 0.9" + (
            "; stroke-dasharray: 5 3" if name == "model" else ""
        )
        ET.SubElement(layer, "path", {"data-part": f"{name}-trail", "style": style, "d": trail})
        mark = {
            "data-part": name,
            "d": shape,
            "style": f"fill: {colour}; stroke: var(--paper); stroke-width: 1.5",
        }
        if points is None:
            mark["style"] += "; display: none"
        else:
            mark["transform"] = f"translate({_at(surface, points[-1])})"
        ET.SubElement(layer, "path", mark)


_DISC = "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0Z"
_DIAMOND = "M0 -8L8 0L0 8L-8 0Z"


def path_legend(*, plays: bool) -> Html:
    """What the marks are, those of plays only where there are any."""
    marks = (
        (f'<path d="{_DISC}" fill="var(--series-1)"/>', "greedy joint action of both policies"),
        (f'<path d="{_DIAMOND}" fill="var(--series-0)"/>', "what the opponent models expect"),
        ('<circle r="3" fill="var(--ink)"/>', "plays, the latest 50 strongest"),
    )[: 3 if plays else 2]
    items = [
        Html(
            '<svg aria-hidden="true" width="18" height="18" viewBox="-9 -9 18 18">'
            f"{mark}</svg>{escaped(text)}"
        )
        for mark, text in marks
    ]
    return bullets(items, class_="legend")


def _at(surface: Surface, point: Array) -> str:
    left, top, width, height = surface_box()
    shares = [
        (value - low) / (high - low)
        for value, low, high in zip(point, surface.low, surface.high, strict=True)
    ]
    return f"{left + width * shares[0]:.1f} {top + height * (1 - shares[1]):.1f}"


def _trail(surface: Surface, points: Array) -> str:
    return "M" + "L".join(_at(surface, point) for point in points) if len(points) else ""


def _dots(surface: Surface, points: Array) -> str:
    return "".join(f"M{_at(surface, point)}h0" for point in points)


def _dashes(line: Line) -> object:
    return (0, (2, 1.5)) if line.is_second else dashes(line.place)


def _sample(line: Line) -> str:
    style = _dashes(line)
    array = "" if style == DASHES[0] else " ".join(f"{2 * d:g}" for d in style[1])  # type: ignore[index]
    return (
        '<svg aria-hidden="true" width="34" height="10"><path d="M0 5H34" fill="none" '
        f'stroke="var(--series-{line.place % NUM_SERIES})" stroke-width="2.5" '
        f'stroke-dasharray="{array}"/></svg>'
    )
