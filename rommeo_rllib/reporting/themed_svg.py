"""Matplotlib's figures as SVG that stands in a web page and takes the page's colours and font.

A figure is drawn in colours that stand for others: `INK`, `MUTED`, `HILL` and those of `series`. In
the page each is a CSS variable, so that one drawing is readable on a light and on a dark ground.
"""

from __future__ import annotations

import functools
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

from rommeo_rllib.naming import printable

P = ParamSpec("P")

NUM_SERIES = 7
"""So many curves can be told apart by colour and dashes."""

INK, MUTED, HILL = "#fd0001", "#fd0002", "#fd0003"
_SERIES = tuple(f"#fe00{index:02x}" for index in range(NUM_SERIES))
VARIABLES = {INK: "ink", MUTED: "muted", HILL: "hill"} | {
    colour: f"series-{index}" for index, colour in enumerate(_SERIES)
}
"""The page's variable for each colour that stands for one."""

DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
    (0, (9, 3)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": MUTED,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def series(index: int) -> str:
    """The colour of a curve, by its place."""
    return _SERIES[index % NUM_SERIES]


def dashes(index: int) -> Any:
    """Matplotlib's line style of a curve, by its place."""
    return DASHES[index % NUM_SERIES]


def in_page_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorates a function that draws a figure for a page."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return styled


def themed_svg(figure: Figure, name: str, description: str) -> ET.Element:
    """The figure as an `svg` element for a page.

    Args:
        figure: drawn by a function in page style.
        name: unique in the page; begins all ids, which would clash otherwise.
        description: what is to be seen, for those who do not see it.
    """
    written = io.StringIO()
    # What would be the time of making, or random, is left out: equal figures are equal texts.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    root = ET.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        _adapt(element, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"class": "figure", "role": "img", "aria-label": printable(description)}
    return root


def as_text(element: ET.Element) -> str:
    """The element as HTML has it, without names of namespaces."""
    return ET.tostring(element, encoding="unicode")


def _adapt(element: ET.Element, name: str) -> None:
    """Into HTML's names and the page's colours."""
    element.tag = element.tag.rpartition("}")[2]
    link = element.attrib.pop(_LINK, None)
    if link is not None:
        element.attrib["href"] = link.replace("#", f"#{name}-")
    if "id" in element.attrib:
        element.attrib["id"] = f"{name}-{element.attrib['id']}"
    for attribute, value in element.attrib.items():
        if "url(#" in value:
            value = value.replace("url(#", f"url(#{name}-")
        if attribute in ("style", "fill", "stroke"):
            value = re.sub(r"#f[de]00[0-9a-f]{2}", _variable, value)
            # The page's font, and no other.
            value = re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)
            value = re.sub(r"font-family: [^;]*;? ?", "", value)
        element.attrib[attribute] = value


def _variable(colour: re.Match[str]) -> str:
    return f"var(--{VARIABLES[colour.group()]})"
