"""`rommeo report` on what `rommeo train` has left behind, some of which is lost."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from rommeo_rllib.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

CONFIGURATION = """
from rommeo_rllib import ROMMEOACConfig

config = (
    ROMMEOACConfig()
    .environment("max_of_two_quadratics", env_config={"plays_per_episode": 5})
    .multi_agent(
        policies={"player_0", "player_1"},
        policy_mapping_fn=lambda agent_id, *args, **kwargs: agent_id,
    )
    .training(
        train_batch_size_per_learner=8,
        num_steps_sampled_before_learning_starts=10,
        replay_capacity=100,
        alpha={"initial": 5.0, "final": 0.1, "decay_steps": 30},
    )
    .rl_module(model_config={"fcnet_hiddens": [8]})
    .reporting(min_sample_timesteps_per_iteration=10)
)
stop = {"num_env_steps_sampled_lifetime": 40}
"""


class Reported:
    """What the two commands have left behind and said."""

    def __init__(self, folder: Path):
        self.folder = folder
        file = folder / "small.py"
        file.write_text(CONFIGURATION)
        results = str(folder / "results")
        self.train = ["train", str(file), "--seed", "2", "--num-samples", "3", "--replicas", "1"]
        self.train += ["--storage", results, "--name", "mine"]
        with contextlib.redirect_stdout(io.StringIO()):
            main(self.train)
        # As if the machine had been switched off before the last trial's first report.
        (lost,) = (folder / "results" / "mine").glob("*seed=4*/result.json")
        lost.unlink()
        said = io.StringIO()
        page, export = folder / "page.html", folder / "export.json"
        with contextlib.redirect_stdout(said):
            main(["report", results, "--out", str(page), "--marl-eval", str(export)])
        self.said, self.page = said.getvalue(), page.read_text()
        self.export = json.loads(export.read_text())


@pytest.fixture(scope="module")
def reported(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    return Reported(tmp_path_factory.mktemp("report"))


def test_the_page_has_the_seeds_that_reported(reported):
    assert "ROMMEO-AC on max_of_two_quadratics" in reported.page
    assert "2 seeds." in reported.page
    for said in ("Learning curves", "Alpha over time", "Opponent models", "Learning path"):
        assert said in reported.page


def test_the_seed_that_is_lost_is_said_on_the_page_and_on_the_console(reported):
    for text in (reported.page, " ".join(reported.said.split())):
        assert "(seed 4) has not reported anything" in text
        assert "1 of 3 seeds are missing: 4." in text


def test_the_command_that_made_the_results_is_there(reported):
    assert " ".join(["rommeo", *reported.train]) in reported.page


def test_plays_are_on_the_learning_path(reported):
    (text,) = [
        p for p in reported.page.split("<script") if p.startswith(' type="application/json"')
    ]
    content = json.loads(text.partition(">")[2].partition("</script>")[0])
    assert [len(run["plays"]) for run in content["runs"]] == [40, 40]
    assert content["runs"][0]["first_play"] == 0


def test_the_export_has_each_seed_and_step(reported):
    (task,) = reported.export["max_of_two_quadratics"].values()
    assert list(task["ROMMEO-AC"]) == ["run_1", "run_2"]
    assert task["ROMMEO-AC"]["run_1"]["step_1"]["step_count"] == 10
    assert list(task["ROMMEO-AC"]["run_1"])[-1] == "absolute_metrics"


def test_folders_without_results_are_refused(tmp_path, capsys):
    for folder, said in ((tmp_path, "holds no results"), (tmp_path / "none", "There is no folder")):
        with pytest.raises(SystemExit) as end:
            main(["report", str(folder)])
        assert end.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_the_report_runs_nothing_of_what_stands_pickled_in_results(reported, tmp_path):
    folder, marker = tmp_path / "results", tmp_path / "executed"
    shutil.copytree(reported.folder / "results", folder)
    poison = pickle.dumps(Poison(marker))
    for file in folder.rglob("*.pkl"):
        file.write_bytes(poison)
    for file in folder.rglob("experiment_state-*.json"):
        text, count = PICKLED.subn(rf"\g<1>{poison.hex()}", file.read_text())
        assert count > 1, "there must be pickled objects in the state"
        file.write_text(text)
    page = tmp_path / "page.html"
    main(["report", str(folder), "--out", str(page)])
    # And as Ray Tune leaves results of other programs' behind.
    (folder / "mine" / "rommeo-trials.json").unlink()
    (folder / "mine" / "rommeo-about.json").unlink()
    main(["report", str(folder), "--out", str(page)])
    assert "2 seeds." in page.read_text()
    assert not marker.exists()
    with pytest.raises(Exception, match=r"\w"):
        tune.ExperimentAnalysis(str(folder / "mine"))
    assert marker.exists(), "the poison must work, else nothing was shown"


PICKLED = re.compile(r"(CLOUDPICKLE_FALLBACK[^0-9]*value[^0-9]*)[0-9a-f]{20,}")


class Poison:
    """A pickled object that makes a file where it is read."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)
