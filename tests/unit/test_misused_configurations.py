"""Settings and files of configurations that are refused before Ray is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rommeo_rllib.commands.terminal import PlainConsole
from rommeo_rllib.commands.train import Train
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.stopping import StopAtPaths

NAME = "climbing_game/rommeo_ac"
CONFIG = "from rommeo_rllib import ROMMEOACConfig\nconfig = ROMMEOACConfig()\n"
RETURN = "env_runners/episode_return_mean"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("gamma=None", "`gamma` is None; allowed: a number in [0, 1]."),
        ("gamma=[]", "`gamma` is []; allowed: a number in [0, 1]."),
        ("gamma={}", "`gamma` is {}; allowed: a number in [0, 1]."),
        ("gamma=True", "--set gamma=True: allowed: a number, such as 0.0."),
        ("gamma=1e999", "--set gamma=1e999: allowed: a number, such as 0.0."),
        ("gamma=nan", "--set gamma=nan: allowed: a number, such as 0.0."),
        ("explore=1", "--set explore=1: allowed: True or False, such as True."),
        ("policies=None", "`policies` is None; allowed: a dict or a set with"),
        (
            "model_config=1",
            "`model_config` is 1; allowed: a dict or a DefaultModelConfig, or None.",
        ),
        ("env_config=3", "`env_config` is 3; allowed: a dict."),
        ("env_config={1: 2, 'a': 3}", "`env_config` of climbing_game: keywords must be strings."),
        ("env_config.nope=3", "unknown setting of climbing_game: 'nope'."),
        ("env=climbing_gmae", "nobody has registered it. Did you mean 'climbing_game'?"),
        ("env=None", "The configuration has no environment"),
        ("algo_class=x", "--set algo_class=x: there is no key 'algo_class'."),
        ("validate=3", "--set validate=3: there is no key 'validate'."),
        ("gamma.x=1", "--set gamma.x=1: 'x' is inside 0.0, which is no dict; give all of it."),
        ("seed=5", "--set seed=5: this has no effect; give --seed."),
        ("alpha=" + "(" * 5000, "`alpha` is '((("),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_a_line(setting, message):
    with pytest.raises(UsageError) as told:
        Train(NAME, set=(setting,))._configuration()
    assert message in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_what_rllib_fails_of_is_told_with_the_settings(monkeypatch):
    config = configurations.load(NAME).config

    def fail() -> None:
        raise AttributeError("'int' object has no attribute 'items'")

    monkeypatch.setattr(config, "validate", fail)
    with pytest.raises(UsageError, match=r"^--set a=1: this cannot be used \(AttributeError: 'int"):
        configurations.validate(config, ["a=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no `config`"),
        ("config = {}\nstop = {}", "`config` is a dict; allowed: an AlgorithmConfig"),
        (CONFIG.replace("()", "") + "stop = {}", "`config` is the class ROMMEOACConfig; allowed"),
        (CONFIG, "has no `stop`"),
        (CONFIG + "stop = 3", "`stop` is 3; allowed: a dict, such as"),
        (CONFIG + "stop = {1: 2}", "`stop` has the key 1; allowed: paths of results"),
        (CONFIG + "stop = {'reward': 'x'}", "`stop['reward']` is 'x'; allowed: a finite number."),
        (CONFIG + "stop = {'training_iteration': -1}", "is -1; allowed: a number of at least 1."),
        (CONFIG + "stop = {'reward': float('nan')}", "is nan; allowed: a finite number."),
        (
            CONFIG + "stop = {'env_runners': {'x': 1}}",
            "give its path in one, such as 'env_runners/x'",
        ),
        ("def (", "line 1: SyntaxError: invalid syntax"),
        ("x = 1\nimport nope_xyz", "line 2: ModuleNotFoundError: No module named 'nope_xyz'."),
        ("import sys\nsys.exit(3)", "line 2: the file ends the program (SystemExit: 3)"),
        ("raise BaseException('x')", "line 1: BaseException: x."),
        ("class E(Exception):\n    def __str__(self): raise E\nraise E", "line 3: E."),
        (bytes(range(256)), "SyntaxError: "),
    ],
)
def test_a_file_that_is_no_configuration_is_told_with_what_is_wrong(text, message, tmp_path):
    file = tmp_path / "mine.py"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as told:
        configurations.load(str(file))
    assert message in str(told.value)
    assert str(file) in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_a_folder_and_a_missing_file_are_no_configurations(tmp_path: Path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UsageError, match="is a folder; allowed: a Python file"):
        configurations.load(str(tmp_path / "folder.py"))
    for name in ("missing.py", "x" * 300 + ".py"):
        with pytest.raises(UsageError, match="There is no file"):
            configurations.load(str(tmp_path / name))


def test_ctrl_c_in_a_configuration_file_is_still_one(tmp_path: Path):
    (tmp_path / "mine.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        configurations.load(str(tmp_path / "mine.py"))


@pytest.mark.parametrize("metric", ["nope", "episode_return_maen", "env_runners/episode_retrun"])
def test_a_metric_that_the_first_results_lack_ends_the_experiment(metric):
    stopper = StopAtPaths({}, metric, PlainConsole(file=sys.stderr))
    assert not stopper("a", {"training_iteration": 1, "env_runners": {}}) or stopper.problem
    assert stopper("a", {"training_iteration": 2, "env_runners": {"episode_return_mean": 1.0}})
    assert stopper.stop_all()
    assert stopper.problem.startswith(f"--metric {metric}: this is in no result.")
    assert "There are " in stopper.problem


def test_a_metric_may_come_with_the_first_episode_that_ends():
    stopper = StopAtPaths({}, RETURN, PlainConsole(file=sys.stderr))
    assert not stopper("a", {"training_iteration": 1, "env_runners": {"num_env_steps_sampled": 3}})
    assert not stopper("a", {"training_iteration": 2, "env_runners": {"episode_return_mean": 1.0}})
    assert stopper.problem is None


def test_a_stop_that_no_result_has_ends_the_experiment_instead_of_never_ending():
    stopper = StopAtPaths({"nmu_env_steps": 5}, None, PlainConsole(file=sys.stderr))
    assert stopper("a", {"num_env_steps": 3})
    assert stopper.problem.startswith("Nothing would end a trial: `stop` names 'nmu_env_steps'")
