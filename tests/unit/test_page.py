"""The parts of a page, and that its colours can be told from its ground."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from rommeo_rllib.reporting import page as page_module
from rommeo_rllib.reporting.page import Html, bullets, data, element, escaped, page, table
from rommeo_rllib.reporting.page_figures import whisker
from rommeo_rllib.reporting.statistics import Interval
from rommeo_rllib.reporting.themed_svg import (
    INK,
    NUM_SERIES,
    as_text,
    in_page_style,
    series,
    themed_svg,
)


def test_text_is_escaped_and_html_is_not():
    assert escaped("a < b & c") == "a &lt; b &amp; c"
    assert escaped(Html("<b>")) == "<b>"
    assert element("p", "<i>", title='"') == '<p title="&quot;">&lt;i&gt;</p>'
    assert bullets(["<"]) == "<ul><li>&lt;</li></ul>"


def test_a_page_is_a_tree_of_elements_with_its_language():
    found = page("A & B", table("caption", ["", "x"], [["row", "<1>"]]))
    assert found.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "<title>A &amp; B</title>" in found
    body = re.search(r"<main>.*</main>", found, re.DOTALL)
    assert body
    assert [e.tag for e in ET.fromstring(body.group()).iter("th")] == ["th"] * 3


def test_data_cannot_end_its_script():
    found = data("name", {"text": "</script><b>"})
    assert found.count("</script>") == 1
    (inner,) = re.findall(r">(.*)</script>", found)
    assert json.loads(inner) == {"text": "</script><b>"}


def test_data_refuses_what_json_has_not():
    with pytest.raises(ValueError, match="not JSON compliant"):
        data("name", [float("nan")])


@pytest.mark.parametrize("interval", [Interval(1.0, float("nan"), float("nan"))])
def test_an_unknown_interval_has_no_mark(interval):
    assert whisker(interval, 0.0, 1.0) == ""


@in_page_style
def drawn() -> Figure:
    figure = Figure(figsize=(2, 2))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=series(2))
    axes.fill_between([0, 1], [0, 0], [1, 1], color=series(1))
    axes.set_title("title", color=INK)
    return figure


def test_a_drawing_takes_colours_and_font_from_the_page():
    found = as_text(themed_svg(drawn(), "one", "a line"))
    assert "var(--series-2)" in found
    assert "var(--ink)" in found
    assert not re.search(r"#f[de]00", found)
    assert "DejaVu" not in found
    assert "<style" not in found
    assert "http" not in found


def test_a_drawing_names_what_it_refers_to_by_its_own_name():
    found = as_text(themed_svg(drawn(), "one", "a line"))
    ids = set(re.findall(r'\bid="([^"]*)"', found))
    referred = set(re.findall(r"url\(#([^)]*)\)", found)) | set(
        re.findall(r'href="#([^"]*)', found)
    )
    assert referred
    assert referred <= ids
    assert all(name.startswith("one-") for name in ids)


def test_equal_figures_are_equal_texts():
    first, second = (as_text(themed_svg(drawn(), "one", "a line")) for _ in range(2))
    assert first == second


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", page_module._file("page.css"), re.DOTALL)
    return dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[("light", "dark").index(scheme)]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out_from_their_ground(scheme):
    found = colours(scheme)
    for ground in ("paper", "panel"):
        for text in ("ink", "muted"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)
    assert contrast(found["accent"], found["paper"]) >= 4.5
    assert contrast(found["ink"], found["notice"]) >= 4.5
    for index in range(NUM_SERIES):
        assert contrast(found[f"series-{index}"], found["paper"]) >= 3.0, index
