"""The `rommeo` command without training: help, misuse, and what it says of failures."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rommeo_rllib
from rommeo_rllib import cli, errors
from rommeo_rllib.cli import main
from rommeo_rllib.commands import train
from rommeo_rllib.commands.parsing import parse
from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.trials import Results, Trial, TrialResult
from rommeo_rllib.reporting import train_figures

NAME = "climbing_game/rommeo_ac"
NO_RAY_NEEDED = [
    [],
    ["--version"],
    ["--help"],
    ["train", "--help"],
    ["train", "no/such"],
    ["train", "nowhere.py"],
    ["train", NAME, "--num-samples", "0"],
]


@pytest.fixture
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a Ray session fails."""

    def refuse() -> None:
        raise AssertionError("A Ray session was asked for.")

    monkeypatch.setattr(train, "quiet_ray", refuse)


@pytest.fixture
def trials_bring(monkeypatch: pytest.MonkeyPatch) -> Results:
    """`rommeo train` finds what a test puts in here instead of running trials."""
    results = Results()
    monkeypatch.setattr(train, "quiet_ray", contextlib.nullcontext)
    monkeypatch.setattr(train, "run_trials", lambda *args, **kwargs: results)
    monkeypatch.setattr(train, "replicas_to_use", lambda *args: 1)
    monkeypatch.setattr(train_figures, "write_pictures", lambda *args: [])
    return results


def trial(seed: int, replicas: int = 1, asked: int = 1) -> TrialResult:
    inner, value = ("replicas/", [50.0] * replicas) if replicas > 1 else ("", 50.0)
    row = {
        "num_env_steps_sampled_lifetime": 25,
        "env_runners/agent_episode_returns_mean/player_0": 25.0,
        f"env_runners/{inner}episode_return_mean": value,
        f"env_runners/{inner}episode_len_mean": value,
    }
    config = {"seed": seed, "replicas": replicas}
    return TrialResult(Trial({}, seed, replicas, asked), config, [row])


def failed(seed: int, report: str) -> TrialResult:
    return TrialResult(Trial({}, seed), {"seed": seed}, error=RuntimeError(report))


def ended(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and what stands on stderr, where a command does not end well."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code, capsys.readouterr().err


def assert_misuse(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and one line on stderr, which says `reason`."""
    status, errors = ended(arguments, capsys)
    assert status == 2
    (line,) = errors.splitlines()
    assert line.startswith("rommeo: ")
    assert reason in line


def test_without_arguments_it_introduces_itself_and_lists_the_configurations(capsys):
    main([])
    said = capsys.readouterr().out
    assert "results/" in said
    for name in configurations.names():
        game, algorithm = name.split("/")
        inside = said.partition(f"  {game}/\n")[2].partition("/\n")[0]
        assert algorithm in inside.replace(",", " ").split(), name


def test_the_first_commands_that_it_shows_can_be_parsed(capsys):
    main([])
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  rommeo ")]
    assert len(shown) == 5
    for line in shown:
        parse(cli.COMMANDS, "rommeo", shlex.split(line, comments=True)[1:])


def test_it_knows_its_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out.strip() == f"rommeo-rllib {rommeo_rllib.__version__}"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "train"),
        (["train"], "--num-samples"),
        (["sweep"], "--alpha"),
        (["reproduce"], "figure-1"),
        (["reproduce", "figure-1"], "--trials"),
    ],
)
def test_every_command_has_help(command, says, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: {' '.join(['rommeo', *command])} [-h]" in said
    assert says in said


def commands(group: dict[str, Any]) -> list[tuple[list[str], Any]]:
    """All commands with the words that call them."""
    found = []
    for name, command in group.items():
        inside = commands(command) if isinstance(command, dict) else [([], command)]
        found += [([name, *words], leaf) for words, leaf in inside]
    return found


@pytest.mark.parametrize(
    ("words", "command"),
    commands(cli.COMMANDS),
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_help_explains_every_option_and_its_default(words, command, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    entries: list[str] = []
    for line in capsys.readouterr().out.splitlines():
        if re.match(r"[│ ] (--|[A-Z]+\b)", line):
            entries.append("")
        if entries and line.startswith(("│ ", "  ")):
            entries[-1] += line.strip("│")
    assert len(entries) == len(dataclasses.fields(command))
    for entry in entries:
        told = " ".join(entry.split())
        assert "default" in told or "(required)" in told, told
        assert "default: None" not in told
        assert "default: )" not in told
        assert len(re.sub(r"\([^()]*\)$", "", told)) > 20, told


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train"], "missing: CONFIGURATION"),
        (
            ["train", NAME, "--no-such"],
            "Unrecognized options: --no-such. See `rommeo train --help`",
        ),
        (["train", NAME, "--num-sampels", "3"], "Did you mean --num-samples?"),
        (["train", NAME, "--num-samples", "x"], "--num-samples: invalid literal for int()"),
        (["train", NAME, "--num-samples"], "Missing value for argument '--num-samples'"),
        (["sweep", NAME, "--kind", "steep"], "Expected one of ('linear', 'exponential')"),
        (["reproduce"], "Allowed: figure-1, figure-2, alpha-map"),
        (["reproduce", "figure-9"], "there is no command 'figure-9'"),
        (["--no-such"], "Unrecognized options: --no-such. See `rommeo --help`"),
    ],
)
def test_what_cannot_be_parsed_ends_with_status_2_and_one_line(arguments, reason, capsys):
    status, errors = ended(arguments, capsys)
    assert status == 2
    (line,) = errors.splitlines()
    assert line.startswith("rommeo")
    assert reason in line


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_it_writes_completions_that_know_all_commands(shell, tmp_path):
    file = tmp_path / "rommeo"
    with pytest.raises(SystemExit) as end:
        main(["--tyro-write-completion", shell, str(file)])
    assert end.value.code in (0, None)
    written = file.read_text()
    for word in ("train", "cross-play", "figure-2", "--num-samples"):
        assert word in written, word


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["climbing_game/romeo_ac"], f"Did you mean {NAME!r}?"),
        (["nowhere.py"], "There is no file nowhere.py."),
        (["climbing_game/rommeo_q"], "rommeo sweep climbing_game/rommeo_q"),
        ([NAME, "--num-samples", "0"], "--num-samples 0: allowed: at least 1."),
        ([NAME, "--replicas", "0"], "--replicas 0: allowed: at least 1."),
        ([NAME, "--stop-steps", "-5"], "--stop-steps -5: allowed: at least 1."),
        ([NAME, "--seed", "-1"], "--seed -1: allowed: 0 to 4294967295."),
        ([NAME, "--seed", "4294967295", "--num-samples", "2"], "allowed: 0 to 4294967294."),
        ([NAME, "--set", "alpha"], "expected key=value"),
        ([NAME, "--set", "q_lrr=1"], "Did you mean 'q_lr'?"),
        ([NAME, "--set", "q_lr.initial=1"], "which is no dict"),
        ([NAME, "--set", "q_lr=0.1", "--set", "gamma=7"], "`gamma` is 7"),
        ([NAME, "--set", "alpha.inital=1"], "inital"),
        ([NAME, "--set", "num_env_runners=x"], "--set num_env_runners=x: allowed: a number"),
        ([NAME, "--set", "explore=false"], "--set explore=false: allowed: True or False"),
        ([NAME, "--set", "num_env_runners=1", "--replicas", "2"], "`replicas` is 2"),
    ],
)
@pytest.mark.usefixtures("no_session")
def test_misuse_of_train_ends_with_status_2_and_one_line_before_ray_starts(
    arguments, reason, capsys
):
    assert_misuse(["train", *arguments], reason, capsys)


@pytest.mark.usefixtures("no_session")
def test_an_algorithm_without_replicas_refuses_them(tmp_path: Path, capsys):
    file = tmp_path / "ppo.py"
    file.write_text("from ray.rllib.algorithms.ppo import PPOConfig\nconfig = PPOConfig()\nstop={}")
    assert_misuse(["train", str(file), "--replicas", "2"], "PPO cannot compute seeds", capsys)


def test_help_and_most_misuse_come_without_importing_ray():
    program = f"""
import sys
from rommeo_rllib import cli, errors
from rommeo_rllib.cli import main

for arguments in {NO_RAY_NEEDED!r}:
    try:
        main(arguments)
        print("DONE", 0)
    except SystemExit as end:
        print("DONE", end.code)
    assert "ray" not in sys.modules, arguments
"""
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    statuses = [line for line in found.stdout.splitlines() if line.startswith("DONE")]
    assert statuses == ["DONE 0"] * 4 + ["DONE 2"] * 3


def test_a_failure_ends_with_status_1_and_one_line(monkeypatch, capsys):
    def fail(*_: Any) -> None:
        raise CommandError("no [bold] luck " + 30 * "at all ")

    monkeypatch.setattr(train.Train, "run", fail)
    status, errors = ended(["train", NAME], capsys)
    assert status == 1
    assert errors.splitlines() == ["rommeo: no [bold] luck " + 30 * "at all "]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PermissionError(13, "Permission denied", "/there/x"),
            "rommeo: /there/x: Permission denied. Choose another place, or free it.",
        ),
        (
            KeyError("x\ny"),
            "rommeo: unexpected KeyError: 'x\\ny' (ROMMEO_TRACEBACK=1 rommeo ... shows where it "
            "comes from.)",
        ),
    ],
)
def test_what_no_command_foresaw_ends_with_status_1_and_one_line(error, line, monkeypatch, capsys):
    monkeypatch.setattr(train.Train, "run", lambda *_: (_ for _ in ()).throw(error))
    monkeypatch.delenv("ROMMEO_TRACEBACK", raising=False)
    assert ended(["train", NAME], capsys) == (1, line + "\n")
    monkeypatch.setenv("ROMMEO_TRACEBACK", "1")
    with pytest.raises(type(error)):
        main(["train", NAME])


@pytest.mark.usefixtures("no_session")
def test_a_mistake_in_somebodys_configuration_is_told_with_its_line(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("config = 1\nstop = undefined\n")
    assert_misuse(["train", str(file)], "mine.py, line 2: NameError: name 'undefined'", capsys)
    file.write_text("config = (\n")
    assert_misuse(["train", str(file)], "line 1: SyntaxError", capsys)


def test_an_interrupt_ends_with_the_shells_status_for_it(monkeypatch, capsys):
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Train, "run", interrupt)
    assert ended(["train", NAME], capsys) == (130, "rommeo: interrupted.\n")


def test_seeds_that_end_well_are_reported_though_others_failed(trials_bring, tmp_path, capsys):
    trials_bring += [failed(0, "ValueError: bad luck."), trial(3, replicas=3, asked=1)]
    table = tmp_path / "deep" / "table.json"
    options = ["--num-samples", "4", "--replicas", "3", "--json", str(table)]
    status, errors = ended(["train", NAME, *options], capsys)
    assert status == 1
    assert "1 of 2 trials failed; the first: ValueError: bad luck. Details" in errors
    # Seeds 4 and 5, which the second trial computed as well, were not asked for.
    assert [row["seed"] for row in json.loads(table.read_text())] == [3]


def test_a_table_of_all_seeds_is_written_and_shown(trials_bring, tmp_path, capsys):
    trials_bring += [trial(8), trial(7)]
    table = tmp_path / "table.json"
    options = ["--num-samples", "2", "--seed", "7", "--replicas", "1", "--json", str(table)]
    main(["train", NAME, *options])
    rows = json.loads(table.read_text())
    assert [row["seed"] for row in rows] == [7, 8]
    assert [row["return_per_play"] for row in rows] == [1.0, 1.0]
    said = capsys.readouterr().out
    assert "seeds 7 to 8" in said
    assert "1.00" in said


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (
            "ray.exceptions.RayTaskError(KeyError): ray::f\n  File x\nKeyError: 'a'\n",
            "KeyError: 'a'",
        ),
        ("ray.exceptions.ActorDiedError: The actor died: lost\n", "ray.exceptions.ActorDiedError"),
        ("mine.OwnError: first: cause\nthen\nValueError: last\n", "ValueError: last (cause: mine."),
        ("something\nelse", "else (cause: something)"),
        ("", "RuntimeError('')"),
    ],
)
def test_a_reports_reason_is_one_line(report, reason):
    found = errors.reason(RuntimeError(report))
    assert found.startswith(reason)
    assert "\n" not in found


@pytest.mark.parametrize("command", [["evaluate"], ["export", "p", "--weights", "w"]])
def test_a_damaged_checkpoint_is_told_with_the_file(command, tmp_path, capsys):
    (tmp_path / "learner_group" / "learner" / "rl_module" / "p").mkdir(parents=True)
    (tmp_path / "class_and_ctor_args.pkl").touch()
    listed = {"class_and_ctor_args.pkl": {"bytes": 999, "sha256": ""}}
    (tmp_path / "files.json").write_text(json.dumps({"version": 1, "files": listed}))
    name, *options = command
    reason = "damaged: class_and_ctor_args.pkl has 0 bytes instead of 999"
    assert_misuse([name, str(tmp_path), *options], reason, capsys)
