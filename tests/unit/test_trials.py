"""Trials are known by their settings and seeds, and what is written down of them is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rommeo_rllib.errors import CommandError, UsageError
from rommeo_rllib.experiments.folders import Folder, write_whole
from rommeo_rllib.experiments.resuming import POINTS, agreed, known
from rommeo_rllib.experiments.running import raise_if_incomplete
from rommeo_rllib.experiments.seeds import trials_of_seeds
from rommeo_rllib.experiments.trials import (
    TRIALS_FILE,
    Ledger,
    Results,
    Trial,
    TrialResult,
    as_json,
    has_ended,
    read_result,
)

FIXED = {"settings": {"gamma": 0.9}, "stop": {"steps": 100}}


def ledger(*alphas: float, seeds: int = 2, replicas: int = 1, fixed: Any = None) -> Ledger:
    trials = [
        one for alpha in alphas for one in trials_of_seeds({"alpha": alpha}, 0, seeds, replicas)
    ]
    return Ledger(fixed or FIXED, trials)


def asked_again(asked: Ledger, before: Ledger, **how: bool) -> list[tuple[float, list[int]]]:
    found = agreed(asked, before, "there", **{"resume": True, "extend": False, **how})
    return [(trial.setting["alpha"], list(trial.seeds)) for trial in found.trials]


def test_the_same_trials_in_another_order_are_the_ones_that_were_begun():
    before = ledger(1.0, 10.0)
    assert asked_again(ledger(10.0, 1.0), before) == [
        (1.0, [0]),
        (1.0, [1]),
        (10.0, [0]),
        (10.0, [1]),
    ]
    ids = {trial.id for trial in before.trials}
    assert {trial.id for trial in ledger(10.0, 1.0).trials} == ids
    assert len(ids) == 4


def test_how_many_seeds_are_computed_together_does_not_matter():
    assert asked_again(ledger(1.0, seeds=4), ledger(1.0, seeds=4, replicas=3)) == [
        (1.0, [0, 1, 2]),
        (1.0, [3]),
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ledger(1.0, 2.0), r"new: alpha 2.0 seed 0, alpha 2.0 seed 1; no longer: alpha 10.0"),
        (ledger(1.0, 10.0, seeds=3), r"new: alpha 1.0 seed 2, alpha 10.0 seed 2\)"),
        (ledger(1.0, 10.0, seeds=1), r"\(no longer: alpha 1.0 seed 1"),
        (
            ledger(1.0, 10.0, fixed={"settings": {"gamma": 0.5}, "stop": {"steps": 100}}),
            r"settings.gamma was 0.9, now 0.5",
        ),
        (
            ledger(1.0, 10.0, fixed={"settings": {"gamma": 0.9}, "stop": {}}),
            r"stop.steps was 100, now unset",
        ),
    ],
)
def test_a_changed_command_is_refused_with_what_changed(asked, said):
    with pytest.raises(UsageError, match=said):
        asked_again(asked, ledger(1.0, 10.0))


def test_an_extended_command_adds_what_is_new_and_keeps_the_rest():
    found = asked_again(ledger(10.0, 2.0, seeds=3), ledger(1.0, 10.0), extend=True)
    assert found == [
        (1.0, [0]),
        (1.0, [1]),
        (10.0, [0]),
        (10.0, [1]),
        (10.0, [2]),
        (2.0, [0]),
        (2.0, [1]),
        (2.0, [2]),
    ]


def test_seeds_that_were_computed_besides_those_asked_for_are_not_run_again():
    before = ledger(1.0, seeds=2, replicas=3)
    assert asked_again(ledger(1.0, seeds=5), before, extend=True) == [
        (1.0, [0, 1, 2]),
        (1.0, [3]),
        (1.0, [4]),
    ]


def test_nothing_but_trials_and_points_can_be_extended():
    other = ledger(1.0, fixed={"settings": {"gamma": 0.5}, "stop": {"steps": 100}})
    with pytest.raises(UsageError, match="gamma"):
        asked_again(other, ledger(1.0), extend=True)
    more = agreed(Ledger({POINTS: 9}), Ledger({POINTS: 3}), "there", resume=False, extend=True)
    assert more.fixed == {POINTS: 9}
    with pytest.raises(UsageError, match="points was 3, now 9"):
        agreed(Ledger({POINTS: 9}), Ledger({POINTS: 3}), "there", resume=True, extend=False)


def test_what_was_begun_is_not_begun_anew():
    with pytest.raises(UsageError, match="holds an experiment already: --resume"):
        asked_again(ledger(1.0), ledger(1.0), resume=False)


def test_trials_that_are_written_down_are_read_again(tmp_path):
    folder = Folder(str(tmp_path))
    before = ledger(1.0, 10.0)
    before.trials[0].status = "ended"
    before.write(folder)
    found = known(folder)
    assert found == before
    assert known(Folder(str(tmp_path / "new"))) is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_cut_file_of_trials_is_named(share, tmp_path):
    folder = Folder(str(tmp_path))
    ledger(1.0).write(folder)
    file = tmp_path / TRIALS_FILE
    text = file.read_text()
    file.write_text(text[: int(len(text) * share)])
    with pytest.raises(CommandError, match=f"{TRIALS_FILE} is damaged"):
        known(folder)


def test_a_file_of_trials_of_another_version_is_refused(tmp_path):
    (tmp_path / TRIALS_FILE).write_text(json.dumps({"version": 9}))
    with pytest.raises(CommandError, match="is of version 9; allowed: 1"):
        known(Folder(str(tmp_path)))


@pytest.mark.parametrize("left", ["tuner.pkl", "experiment_state-2026.json", "x/result.json"])
def test_nothing_is_begun_beside_trials_that_nobody_knows(left, tmp_path):
    file = tmp_path / left
    file.parent.mkdir(exist_ok=True)
    file.touch()
    with pytest.raises(UsageError, match="holds trials"):
        known(Folder(str(tmp_path)))


def test_a_folder_is_locked_against_other_processes_and_free_after_their_end(tmp_path):
    program = f"""
from rommeo_rllib.experiments.folders import Folder
with Folder({str(tmp_path)!r}).locked():
    print("locked", flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(UsageError, match=f"in use by process {other.pid} on"),
            Folder(str(tmp_path)).locked(),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with Folder(str(tmp_path)).locked():
        pass


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "table.json"
    write_whole(file, "before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_files_behind_a_uri_are_read_and_written(tmp_path):
    folder = Folder(f"file://{tmp_path}")
    assert folder.local is None
    assert folder.read("x") is None
    folder.write("x", "é")
    assert folder.read("x") == "é"
    assert folder.names() == ["x"]
    assert Folder(f"file://{tmp_path}/none").names() == []


def test_a_uri_that_nobody_reads_is_refused():
    with pytest.raises(UsageError, match=r"--storage nosuch://x: .*allowed: a folder, or a URI"):
        Folder("nosuch://x")


def rows(folder: Path, *lines: str) -> Trial:
    trial = Trial({"alpha": 1.0}, 0, folder="one")
    (folder / "one").mkdir()
    (folder / "one" / "result.json").write_text("\n".join(lines))
    return trial


def test_a_trial_has_ended_when_its_last_result_says_so(tmp_path):
    trial = rows(
        tmp_path,
        '{"training_iteration": 1, "a": {"b": 2.0}, "config": {"seed": 0}}',
        '{"training_iteration": 2, "a": {"b": 3.0}, "done": true}',
    )
    result = read_result(trial, Folder(str(tmp_path)))
    assert [row["a/b"] for row in result.rows] == [2.0, 3.0]
    assert "config/seed" not in result.rows[0]
    assert has_ended(result)
    # Unless a checkpoint belongs to it that was never written.
    assert not has_ended(result, with_checkpoint=True)
    trial.checkpoint_iteration = 2
    assert has_ended(read_result(trial, Folder(str(tmp_path))), with_checkpoint=True)
    trial.status = "failed"
    assert not has_ended(read_result(trial, Folder(str(tmp_path))))


def test_a_line_that_is_still_being_written_is_left_out_and_a_damaged_one_is_named(tmp_path):
    trial = rows(tmp_path, '{"training_iteration": 1}', '{"training_iter')
    result = read_result(trial, Folder(str(tmp_path)))
    assert result.metrics == {"training_iteration": 1}
    assert not has_ended(result)
    (tmp_path / "one" / "result.json").write_text('{"training_it\n{"training_iteration": 2}\n')
    with pytest.raises(CommandError, match=r"result.json, line 1, is damaged"):
        read_result(trial, Folder(str(tmp_path)))


def test_trials_that_did_not_come_back_are_an_error():
    ended, lost = (TrialResult(Trial({}, seed), {}) for seed in range(2))
    raise_if_incomplete(Results([ended]), "x/name")
    with pytest.raises(CommandError, match=r"1 of 2 trials in x/name .* --name name --resume"):
        raise_if_incomplete(Results([ended], [lost]), "x/name")


class Game:
    def __init__(self) -> None:
        self.size, self._hidden = 3, 4


def test_what_json_cannot_say_is_named():
    value = {"class": Game, "function": as_json, "set": {2, 1}, "object": Game(), "tuple": (1, 2)}
    assert as_json(value) == {
        "class": "Game",
        "function": "as_json",
        "set": ["1", "2"],
        "object": {"class": "Game", "size": 3},
        "tuple": [1, 2],
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"folder": "../../elsewhere"},
        {"folder": "/elsewhere"},
        {"folder": ".."},
        {"folder": 3},
        {"checkpoint": "../other/checkpoint_000000"},
        {"seed": "0"},
        {"replicas": -1},
    ],
)
def test_a_file_of_trials_that_leads_out_of_its_folder_is_refused(changed, tmp_path):
    folder = Folder(str(tmp_path / "mine"))
    Ledger({}, [Trial({}, 0)]).write(folder)
    file = tmp_path / "mine" / TRIALS_FILE
    content = json.loads(file.read_text())
    content["trials"][0] |= changed
    file.write_text(json.dumps(content))
    with pytest.raises(CommandError, match="is damaged"):
        Ledger.read(folder)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1: 2, "a": 3}, {"1": 2, "a": 3}),
        ({"a": [{(1, 2): None}]}, {"a": [{"(1, 2)": None}]}),
    ],
)
def test_keys_that_json_has_not_are_written_as_texts(value, said):
    assert as_json(value) == said
