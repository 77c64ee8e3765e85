"""`rommeo reproduce figure-2` from training to pictures, and going on where it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rommeo_rllib.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

ENTRY = {"seeds", "global_optimum", "local_optimum", "episodes_to_9", "final_return"}


def reproduce(out: Path, *algorithms: str) -> dict:
    options = ["--seeds", "1", "--episodes", "3", "--surface", "authors", "--seed", "5"]
    main(["reproduce", "figure-2", *options, "--out", str(out), "--algorithms", *algorithms])
    return json.loads((out / "figure-2.json").read_text())


def ended(out: Path) -> dict[Path, int]:
    """When each trial's results were written last."""
    return {path: path.stat().st_mtime_ns for path in out.glob("trials/*/*/*/result.json")}


def test_pictures_and_table_are_written_and_trials_that_have_ended_are_kept(tmp_path):
    reproduce(tmp_path, "ROMMEO-AC")
    before = ended(tmp_path)
    assert before
    report = reproduce(tmp_path, "ROMMEO-AC", "DDPG")
    after = ended(tmp_path)
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert report["surface"] == "authors"
    assert report["algorithms"].keys() == {"ROMMEO-AC", "DDPG"}
    for entry in report["algorithms"].values():
        assert entry.keys() == ENTRY
        assert entry["seeds"] == 1
        assert set(entry["global_optimum"]) == {"rate", "low", "high"}
        assert set(entry["episodes_to_9"]) >= {"median", "worst"}
    assert "rho_lead_episodes" in report
    written = {f"figure-2{part}.{kind}" for part in "abc" for kind in ("png", "svg")}
    assert written <= {path.name for path in tmp_path.iterdir()}
