"""What comes from files and URIs is shown as text, and leads nowhere."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest
from rich.table import Table

from rommeo_rllib.cli import main
from rommeo_rllib.commands.terminal import PlainConsole
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.about import ABOUT_FILE, About, called_with, read_about, write_about
from rommeo_rllib.experiments.credentials import without_credentials
from rommeo_rllib.experiments.ownership import require_own_files

SECRET = "s3://me:hunter2@host/results?secret_key=hunter2&region=eu&hunter2"


@pytest.mark.parametrize("command", ["train", "sweep"])
@pytest.mark.parametrize(
    "name", ["../../esc", "/etc/esc", "a/../../b", ".", "~/x", "a\x1b[2Jb", 300 * "a"]
)
def test_a_name_that_leaves_the_storage_is_refused(command, name, capsys):
    arguments = [command, "max_of_two_quadratics/rommeo_ac", "--name", name]
    arguments += ["--alpha", "1"] if command == "sweep" else []
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "a folder inside the storage" in said or "at most 255 bytes" in said
    assert "\x1b[2J" not in said


def printed(*what: Any) -> str:
    console = PlainConsole(file=io.StringIO(), width=200)
    console.print(*what)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runs/[red]/[/nothing]/x", "runs/[red]/[/nothing]/x\n"),
        ("\x1b]0;owned\x07\x9b2Jx\ny", "\\x1b]0;owned\\x07\\x9b2Jx\ny\n"),
        (f"at {SECRET}", "at s3://***@host/results?secret_key=***&region=eu&***\n"),
    ],
)
def test_what_is_printed_stays_text(text, said):
    assert printed(text) == said
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    for line in said.splitlines():
        assert printed(table).count(line) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no URI: a@b?c=d", "no URI: a@b?c=d"),
        ("s3://bucket/results", "s3://bucket/results"),
        ("s3://bucket?scheme=http&access_key=A", "s3://bucket?scheme=http&access_key=***"),
        ("gs://token@bucket/x", "gs://***@bucket/x"),
        ("s3://u:p@ss@host/x", "s3://***@host/x"),
        ("'s3://u:p@h/x?k=v' --name b", "'s3://***@h/x?k=***' --name b"),
        ("--storage=hdfs://u:p@h:80/x", "--storage=hdfs://***@h:80/x"),
    ],
)
def test_credentials_are_hidden_in_uris_alone(text, said):
    assert without_credentials(text) == said


def test_credentials_are_not_written_down_nor_read_from_what_was(tmp_path):
    with called_with(["train", "x", "--storage", SECRET]):
        write_about(About("x"), tmp_path)
    assert "hunter2" not in (tmp_path / ABOUT_FILE).read_text()
    before = {"configuration": "x", "commands": [f"rommeo train x --storage '{SECRET}'"]}
    (tmp_path / ABOUT_FILE).write_text(json.dumps(before))
    found = read_about(tmp_path)
    assert found is not None
    assert "hunter2" not in "".join(found.commands)


def test_pickled_objects_of_another_user_are_not_read_without_trust(tmp_path, monkeypatch):
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "params.pkl").write_bytes(b"")
    require_own_files(tmp_path, trust=False)
    require_own_files(tmp_path / "none", trust=False)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(UsageError, match=r"1 of another user's \(trial/params\.pkl\).*--trust"):
        require_own_files(tmp_path, trust=False)
    require_own_files(tmp_path, trust=True)


def test_a_resumed_sweep_of_another_user_needs_trust(tmp_path, monkeypatch, capsys):
    checkpoint = tmp_path / "mine" / "a_trial" / "checkpoint_000000"
    checkpoint.mkdir(parents=True)
    (checkpoint / "algorithm_state.pkl").write_bytes(b"")
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    arguments = ["sweep", "max_of_two_quadratics/rommeo_ac", "--alpha", "1", "--resume"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--storage", str(tmp_path), "--name", "mine"])
    assert ended.value.code == 2
    assert "--trust" in capsys.readouterr().err
