"""The parts of a self-contained web page: it fetches nothing, and is read in light and dark."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

from rommeo_rllib.naming import printable


class Html(str):
    """Text that is HTML already; all other text is escaped before it stands in a page."""

    __slots__ = ()


def escaped(text: object) -> Html:
    """As it stands in a page."""
    # Neither codes for a terminal nor halves of characters, which no file can hold.
    return text if isinstance(text, Html) else Html(html.escape(printable(text, keep="\n\t\xa0")))


def joined(parts: Sequence[object], between: str = "\n") -> Html:
    """All parts, escaped where they are not HTML."""
    return Html(between.join(escaped(part) for part in parts if part))


def element(tag: str, *content: object, **attributes: object) -> Html:
    """`<tag attribute="...">content</tag>`; "_" in a name is "-", at its end nothing."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for name, value in attributes.items()
    )
    return Html(f"<{tag}{given}>{joined(content, '')}</{tag}>")


def section(title: str, *content: object, level: int = 2) -> Html:
    """A part of the page under its heading."""
    return element("section", element(f"h{level}", title), *content)


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """A table whose first column names the rows; where it is too wide it is moved, not the page."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element(
            "tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])
        )
        for row in rows
    ]
    inner = element("table", element("thead", head), element("tbody", *body), aria_label=caption)
    moved = element("div", inner, class_="wide", role="region", tabindex=0, aria_label=caption)
    # No <caption>: it would be as wide as the table, and cut off with it.
    return joined([element("p", caption, class_="small"), moved])


def bullets(items: Sequence[object], **attributes: object) -> Html:
    """A list."""
    return element("ul", *(element("li", item) for item in items), **attributes)


def figure(title: str, drawing: str, *below: object, level: int = 3) -> Html:
    """A drawing (an `svg` element) under its title, with a legend and a caption below."""
    return element("figure", element(f"h{level}", title), Html(drawing), *below)


def data(name: str, content: Any) -> Html:
    """Data for a script, in the page."""
    # Within a script nothing is escaped; only its end could be mistaken.
    text = json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{escaped(name)}">{text}</script>')


def page(title: str, *content: object, script: str | None = None) -> str:
    """The whole page.

    Args:
        title: its title, and its heading.
        content: what stands below.
        script: name of a script in this folder, if one is needed.
    """
    style = Html(f"<style>\n{_file('page.css')}</style>")
    code = Html(f"<script>\n{_file(script)}</script>") if script else ""
    head = joined(
        [
            Html('<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Html('<link rel="icon" href="data:,">'),
            element("title", title),
            style,
        ]
    )
    body = element("main", element("h1", title), *content)
    inner = f"<head>\n{head}\n</head>\n<body>\n{body}\n{code}\n</body>"
    return f'<!DOCTYPE html>\n<html lang="en">\n{inner}\n</html>\n'


def _file(name: str) -> str:
    return (resources.files("rommeo_rllib.reporting") / name).read_text(encoding="utf-8")
