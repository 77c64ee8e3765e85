"""What is written down of an experiment is read again."""

from __future__ import annotations

import json

import pytest

from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.about import ABOUT_FILE, About, called_with, read_about, write_about

WANTED = About("game/algorithm", 3, 4, 9.0, "greedy")


def test_what_was_asked_for_is_read_again_with_the_command_line(tmp_path):
    with called_with(["train", "game/algorithm", "--set", "a=[1, 2]"]):
        write_about(WANTED, tmp_path / "new")
    found = read_about(tmp_path / "new")
    assert found is not None
    assert found.commands == ("rommeo train game/algorithm --set 'a=[1, 2]'",)
    assert found.seeds == range(3, 7)
    assert (found.success_above, found.judge_by) == (9.0, "greedy")


def test_commands_that_go_on_with_an_experiment_are_added(tmp_path):
    for command in (["sweep", "x"], ["sweep", "x", "--resume"], ["sweep", "x", "--resume"]):
        with called_with(command):
            write_about(WANTED, tmp_path)
    found = read_about(tmp_path)
    assert found is not None
    assert found.commands == ("rommeo sweep x", "rommeo sweep x --resume")


def test_without_a_command_line_there_is_none(tmp_path):
    write_about(WANTED, tmp_path)
    assert read_about(tmp_path) == WANTED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"version": 2, "configuration": "x"}, f"{ABOUT_FILE} is of version 2; allowed: 1"),
        ({"configuration": "x", "of_tomorrow": 1}, f"{ABOUT_FILE} is damaged"),
        ({"configuration": ["x"]}, "is damaged"),
        ({"configuration": "x", "first_seed": 0, "num_seeds": 10**12}, "is damaged"),
        ({"configuration": "x", "commands": [1]}, "is damaged"),
        ({"configuration": "x", "success_above": "9"}, "is damaged"),
        ([], "is damaged"),
    ],
)
def test_what_is_of_another_version_or_damaged_is_refused(content, said, tmp_path):
    (tmp_path / ABOUT_FILE).write_text(json.dumps(content))
    with pytest.raises(CommandError, match=said):
        read_about(tmp_path)


def test_what_is_not_there_is_not_known(tmp_path):
    assert read_about(tmp_path) is None
    assert About("x").seeds is None
