"""What no command can do is refused before anything is begun: status 2 and one line of why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rommeo_rllib.cli import main
from rommeo_rllib.commands import alpha_map, figure_2, sweep, train
from rommeo_rllib.commands.options import require_writable
from rommeo_rllib.commands.terminal import PlainConsole
from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.stopping import StopAtPaths

NAME, TABULAR = "climbing_game/rommeo_ac", "climbing_game/rommeo_q"
FILE = "from rommeo_rllib.tuned_configs.climbing_game.rommeo_ac import config, stop\n"
HUGE = str(10**400)


@pytest.fixture(autouse=True)
def _no_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asks for a Ray session fails; a command works in a folder of its own."""

    def refuse() -> None:
        raise AssertionError("A Ray session was asked for.")

    for module in (train, sweep, figure_2, alpha_map):
        monkeypatch.setattr(module, "quiet_ray", refuse)
    monkeypatch.chdir(tmp_path)


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that ends with status 2."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    said = capsys.readouterr().err
    assert end.value.code == 2, said
    (line,) = said.splitlines()
    assert line.startswith("rommeo")
    assert "unexpected" not in line
    return line


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("gamma=None", "`gamma` is None; allowed"),
        ("gamma=[]", "`gamma` is []"),
        ("gamma={}", "`gamma` is {}"),
        ("gamma=True", "--set gamma=True: allowed: a number"),
        ("gamma=1e999", "--set gamma=1e999: allowed: a number"),
        (f"gamma={HUGE}", "allowed: a number"),
        ("explore=1", "allowed: True or False"),
        ("policies=None", "`policies` is None; allowed"),
        ("model_config=1", "`model_config` is 1; allowed: a dict"),
        ("model_config.fcnet_hiddens.0=1", "which is no dict"),
        ("env_config=3", "`env_config` is 3; allowed: a dict"),
        ("env_config.plays_per_epsode=3", "plays_per_episode"),
        ("env_config.plays_per_episode=x", "plays_per_episode"),
        ("env=climbing_gaem", "Did you mean 'climbing_game'?"),
        ("env=None", "no environment"),
        ("alpha..initial=1", "expected key=value"),
        ("algo_class=1", "there is no key 'algo_class'"),
        ("in_evaluation=True", "there is no key 'in_evaluation'"),
        ("seed=3", "give --seed"),
        ("evaluation_config={'exlpore': True}", "'explore'"),
        ("gamma=" + 300 * "(" + "1" + 300 * ")", "allowed: a number"),
        ('gamma="1is"', "allowed: a number"),
    ],
)
def test_a_setting_that_cannot_be_names_its_key(setting, reason, capsys):
    assert reason in refusal(["train", NAME, "--set", setting], capsys)


def test_what_rllib_itself_stumbles_over_is_told_with_what_was_set(tmp_path, capsys):
    (tmp_path / "ppo.py").write_text(
        "from ray.rllib.algorithms.ppo import PPOConfig\n"
        "config = PPOConfig().environment('CartPole-v1')\nstop = {'training_iteration': 1}\n"
    )
    said = refusal(["train", "ppo.py", "--set", "policies=None"], capsys)
    assert "--set policies=None: this cannot be used (TypeError: " in said
    assert "allowed:" in said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("stop = 3\n", "`stop` is 3; allowed: a dict"),
        ("stop = {}\n", "`stop` is empty"),
        ("stop = {3: 4}\n", "`stop` has the key 3"),
        ("stop = {'training_iteration': 0}\n", "a number of at least 1"),
        ("stop = {'training_iteration': True}\n", "a number of at least 1"),
        ("stop = {'num_env_steps_sampled_lifetime': '9'}\n", "a number of at least 1"),
        ("stop = {'a/b': float('nan')}\n", "allowed: a finite number"),
        ("stop = {'env_runners': {'episode_return_mean': 1}}\n", "'env_runners/episode_return_me"),
        ("config = type(config)\n", "`config` is the class ROMMEOACConfig"),
        ("config = lambda: 1\n", "`config` is a function; allowed: an AlgorithmConfig"),
        ("import sys; sys.exit(3)\n", "mine.py, line 2: the file ends the program"),
        ("raise BaseException('no\\nluck')\n", "mine.py, line 2: BaseException: no luck"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("class E(Exception):\n  def __str__(self): 1 / 0\nraise E\n", "line 4: E"),
        ("from ray.rllib.algorithms.algorithm_config import AlgorithmConfig as A\nconfig = A()\n",
         "of no algorithm"),
        ("learner = 1\n", "`learner` is 1; allowed: a class of rommeo_rllib.tabular"),
    ],
)  # fmt: skip
def test_a_configuration_file_that_cannot_be_used_is_told_with_where(
    text, reason, tmp_path, capsys
):
    (tmp_path / "mine.py").write_text(FILE + text)
    command = ["sweep", "mine.py", "--alpha", "1"] if "learner" in text else ["train", "mine.py"]
    assert reason in refusal(command, capsys)


@pytest.mark.parametrize("content", [b"", b"\0\xff\x01", b"\xff = 1"])
def test_a_file_that_is_no_program_is_refused(content, tmp_path, capsys):
    (tmp_path / "mine.py").write_bytes(content)
    assert "mine.py" in refusal(["train", "mine.py"], capsys)
    (tmp_path / "folder.py").mkdir()
    assert "folder.py is a folder" in refusal(["train", "folder.py"], capsys)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--search", "tau=uniform(0.1,1e999)"], "takes two finite numbers"),
        (["--search", "tau=uniform(0.1,0.2,x=3)"], "takes no names of arguments"),
        (["--search", "tau=uniform(True,2)"], "takes two finite numbers"),
        (["--search", f"tau=uniform(0.1,{HUGE})"], "takes two finite numbers"),
        (["--search", f"replay_capacity=randint(1,{10**30})"], "bounds of at most"),
        (["--search", "tau=choice(0.1,1e999)"], "inf is no value"),
        (["--search", "tau=choice(x)"], "takes literals"),
        (["--search", "tau=choice(0.1,0.1)"], "twice"),
        (["--search", "tau=uniform(0.1,0.2)", "--search", "tau=uniform(0.1,0.3)"], "given twice"),
        (["--search", "tau=uniform(0.1,0.2)", "--grid", "tau=0.3"], "a --grid and a --search"),
        (["--search", "seed=randint(1,9)"], "give --seed"),
        (["--search", "gamma=choice(None,{})"], "`gamma` is "),
        (["--grid", "tau=0.1,0.1"], "twice"),
        (["--grid", "tau=0.1,1e999"], "inf is no value"),
        (["--grid", "tau=0.1", "--grid", "tau=0.2"], "given twice"),
        (["--grid", "tau=0.1", "--set", "tau=0.2"], "no effect, since tau is swept"),
        (["--grid", "replicas=1,2"], "give --replicas"),
        (["--grid", "gamma=True"], "`gamma` is True"),
        (["--alpha", "1", "1"], "--alpha names 1.0 twice"),
        (["--alpha", "1", "--grid", "alpha=2"], "by --alpha alone"),
        (["--alpha", "nan"], "allowed: a finite number"),
        (["--alpha", "1", "--initial", "2"], "--initial needs --decay-steps"),
        (["--alpha", "1", "--decay-steps", "2"], "--decay-steps needs --initial"),
        (["--alpha", "1", "--kind", "exponential"], "--final and --kind are of schedules"),
        (["--alpha", "1", "--points", "3"], "no effect without --search"),
        (["--alpha", "1", "--perturb-every", "3"], "for --method pbt alone"),
        (["--alpha", "1", "--success-above", "nan"], "--success-above nan: allowed: a finite"),
        (["--alpha", "1", "--num-samples", "1000000000000"], "at most 100000"),
        (["--alpha", "1", "2", "--num-samples", "99999"], "at most 100000"),
        (["--alpha", "1", "--trust"], "no effect without --resume"),
        (["--alpha", "1", "--checkpoint-frequency", "-1"], "--checkpoint-frequency -1"),
        (["--alpha", "1", "--set", "num_env_runners=1", "--replicas", "2"], "--replicas 2"),
    ],
)  # fmt: skip
def test_what_a_sweep_cannot_try_is_refused(options, reason, capsys):
    assert reason in refusal(["sweep", NAME, *options], capsys)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "trials=3"], "give --num-samples"),
        (["--set", "episodes=3"], "give --stop-steps"),
        (["--set", "seed=3"], "give --seed"),
        (["--set", "larning_rate=3"], "learning_rate"),
        (["--set", "learning_rate=None"], "`learning_rate` is None"),
        (["--set", "game_settings=3"], "this cannot be played"),
        (["--set", "plays_per_episode=x", "--stop-steps", "9"], "`plays_per_episode` is 'x'"),
        (["--set", "game=climbing_gaem"], "climbing_game"),
        (["--success-above", "3"], "no effect on tabular learners"),
        (["--replicas", "3"], "no effect on tabular learners"),
        (["--judge-by", "greedy"], "no effect on tabular learners"),
    ],
)
def test_what_a_sweep_of_a_tabular_learner_cannot_try_is_refused(options, reason, capsys):
    assert reason in refusal(["sweep", TABULAR, "--alpha", "1", *options], capsys)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["report"], "Which results? Give one or more folders"),
        (["report", "."], "holds no results"),
        (["report", 300 * "a"], "There is no folder"),
        (["report", ".", "--success-above", "nan"], "allowed: a finite number"),
        (["report", ".", "--title", ""], "--title is empty"),
        (["report", ".", "--title="], "--title is empty"),
        (["report", ".", "--title", "\udcff"], "--title is \\udcff; allowed: text in UTF-8"),
        (["report", ".", "--title", "a\0b"], "--title is a\\x00b; allowed: text in UTF-8"),
        (["evaluate", "."], "is no checkpoint"),
        (["evaluate", 300 * "a"], "at most 255 bytes"),
        (["evaluate", "~nobody_of_that_name/x"], "~nobody_of_that_name"),
        (["evaluate", ".", "--episodes", "0"], "--episodes 0"),
        (["evaluate", ".", "--seed", "-1"], "--seed -1"),
        (["evaluate", ".", "--gif", "x.png"], "ends with .gif"),
        (["evaluate", ".", "--set", "q_lr=1"], "q_lr has no effect on a game"),
        (["evaluate", ".", "--opponent", "a=b", "--opponent", "a=c"], "a has one already"),
        (["evaluate", ".", "--load", "nowhere"], "There is no file nowhere"),
        (["cross-play", ".", ".", "--picture", "x.jpg"], "ends with .png"),
        (["export", ".", "p", "--bundle", "b"], "--bundle writes all policies"),
        (["export", ".", "p", "--weights", "x", "--onnx", "./x"], "writes to this file, too"),
        (["export", ".", "p", "--weights", "."], "this is a folder"),
        (["reproduce", "figure-1", "--trials", HUGE], "allowed: at most"),
        (["reproduce", "figure-1", "--trials", "100000", "--episodes", "100000"], "kept in mem"),
        (["reproduce", "figure-2", "--algorithms", "PR2-AC", "PR2-AC"], "twice"),
        (["reproduce", "figure-2", "--seeds", "100001"], "at most 100000"),
        (["reproduce", "alpha-map", "--settings", "tuned", "tuned"], "twice"),
        (["reproduce", "alpha-map", "--surfaces", "nope"], "unknown --surfaces"),
        (["train", NAME, "--storage", "nope://x"], "--storage nope://x"),
        (["train", NAME, "--storage", "s3://"], "it names no folder"),
        (["train", NAME, "--name", ""], "--name is empty"),
        (["train", NAME, "--name", 300 * "ü"], "at most 255 bytes"),
        (["train", NAME, "--stop-steps", HUGE], "allowed: at most"),
        (["train", NAME, "--json", "/dev/null"], "this is a device"),
    ],
)
def test_an_option_that_cannot_be_is_named(arguments, reason, capsys):
    assert reason in refusal(arguments, capsys)


OUTPUTS = [
    ["train", NAME, "--storage"],
    ["train", NAME, "--json"],
    ["sweep", NAME, "--alpha", "1", "--storage"],
    ["sweep", NAME, "--alpha", "1", "--json"],
    ["report", ".", "--out"],
    ["report", ".", "--marl-eval"],
    ["evaluate", ".", "--json"],
    ["cross-play", ".", ".", "--json"],
    ["export", ".", "p", "--program"],
    ["export", ".", "--bundle"],
    ["reproduce", "figure-1", "--out"],
    ["reproduce", "figure-2", "--out"],
    ["reproduce", "alpha-map", "--out"],
]


@pytest.mark.parametrize("command", OUTPUTS, ids=lambda words: " ".join([words[0], words[-1]]))
@pytest.mark.parametrize("place", ["/proc/x", "file.txt/x", 300 * "a", "a/" * 3000 + "x", "~nob/x"])
def test_a_place_that_cannot_be_written_to_is_refused_before_work_is_done(
    command, place, tmp_path, capsys
):
    (tmp_path / "file.txt").write_text("kept")
    assert command[-1] in refusal([*command, place], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "kept"


def test_trying_whether_a_file_can_be_written_changes_nothing(tmp_path):
    file = tmp_path / "there.json"
    file.write_text("kept")
    require_writable("--json", file)
    require_writable("--json", tmp_path / "deep" / "er.json")
    assert file.read_text() == "kept"
    assert os.listdir(tmp_path) == ["there.json"]


def result(**more: Any) -> dict[str, Any]:
    return {
        "num_env_steps_sampled_lifetime": 25,
        "env_runners": {"episode_return_mean": 1.0, "agents": [1.0]},
        "config": {"gamma": 1},
        **more,
    }


def test_a_trial_stops_where_one_of_its_results_has_reached_a_value():
    stop = {"env_runners/episode_return_mean": 2.0, "num_env_steps_sampled_lifetime": 50}
    stopper = StopAtPaths(stop, None, PlainConsole())
    assert not stopper("a", result())
    assert stopper("a", result(num_env_steps_sampled_lifetime=50))
    assert stopper("a", result(env_runners={"episode_return_mean": 2.5}))
    assert stopper.problem is None
    assert not stopper.stop_all()


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("nope", "--metric nope: this is in no result"),
        ("env_runners/episode_return_meen", "Did you mean 'env_runners/episode_return_mean'?"),
        ("env_runners/agents", "this is no number but list"),
    ],
)
def test_a_metric_that_no_result_has_ends_the_experiment_with_the_nearest_name(metric, reason):
    stopper = StopAtPaths({}, metric, PlainConsole())
    stopper("a", result())
    assert reason in str(stopper.problem)
    assert stopper.stop_all()


def test_a_metric_may_come_when_its_part_of_the_results_does():
    early = {"num_env_steps_sampled_lifetime": 1, "env_runners": {"sample": 1.0}}
    for metric in ("env_runners/episode_return_max", "evaluation/x", "learners/p/loss"):
        stopper = StopAtPaths({}, metric, PlainConsole())
        stopper("a", early)
        assert stopper.problem is None, metric
        stopper("a", {**early, "done": True})
        assert metric in str(stopper.problem)


def test_where_a_misspelt_path_is_all_that_would_stop_trials_the_experiment_ends():
    stopper = StopAtPaths({"num_env_steps": 50}, None, PlainConsole())
    stopper("a", result())
    assert "Did you mean 'num_env_steps_sampled_lifetime'?" in str(stopper.problem)


def test_a_misspelt_path_beside_a_right_one_is_told_once(capsys):
    stop = {"num_env_steps": 50, "num_env_steps_sampled_lifetime": 50}
    stopper = StopAtPaths(stop, None, PlainConsole())
    assert not any(stopper("a", result()) for _ in range(3))
    assert stopper.problem is None
    assert capsys.readouterr().out.count("'num_env_steps'") == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://[::1]:1", "127.0.0.1:99999", "ü..:1"])
def test_an_address_at_which_nobody_answers_is_told_before_ray_waits_for_it(address, monkeypatch):
    import ray

    from rommeo_rllib.experiments.ray_session import quiet_ray

    def wait(**_: Any) -> None:
        raise AssertionError("Ray was asked to start.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", wait)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(CommandError, match="Nobody answers at RAY_ADDRESS="), quiet_ray():
        pass


def test_a_ray_that_does_not_start_is_told_with_its_address(monkeypatch):
    import ray

    from rommeo_rllib.experiments.ray_session import quiet_ray

    def fail(**_: Any) -> None:
        raise ConnectionError("nobody\nthere")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_ADDRESS", "nope")
    told = r"at RAY_ADDRESS=nope: ConnectionError: nobody there\. Allowed"
    with pytest.raises(CommandError, match=told), quiet_ray():
        pass


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["report", "."], ["--out", "x", "--marl-eval", "./x"]),
        (["report", "."], ["--out", "x", "--marl-eval", "link"]),
        (["evaluate", "."], ["--gif", "x.gif", "--json", "x.gif"]),
        (["cross-play", "a", "b"], ["--picture", "x.png", "--json", "x.svg"]),
        (["export", ".", "p"], ["--program", "x", "--weights", "folder/../x"]),
    ],
)
def test_a_file_for_two_things_is_refused(words, files, tmp_path, capsys):
    (tmp_path / "link").symlink_to("x")
    (tmp_path / "folder").mkdir()
    assert "writes to this file, too; give another one." in refusal([*words, *files], capsys)
