"""`rommeo sweep`, from the command to table and pictures, undisturbed and disturbed."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_train_command import SMALL

from rommeo_rllib.cli import main
from rommeo_rllib.commands import alpha_map

pytestmark = pytest.mark.usefixtures("ray_session")

REHEARSAL = Path(__file__).parents[2] / "benchmarks" / "rehearsal.py"
STOP = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "small.py").write_text(SMALL)
    return folder


def swept(folder: Path, name: str, *options: str) -> tuple[list[dict[str, Any]], str]:
    """The table's rows and what was said."""
    table = folder / f"{name}.json"
    where = ["--storage", str(folder / "results"), "--name", name, "--json", str(table)]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        main(["sweep", str(folder / "small.py"), *where, *options])
    return json.loads(table.read_text()), said.getvalue()


def test_keys_are_swept_together_and_resuming_a_finished_sweep_repeats_its_table(folder):
    options = ["--alpha", "0.5", "2", "--grid", "tau=0.01,0.1", "--num-samples", "2"]
    rows, said = swept(folder, "grid", *options, "--stop-steps", "40")
    assert {(row["alpha"], row["settings"]["tau"]) for row in rows} == {
        (alpha, tau) for alpha in (0.5, 2.0) for tau in (0.01, 0.1)
    }
    assert all(row["seeds"] == 2 for row in rows)
    assert len({row["return_per_play"]["mean"] for row in rows}) == 4
    assert "schedules.png" in said
    again, _ = swept(folder, "grid", *options, "--stop-steps", "40", "--resume")
    assert again == rows


@pytest.mark.slow
@pytest.mark.parametrize("method", ["optuna", "pbt"])
def test_points_are_chosen_by_what_earlier_ones_brought(folder, method):
    if method == "optuna":
        pytest.importorskip("optuna")
    search = ["--search", "alpha=loguniform(0.5, 5)", "--points", "3", "--num-samples", "1"]
    extra = ["--asha"] if method == "optuna" else ["--perturb-every", "40"]
    rows, said = swept(folder, method, "--method", method, *search, *extra, "--stop-steps", "80")
    assert len(rows) == 3
    assert all(0.5 <= row["alpha"] <= 5 for row in rows)
    assert all(math.isfinite(row["return_per_play"]["mean"]) for row in rows)
    assert ("population.png" in said) == (method == "pbt")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_whose_node_and_driver_are_killed_ends_with_the_table_of_an_undisturbed_one(folder):
    alphas = ["--alpha", "0.1", "0.5", "1", "2"]
    undisturbed, _ = swept(folder, "calm", *alphas, "--num-samples", "2", "--stop-steps", str(STOP))
    table = folder / "disturbed.json"
    command = [
        *(sys.executable, str(REHEARSAL), "--configuration", str(folder / "small.py"), *alphas),
        *("--initial", "--decay-steps", "--seeds", "2", "--together", "--json", str(table)),
        *("--stop-steps", str(STOP), "--node-dies-at", "1", "--driver-dies-at", "2"),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a node was killed" in done.stdout
    assert "the driver was killed" in done.stdout
    disturbed = json.loads(table.read_text())
    assert [row["alpha"] for row in disturbed] == [0.1, 0.5, 1.0, 2.0]
    for found, expected in zip(disturbed, undisturbed, strict=True):
        assert found["seeds"] == 2
        # Success is not asked for in the calm one.
        assert found["return_per_play"] == pytest.approx(expected["return_per_play"])


@pytest.mark.slow
def test_the_alpha_map_goes_on_where_it_was_stopped_and_judges_by_greedy_actions(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(alpha_map, "CONSTANTS", (0.1, 1.0))
    monkeypatch.setattr(alpha_map, "INITIAL", (2.0, 20.0))
    monkeypatch.setattr(alpha_map, "DECAY_STEPS", (25, 50))
    command = ["reproduce", "alpha-map", "--seeds", "2", "--stop-steps", "50", "--out"]
    options = [str(tmp_path), "--surfaces", "paper", "--settings", "tuned"]
    main([*command, *options])
    table = json.loads((tmp_path / "alpha-map.json").read_text())["tuned"]["paper"]
    assert [row["alpha"] for row in table["settings"][:2]] == [0.1, 1.0]
    assert len(table["settings"]) == 6
    assert all(row["success"]["rate"] in (0.0, 0.5, 1.0) for row in table["settings"])
    pictures = {path.name for path in (tmp_path / "tuned-paper").glob("*.png")}
    assert pictures == {"constant_alpha.png", "schedules.png"}
    (trial, *_) = (tmp_path / "trials").glob("*/ROMMEO*/result.json")
    before = trial.stat().st_mtime_ns
    main([*command, *options])
    assert json.loads((tmp_path / "alpha-map.json").read_text())["tuned"]["paper"] == table
    assert trial.stat().st_mtime_ns == before


def test_a_tabular_learner_is_swept_with_all_seeds_of_a_setting_at_once(tmp_path):
    table = tmp_path / "table.json"
    options = ["--initial", "10", "50", "--decay-steps", "20", "--stop-steps", "500"]
    where = ["--storage", str(tmp_path), "--name", "tabular", "--json", str(table)]
    main(["sweep", "climbing_game/rommeo_q", *options, "--num-samples", "50", *where])
    rows = json.loads(table.read_text())
    assert [row["alpha"]["initial"] for row in rows] == [10.0, 50.0]
    assert all(row["seeds"] == 50 and row["success"]["rate"] > 0.9 for row in rows)
