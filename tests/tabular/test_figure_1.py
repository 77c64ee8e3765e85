"""Figure 1 from one call, its table, and its pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rommeo_rllib.commands.figure_1 import Figure1, run
from rommeo_rllib.reporting.tabular_figures import alpha_heat_map, trailing_mean
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.paper_settings import falling


@pytest.fixture(scope="module")
def figure(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("figure")
    return run(Figure1(trials=40, episodes=300, seed=3, out=out)), out


def test_table_holds_every_learner_with_intervals(figure: tuple[dict[str, Any], Path]) -> None:
    report, out = figure
    assert json.loads((out / "figure-1.json").read_text()) == json.loads(json.dumps(report))
    for settings in ("learners", "tuned"):
        assert set(report[settings]) == set(LEARNERS)
        for entry in report[settings].values():
            for key, name in (("converged", "rate"), ("p_optimum", "mean"), ("reward", "mean")):
                numbers = entry[key]
                assert numbers["low"] <= numbers[name] <= numbers["high"]
            assert entry["settings"]


def test_figure_shows_what_the_paper_shows(figure: tuple[dict[str, Any], Path]) -> None:
    learners = figure[0]["learners"]
    assert learners["ROMMEO-Q"]["p_optimum"]["mean"] > 0.85
    assert learners["ROMMEO-Q"]["reward"]["mean"] > 9.0
    assert 30 < learners["ROMMEO-Q"]["episodes_to_0.5"] < 60
    for name in ("ROMMEO-Q-EMP", "JAL", "WoLF-PHC", "PR2-Q"):
        assert learners[name]["p_optimum"]["mean"] < 0.45
        assert learners[name]["episodes_to_0.9"] is None
    assert 0.25 < learners["FMQ-c10"]["p_optimum"]["mean"] < 0.8


def test_tuned_rommeo_q_always_converges_and_its_ablation_does_not(
    figure: tuple[dict[str, Any], Path],
) -> None:
    tuned = figure[0]["tuned"]
    assert tuned["ROMMEO-Q"]["converged"]["rate"] == 1.0
    assert tuned["ROMMEO-Q"]["episodes_to_0.9"] < 100
    assert tuned["ROMMEO-Q-EMP"]["converged"]["rate"] < 0.5


def test_opponent_models_think_ahead_of_policies(figure: tuple[dict[str, Any], Path]) -> None:
    lead = figure[0]["opponent_model_leads"]["learners"]
    assert lead["rho_passes_0.8"] < lead["pi_passes_0.8"]
    assert lead["rho_stays_above_0.8"] <= lead["pi_stays_above_0.8"]


def test_pictures_are_written_as_png_and_svg(figure: tuple[dict[str, Any], Path]) -> None:
    for panel in "abc":
        png = figure[1] / f"figure-1{panel}.png"
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "<svg" in png.with_suffix(".svg").read_text()


@pytest.mark.parametrize("name", ["trials", "episodes", "plays"])
def test_counts_below_one_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 0"):
        run(Figure1(**{name: 0, "out": tmp_path}))  # type: ignore[arg-type]


def test_authors_temperature_is_followed_closely() -> None:
    points = np.array(falling(0.1))
    plays = np.arange(300)
    drawn = np.interp(plays, points[:, 0], points[:, 1])
    exact = 0.1 + 500 * np.exp(-0.1 * plays)
    assert (np.abs(drawn / exact - 1) < 0.035).all()


def test_trailing_mean_averages_what_there_is() -> None:
    values = np.arange(5.0)[:, None]
    np.testing.assert_allclose(trailing_mean(values, 2)[:, 0], [0.0, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(trailing_mean(values, 9)[:, 0], [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(trailing_mean(values, 1), values)


def test_heat_map_labels_what_was_tried() -> None:
    share = np.array([[0.1, np.nan], [0.5, 1.0], [0.3, 0.2]])
    axes = alpha_heat_map([1.0, 50.0], [10, 40, 160], share, title="t").axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.10", "0.50", "1.00", "0.30", "0.20"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["10", "40", "160"]
    with pytest.raises(ValueError, match=r"shape \(3, 2\).*\(2, 3\)"):
        alpha_heat_map([1.0, 2.0, 3.0], [10, 40], share, title="t")
