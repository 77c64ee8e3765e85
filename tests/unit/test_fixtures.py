"""What earlier versions of each file format hold is read as it was then: see fixtures/make.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "fixtures"))

from make import EXPECTED, FOLDER, acted, game_policy, played_buffer, told_algorithms  # noqa: E402

from rommeo_rllib.deployment.bundles import Bundle  # noqa: E402
from rommeo_rllib.deployment.export import load_weights  # noqa: E402
from rommeo_rllib.deployment.matches import Stage  # noqa: E402
from rommeo_rllib.deployment.rebuilding import algorithms  # noqa: E402
from rommeo_rllib.experiments import about, trials  # noqa: E402
from rommeo_rllib.experiments.about import read_about  # noqa: E402
from rommeo_rllib.experiments.folders import Folder  # noqa: E402
from rommeo_rllib.experiments.results import read_experiments, scores  # noqa: E402
from rommeo_rllib.experiments.trials import Ledger  # noqa: E402
from rommeo_rllib.joint_action.checkpoints import bundle_writing  # noqa: E402
from rommeo_rllib.joint_action.checkpoints import manifest as checkpoint_manifest  # noqa: E402
from rommeo_rllib.joint_action.checkpoints.manifest import check_manifest  # noqa: E402
from rommeo_rllib.joint_action.replay import files as replay_files  # noqa: E402


def released(name: str) -> list[Path]:
    found = sorted(FOLDER.glob(f"{name}-v*"))
    assert found
    return found


GAMES = [folder for folder in released("bundle") if (folder / "exported.safetensors").exists()]


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("bundle", bundle_writing.VERSION),
        ("replay", replay_files.VERSION),
        ("manifest", checkpoint_manifest.VERSION),
        ("trials", f"{trials.VERSION}-about-v{about.VERSION}"),
    ],
)
def test_each_format_has_a_fixture_of_its_version_of_today(name, version):
    assert (FOLDER / f"{name}-v{version}").is_dir(), "python tests/fixtures/make.py"


@pytest.mark.parametrize("folder", released("bundle"), ids=lambda folder: folder.name)
def test_policies_in_a_bundle_act_as_they_did(folder):
    bundle = Bundle(folder)
    expected = json.loads((folder / EXPECTED).read_text())
    policies = {name: bundle.policy(name) for name in bundle.policies}
    assert policies.keys() == expected.keys()
    for name, policy in policies.items():
        np.testing.assert_allclose(acted(policy), expected[name], atol=1e-5, err_msg=name)


def test_each_algorithm_has_a_policy_in_a_bundle_of_todays_version():
    assert algorithms().keys() <= told_algorithms(), "python tests/fixtures/make.py"


@pytest.mark.parametrize("folder", GAMES, ids=lambda folder: folder.name)
def test_a_bundles_game_is_played_as_it_was(folder):
    actions = json.loads((folder / EXPECTED).read_text())
    match = Stage(folder).play(1)
    assert match.lengths == [3]
    # The climbing game's payoffs; what players see is constant.
    payoffs = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]
    row, column = (int(actions[agent][3][0]) for agent in ("player_0", "player_1"))
    assert match.returns[0]["player_0"] == 3 * payoffs[row][column]


@pytest.mark.parametrize("folder", GAMES, ids=lambda folder: folder.name)
def test_exported_weights_are_taken_up(folder):
    policy = game_policy()
    load_weights(policy, folder / "exported.safetensors")
    expected = json.loads((folder / EXPECTED).read_text())["player_0"]
    np.testing.assert_allclose(acted(policy), expected, atol=1e-5)


@pytest.mark.parametrize("folder", released("replay"), ids=lambda folder: folder.name)
def test_a_replay_is_read_as_it_was(folder):
    restored = played_buffer(empty=True)
    restored.restore_from_path(folder)
    states = [buffer.get_state() for buffer in (restored, played_buffer())]
    np.testing.assert_equal(states[0]["arrays"], states[1]["arrays"])
    assert states[0]["manifest"] == states[1]["manifest"]
    batch = restored.sample(["player_1"], 50)["player_1"]
    assert set(batch["rewards"]) == set(range(6))


@pytest.mark.parametrize("folder", released("trials"), ids=lambda folder: folder.name)
def test_trials_and_what_was_asked_for_are_read_as_they_were(folder):
    ledger, told = Ledger.read(Folder(str(folder))), read_about(folder)
    assert ledger is not None
    assert told is not None
    assert told.commands == ("rommeo sweep climbing_game/rommeo_ac --alpha 1 2",)
    assert (told.success_above, told.judge_by, told.seeds) == (9.0, "sampled", range(2))
    assert [(t.tried, t.status, list(t.seeds)) for t in ledger.trials] == [
        ({"alpha": 1.0}, "ended", [0, 1]),
        ({"alpha": 2.0}, "failed", [0]),
    ]
    (experiment,) = read_experiments([folder])
    (group,) = experiment.groups
    assert scores(group.runs, greedy=False).tolist() == [10.0, 11.0]
    assert any("it broke" in sentence for sentence in experiment.missing)


@pytest.mark.parametrize("folder", released("manifest"), ids=lambda folder: folder.name)
def test_a_checkpoints_list_is_read_as_it_was(folder):
    check_manifest(folder)


def test_a_checkpoints_list_of_another_version_is_refused(tmp_path):
    (tmp_path / "files.json").write_text('{"version": 2, "files": []}')
    with pytest.raises(ValueError, match=r"files\.json is of version 2; allowed: 1"):
        check_manifest(tmp_path)


def test_a_replay_of_another_version_is_refused(tmp_path):
    buffer = played_buffer()
    buffer.save_to_path(tmp_path)
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 7}))
    with pytest.raises(ValueError, match=r"manifest\.json is of version 7; allowed: 1"):
        buffer.restore_from_path(tmp_path)
