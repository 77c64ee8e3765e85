"""Files of anybody's cannot take up any amount of memory or time, lead out of their folder, or put
anything of their own into a page."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from made_up_results import made_up_experiment, made_up_group, made_up_run
from safetensors.numpy import save_file

from rommeo_rllib.cli import main
from rommeo_rllib.deployment.bundles import Bundle, copy_bundle
from rommeo_rllib.deployment.matches import Stage
from rommeo_rllib.errors import CommandError, UsageError, reason
from rommeo_rllib.experiments.credentials import without_credentials
from rommeo_rllib.experiments.ownership import require_own_files
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.experiments.tune_results import read_trials
from rommeo_rllib.joint_action.checkpoints.bundle_writing import DESCRIPTION_FILE, WEIGHTS_FILE
from rommeo_rllib.joint_action.settings.settings_json import settings_from_json, settings_to_json
from rommeo_rllib.joint_action.spaces.space_json import num_values, space_to_json
from rommeo_rllib.reporting.report_page import report_page
from rommeo_rllib.reporting.report_scores import Judgement

FIXTURES = Path(__file__).parents[1] / "fixtures"
HUGE = 10**9


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / "bundle-v1", tmp_path / "bundle"))


def change(bundle: Path, path: str, value: Any) -> None:
    """Puts something else at a path of keys into the description of the first network."""
    file = bundle / DESCRIPTION_FILE
    content = json.loads(file.read_text())
    *keys, last = path.split(".")
    inner = content["networks"][0]
    for key in keys:
        inner = inner[key]
    inner[last] = value
    file.write_text(json.dumps(content))


BOX = {"type": "Box", "dtype": "float32", "shape": [HUGE], "low": 0, "high": 1}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("observation_space", BOX, f"its observations have {HUGE} numbers"),
        ("observation_space", BOX | {"shape": [HUGE, 0]}, f"its observations have {HUGE} numbers"),
        ("action_space", {"type": "MultiBinary", "n": HUGE}, f"its actions have {HUGE + 1}"),
        ("opponents.action_spaces", [BOX | {"shape": [200]}] * 999, "its actions have 199801"),
        (
            "observation_space",
            {"type": "Tuple", "spaces": [BOX | {"shape": [9000, 1000]}]},
            "its observations have 9000000 numbers; allowed: at most 8388608",
        ),
        ("observation_space", BOX | {"shape": [-1]}, r"a Box of the shape \[-1\]"),
        ("observation_space", {"type": "Tuple", "spaces": None}, "a Tuple of None"),
        ("action_space.n", HUGE, "have the shape"),
        ("model_config.fcnet_hiddens", [HUGE], "have the shape"),
        ("model_config.fcnet_hiddens", [1] * 10_000, "has 10000 entries for 25 weights"),
        ("model_config.fcnet_activation", "__class__", "`fcnet_activation` is '__class__'"),
        ("class", "os.system", "there is no class 'os.system'"),
        ("class", "DeterministicPolicy", "there is no class"),
        ("opponents", None, "not subscriptable"),
    ],
)
def test_a_bundle_takes_up_no_more_than_its_own_size(bundle, path, value, said):
    change(bundle, path, value)
    started = time.process_time()
    with pytest.raises(ValueError, match=f"is damaged: the policy 'player_0' cannot.*{said}"):
        Bundle(bundle).policy("player_0")
    assert time.process_time() - started < 5.0


@pytest.mark.parametrize("text", ["[" * 100_000, "", "\x00", '{"format": 1e999}', "[1]", "\udc80"])
def test_a_description_that_is_none_is_refused(bundle, text):
    (bundle / DESCRIPTION_FILE).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match="is damaged"):
        Bundle(bundle)


def test_a_description_that_is_too_long_is_not_read(bundle):
    with (bundle / DESCRIPTION_FILE).open("r+b") as file:
        file.truncate(1 << 40)  # Of nothing, on most disks.
    with pytest.raises(ValueError, match="has more than 67108864 bytes"):
        Bundle(bundle)


def lie(content: bytes) -> bytes:
    """Weights whose header tells of more than there is."""
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(b'"data_offsets":[0,', b'"data_offsets":[0,9')
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


@pytest.mark.parametrize(
    "damage", [lie, lambda content: (1 << 60).to_bytes(8, "little"), lambda content: b""]
)
def test_weights_that_lie_about_their_size_are_refused(bundle, damage):
    file = bundle / WEIGHTS_FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=f"{WEIGHTS_FILE} cannot be read"):
        Bundle(bundle).policy("player_0")


def test_weights_that_are_no_file_are_not_waited_for(bundle):
    (bundle / WEIGHTS_FILE).unlink()
    os.mkfifo(bundle / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="there is no such file"):
        Bundle(bundle).policy("player_0")


def test_weights_of_other_names_are_refused(bundle):
    save_file({"player_0/x": np.zeros(1, np.float32)}, bundle / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="has other weights than its networks"):
        Bundle(bundle).policy("player_0")


def test_an_agent_without_a_policy_is_told(bundle):
    file = bundle / DESCRIPTION_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"agents": [["x", "player_0"]]}))
    with pytest.raises(ValueError, match="has no policy for the agent 'player_0'"):
        Stage(bundle).play(1)


def test_a_bundle_is_not_copied_onto_itself_or_a_file(bundle, tmp_path):
    with pytest.raises(ValueError, match="is the bundle itself"):
        copy_bundle(bundle, bundle)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; allowed: a folder"):
        copy_bundle(bundle, tmp_path / "file")
    copy_bundle(bundle, tmp_path / "copy")
    assert Bundle(tmp_path / "copy").policies == Bundle(bundle).policies


def test_numbers_of_a_space_are_counted_without_making_it():
    inner = spaces.Dict({"a": spaces.Box(0, 1, (2, 3)), "b": spaces.MultiBinary([4, 5])})
    space = spaces.Tuple([inner, spaces.Discrete(7), spaces.MultiBinary(2)])
    assert num_values(space_to_json(space)) == 6 + 20 + 1 + 2


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, (2.5, None, "x")], "b": {"c": True}},
        (np.float32(0.1), np.arange(6).reshape(2, 3), [np.int64(3)]),
    ],
)
def test_settings_come_back_as_they_were(value):
    found = settings_from_json(json.loads(json.dumps(settings_to_json(value))))
    np.testing.assert_equal(found, value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    "value", [{1: 2}, {"__tuple__": 1}, object(), np.array([object()]), np.array(1), {1}]
)
def test_settings_that_would_come_back_as_something_else_are_refused(value):
    with pytest.raises(TypeError, match="in its settings"):
        settings_to_json(value)


# Results.


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two trials, and a file beside their folder."""
    (tmp_path / "secret").write_text("hunter2: Error: hunter2\n")
    return Path(shutil.copytree(FIXTURES / "trials-v1-about-v1", tmp_path / "results"))


def told(results: Path, capsys: Any) -> str:
    """What the command says, and the page if there is one."""
    page = results.parent / "page.html"
    page.unlink(missing_ok=True)
    with contextlib.suppress(SystemExit):
        main(["report", str(results), "--out", str(page)])
    said = capsys.readouterr()
    return said.out + said.err + (page.read_text() if page.exists() else "")


@pytest.mark.parametrize(
    "name", ["rommeo-trials.json", "rommeo-about.json", "ended/result.json", "ended/params.json"]
)
def test_links_that_lead_out_of_a_folder_of_results_are_not_followed(name, results, capsys):
    (results / "experiment_state-1.json").write_text("{}")  # So that there always are results.
    (results / name).unlink()
    (results / name).symlink_to(results.parent / "secret")
    said = told(results, capsys)
    assert "leads out of its folder" in said.replace("\n", " ")
    assert "hunter2" not in said


def of_tune(results: Path, **trial: Any) -> None:
    """Results without our own files."""
    (results / "rommeo-trials.json").unlink()
    known = {"trial_id": "1", "trainable_name": "ROMMEOAC", "status": "TERMINATED"}
    known |= {"relative_logdir": "ended"} | trial
    runtime = {"error_filename": trial.pop("error_filename", None)}
    state = {"trial_data": [[json.dumps(known), json.dumps(runtime)]]}
    (results / "experiment_state-1.json").write_text(json.dumps(state))


@pytest.mark.parametrize("folder", ["..", ".", "", "x/..", "/", "a\x00b", 3, None])
def test_a_folder_of_tunes_trial_that_leads_out_is_refused(folder, results):
    of_tune(results, relative_logdir=folder)
    with pytest.raises(CommandError, match="is damaged, or of a foreign version of Ray Tune"):
        read_trials(results)


def test_why_a_trial_failed_is_not_read_from_elsewhere(results):
    of_tune(results, status="ERROR")
    (results / "ended" / "error.txt").write_text("Failure # 1\nValueError: it broke\n")
    ((_, result),) = read_trials(results)
    assert str(result.error) == "ValueError: it broke"
    (results / "ended" / "error.txt").unlink()
    (results / "ended" / "error.txt").symlink_to(results.parent / "secret")
    with pytest.raises(CommandError, match="leads out of its folder"):
        read_trials(results)


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("id", "../../x"),
        ("id", 5),
        ("folder", "a\x00b"),
        ("checkpoint", "checkpoint_x"),
        ("asked", HUGE),
        ("replicas", 10**12),
        ("setting", [1]),
        ("status", "gone"),
        ("error", 3),
    ],
)
def test_a_file_of_trials_that_makes_no_sense_is_refused(changed, value, results, capsys):
    file = results / "rommeo-trials.json"
    content = json.loads(file.read_text())
    content["trials"][0][changed] = value
    file.write_text(json.dumps(content))
    assert "rommeo-trials.json is damaged" in told(results, capsys).replace("\n", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000 + "\n{}\n", "result.json, line 1, is damaged"),
        ('{"num_env_steps_sampled_lifetime": "x"}\n{}\n', "these results cannot be understood"),
    ],
)
def test_results_that_make_no_sense_are_told(text, said, results, capsys):
    (results / "ended" / "result.json").write_text(text)
    found = told(results, capsys).replace("\n", " ")
    assert said in found
    assert "unexpected" not in found


def run_with(arrays: Path) -> SeedRun:
    return SeedRun(0, str(arrays), None, *[np.zeros(1)] * 3, {})


def test_arrays_that_would_unfold_are_not_read(tmp_path):
    folder = tmp_path / "replay_buffer"
    folder.mkdir()
    zeros = np.zeros(1 << 20, np.int8)
    np.savez_compressed(folder / "transitions.npz", **{"0/actions": zeros, "0/acted_by": zeros})
    with pytest.raises(CommandError, match="its arrays are compressed"):
        run_with(tmp_path).stored_actions()
    np.savez(folder / "transitions.npz", **{"0/actions": zeros, "0/acted_by": zeros})
    stored = run_with(tmp_path).stored_actions()
    assert stored is not None
    assert len(stored) == 1 << 20


EVIL = "<script>alert('&')</script>\x1b[2J\ud800\u202e"


def test_what_stands_in_files_stays_text_in_the_page():
    group = made_up_group([made_up_run(0)], algorithm=EVIL, game=EVIL, **{EVIL: {EVIL: EVIL}})
    experiment = made_up_experiment(group, made_up_group([made_up_run(1)]), missing=[EVIL])
    experiment.folder = Path(EVIL)
    experiment.versions = [{EVIL: EVIL}, {EVIL: "2"}]
    assert experiment.about is not None
    object.__setattr__(experiment.about, "commands", (EVIL,))
    group.setting = {EVIL: EVIL}
    found = report_page([experiment], Judgement(9.0, greedy=False), EVIL, EVIL)
    found.encode()
    assert "<script>alert" not in found
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;\\x1b[2J\\ud800\\u202e" in found
    assert not set("\x1b\ud800\u202e") & set(found)


@pytest.mark.parametrize(
    "text",
    [
        "s3://x " + "a" * 300_000,
        "://" + "a" * 300_000,
        "://" * 100_000,
        "a://?" + "&=" * 100_000,
        "a+b." * 100_000 + "://",
    ],
)
def test_hiding_credentials_takes_little_time(text):
    started = time.process_time()
    without_credentials(text)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("text", ["Error." * 200_000, "x." * 500_000 + "Error: y"])
def test_finding_the_reason_of_a_failure_takes_little_time(text):
    started = time.process_time()
    assert len(reason(text)) < 2_000
    assert time.process_time() - started < 2.0


def test_another_users_checkpoints_are_found_behind_links_too(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "state.msgpack").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "trial").symlink_to(outside)
    (tmp_path / "mine" / "loop").symlink_to(tmp_path / "mine")
    require_own_files(tmp_path / "mine", trust=False)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with pytest.raises(UsageError, match=r"another user's \(trial/state\.msgpack\)"):
        require_own_files(tmp_path / "mine", trust=False)
