"""Pictures: what is on them, and that they get written."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from rommeo_rllib.envs import MaxOfTwoQuadratics
from rommeo_rllib.reporting.figures import (
    COLOURS,
    Curves,
    new_figure,
    plot_curves,
    plot_learning_path,
    save,
)

POINTS = 7


def curves(seeds: int, *, dashed: bool = False) -> Curves:
    y = np.random.default_rng(seeds).normal(size=(seeds, POINTS))
    return Curves(np.arange(POINTS) * 25, y, dashed)


def drawn(**named: Curves) -> Figure:
    return plot_curves(named, title="the title", x_label="env steps", y_label="return")


def learning_path(points: int = 4) -> Figure:
    generator = np.random.default_rng(0)
    return plot_learning_path(
        MaxOfTwoQuadratics().payoff,
        [-10.0, -10.0],
        [10.0, 10.0],
        generator.uniform(-10, 10, (30, 2)),
        generator.uniform(-10, 10, (points, 2)),
        title="the title",
    )


def assert_is_a_picture(png: Path) -> None:
    """More than a blank canvas."""
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = mpl.image.imread(png)
    assert min(pixels.shape[:2]) > 100
    assert np.ptp(pixels[..., :3]) > 0.5


@pytest.mark.parametrize("seeds", [1, 2, 20])
def test_curves_of_any_number_of_seeds_are_written_as_png_and_svg(seeds, tmp_path):
    figure = drawn(sampled=curves(seeds), greedy=curves(seeds, dashed=True))
    png, svg = save(figure, tmp_path / "new" / "folder", "curves")
    assert (png.name, svg.name) == ("curves.png", "curves.svg")
    assert_is_a_picture(png)
    assert ET.parse(svg).getroot().tag.endswith("svg")
    assert len(svg.read_text()) > 5_000


def test_many_seeds_show_mean_band_and_every_seed():
    one = curves(5)
    (axes,) = drawn(sampled=one).axes
    *thin, mean = axes.lines
    np.testing.assert_allclose([line.get_ydata() for line in thin], one.y)
    np.testing.assert_allclose(mean.get_ydata(), one.y.mean(0))
    assert len(axes.collections) == 1
    assert mean.get_linewidth() > thin[0].get_linewidth()


def test_a_single_seed_shows_one_line_and_no_band():
    one = curves(1)
    (axes,) = drawn(sampled=one).axes
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_ydata(), one.y[0])
    assert not axes.collections


def test_curves_differ_in_colour_and_style_and_are_named():
    (axes,) = drawn(sampled=curves(1), greedy=curves(1, dashed=True)).axes
    first, second = axes.lines
    assert (first.get_color(), second.get_color()) == COLOURS[:2]
    assert (first.get_linestyle(), second.get_linestyle()) == ("-", "--")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sampled", "greedy"]
    assert axes.get_xlabel() == "env steps"
    assert axes.get_ylabel() == "return"
    assert axes.get_title(loc="left") == "the title"


def test_more_curves_than_colours_can_be_drawn():
    (axes,) = drawn(**{f"curve {i}": curves(1) for i in range(len(COLOURS) + 1)}).axes
    assert axes.lines[-1].get_color() == COLOURS[0]


def test_a_reference_is_marked_with_its_name():
    figure = plot_curves(
        {"sampled": curves(1)},
        title="",
        x_label="",
        y_label="",
        reference=(10.0, "the optimum"),
    )
    (axes,) = figure.axes
    assert list(axes.lines[-1].get_ydata()) == [10.0, 10.0]
    assert [text.get_text() for text in axes.texts] == ["the optimum"]


def test_a_learning_path_is_written_as_png_and_svg(tmp_path):
    png, svg = save(learning_path(), tmp_path, "path")
    assert_is_a_picture(png)
    assert len(svg.read_text()) > 5_000


def test_a_learning_path_shows_plays_and_greedy_actions():
    axes = learning_path(points=4).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines] == [4, 1, 1]
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert labels == {"plays", "greedy joint action"}
    assert axes.get_xlim() == axes.get_ylim() == (-10.0, 10.0)


def test_a_learning_path_without_greedy_actions_shows_the_plays(tmp_path):
    figure = learning_path(points=0)
    assert not figure.axes[0].lines
    assert_is_a_picture(save(figure, tmp_path, "path")[0])


def test_drawing_leaves_matplotlibs_settings_as_they_were():
    before = dict(mpl.rcParams)
    drawn(sampled=curves(2))
    assert dict(mpl.rcParams) == before


def test_pictures_need_no_display(tmp_path):
    program = """
import sys
from pathlib import Path
import numpy as np
from rommeo_rllib.reporting.figures import Curves, plot_curves, save

figure = plot_curves(
    {"a": Curves(np.arange(3), np.ones((2, 3)))}, title="t", x_label="x", y_label="y"
)
save(figure, Path(sys.argv[1]), "headless")
assert "matplotlib.pyplot" not in sys.modules
"""
    # A backend with windows must not be asked for any.
    hidden = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, check=True, env={**hidden, "MPLBACKEND": "TkAgg"}, timeout=120)
    assert_is_a_picture(tmp_path / "headless.png")


def test_a_new_figure_has_the_size_asked_for():
    figure, axes = new_figure(3.0, 2.0)
    assert tuple(figure.get_size_inches()) == (3.0, 2.0)
    assert figure.axes == [axes]
