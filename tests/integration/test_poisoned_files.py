"""Files from other people: nothing in them is run unless somebody vouches for them."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from environments import PaidPerStepEnv
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.tune.registry import register_env
from small import assert_equal_tensors, game_config, paid_per_step_config, policy_of

from rommeo_rllib import ROMMEOPolicy
from rommeo_rllib.cli import main
from rommeo_rllib.deployment.bundles import Bundle
from rommeo_rllib.deployment.checkpoints import NotTrusted, Trained, load_policy
from rommeo_rllib.deployment.player import Player
from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.joint_action.checkpoints.bundle_writing import (
    BUNDLE,
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
)
from rommeo_rllib.joint_action.checkpoints.manifest import write_manifest

pytestmark = pytest.mark.usefixtures("ray_session")

OBSERVATIONS = [np.zeros(1, np.float32)]


class Poison:
    """A pickled object that makes a file where it is read."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def saved(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(folder))
    finally:
        algorithm.stop()
    return folder


@pytest.fixture
def poisoned(saved: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint whose pickled objects all are poison, with a list that fits; and the marker."""
    checkpoint, marker = tmp_path / "checkpoint", tmp_path / "executed"
    shutil.copytree(saved, checkpoint)
    poison = pickle.dumps(Poison(marker))
    files = list(checkpoint.rglob("*.pkl"))
    assert len(files) > 10
    for file in files:
        file.write_bytes(poison)
    write_manifest(checkpoint)
    return checkpoint, marker


def loaders(checkpoint: Path) -> list[list[str]]:
    folder = str(checkpoint)
    picture = str(checkpoint.parent / "picture.png")
    weights = str(checkpoint.parent / "weights.safetensors")
    return [
        ["evaluate", folder, "--episodes", "1"],
        ["evaluate", folder, "--episodes", "1", "--opponent", f"player_1={folder}"],
        ["cross-play", folder, folder, "--episodes", "1", "--picture", picture],
        ["export", folder, "player_0", "--weights", weights],
        ["export", folder, "--bundle", str(checkpoint.parent / "exported")],
    ]


def test_with_a_bundle_each_command_works_and_runs_nothing_from_the_checkpoint(poisoned):
    checkpoint, marker = poisoned
    for arguments in loaders(checkpoint):
        main(arguments)
        assert not marker.exists(), arguments
    Player.from_bundle(checkpoint, "player_0").act(OBSERVATIONS)
    Player.from_checkpoint(checkpoint, "player_0").act(OBSERVATIONS)
    assert not marker.exists()
    main(["evaluate", str(checkpoint.parent / "exported"), "--episodes", "1"])


@pytest.mark.parametrize("number", range(4))
def test_without_a_bundle_a_command_names_what_it_would_run_and_runs_it_only_if_trusted(
    poisoned, number, capsys
):
    checkpoint, marker = poisoned
    shutil.rmtree(checkpoint / BUNDLE)
    write_manifest(checkpoint)
    arguments = loaders(checkpoint)[number]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert ".pkl" in said
    assert "--trust" in said
    assert not marker.exists()
    with pytest.raises(SystemExit):
        main([*arguments, "--trust"])
    assert marker.exists(), "the poison must work, else nothing was shown"


def test_without_a_bundle_none_is_exported_and_no_player_is_made_of_one(poisoned):
    checkpoint, marker = poisoned
    shutil.rmtree(checkpoint / BUNDLE)
    write_manifest(checkpoint)
    with pytest.raises(SystemExit):
        main(loaders(checkpoint)[4])
    with pytest.raises(ValueError, match="is no bundle"):
        Player.from_bundle(checkpoint, "player_0")
    assert not marker.exists()


@pytest.mark.parametrize("load", [Player.from_checkpoint, load_policy])
def test_without_a_bundle_python_too_has_to_say_that_a_checkpoint_is_trusted(poisoned, load):
    checkpoint, marker = poisoned
    shutil.rmtree(checkpoint / BUNDLE)
    write_manifest(checkpoint)
    with pytest.raises(NotTrusted, match=r"run whatever code stands in .*\.pkl.*trust=True"):
        load(checkpoint, "player_0")
    assert not marker.exists()
    with contextlib.suppress(Exception):
        load(checkpoint, "player_0", trust=True)
    assert marker.exists(), "the poison must work, else nothing was shown"


def test_arrays_of_a_replay_that_are_pickled_objects_are_not_read(saved, tmp_path):
    checkpoint, marker = tmp_path / "checkpoint", tmp_path / "executed"
    shutil.copytree(saved, checkpoint)
    file = checkpoint / "replay_buffer" / "transitions.npz"
    with np.load(file) as stored:
        poison = np.array([Poison(marker)], object)
        arrays = dict.fromkeys(stored.files, poison)
    np.savez(file, **arrays)
    write_manifest(checkpoint)
    algorithm = game_config().build_algo()
    try:
        with pytest.raises(ValueError, match=r"transitions\.npz: Object arrays cannot be loaded"):
            algorithm.restore_from_path(str(checkpoint))
    finally:
        algorithm.stop()
    run = SeedRun(0, str(checkpoint), None, *[np.zeros(1)] * 3, {})
    with pytest.raises(CommandError, match=r"transitions\.npz cannot be read: Object arrays"):
        run.stored_actions()
    assert not marker.exists()
    with pytest.raises(Exception, match=r"\w"), np.load(file, allow_pickle=True) as stored:
        stored[stored.files[0]].reshape(-1)[0].nothing()
    assert marker.exists(), "the poison must work, else nothing was shown"


def test_a_checkpoint_without_a_bundle_plays_as_before_when_it_is_trusted(saved, tmp_path):
    checkpoint = tmp_path / "old"
    shutil.copytree(saved, checkpoint)
    shutil.rmtree(checkpoint / BUNDLE)
    write_manifest(checkpoint)
    files = [tmp_path / name for name in ("trusted.json", "bundle.json")]
    common = ["--episodes", "2", "--explore"]
    main(["evaluate", str(checkpoint), "--trust", *common, "--json", str(files[0])])
    main(["evaluate", str(saved), *common, "--json", str(files[1])])
    assert files[0].read_text() == files[1].read_text()


def test_a_bundles_policy_is_the_trained_one(saved):
    algorithm = Algorithm.from_checkpoint(str(saved))
    try:
        for policy in ("player_0", "player_1"):
            assert_equal_tensors(
                Bundle(saved).policy(policy).state_dict(),
                policy_of(algorithm, policy).state_dict(),
            )
    finally:
        algorithm.stop()


def test_reading_a_bundle_leaves_torchs_random_numbers_alone(saved):
    before = torch.get_rng_state()
    Bundle(saved).policy("player_0")
    assert torch.equal(before, torch.get_rng_state())


class OwnPolicy(ROMMEOPolicy):
    """A class of somebody's own."""


def test_a_policy_of_an_own_class_is_in_no_bundle_and_needs_trust(tmp_path):
    algorithm = game_config().build_algo()
    try:
        spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
        spec.module_class = OwnPolicy
        algorithm.add_module("own", spec)
        algorithm.save_to_path(str(tmp_path))
    finally:
        algorithm.stop()
    assert Bundle(tmp_path).policies == ["player_0", "player_1"]
    with pytest.raises(ValueError, match="it is a OwnPolicy, which is no class of this package"):
        Player.from_bundle(tmp_path, "own")
    with pytest.raises(NotTrusted, match=r"would run whatever code stands in .*rl_module/own/"):
        Trained(tmp_path).policy("own")
    assert type(Trained(tmp_path, trust=True).policy("own")) is OwnPolicy


def change(checkpoint: Path, **changes: Any) -> Path:
    """A bundle of its own with another description."""
    bundle = checkpoint.parent / "changed"
    shutil.copytree(checkpoint / BUNDLE, bundle)
    file = bundle / DESCRIPTION_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return bundle


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, r"bundle\.json is of version 2; allowed: 1\. Use the release"),
        ({"version": "1"}, r"bundle\.json is of version '1'; allowed: 1\. Use the release"),
        ({"format": "x"}, 'lacks `"format"'),
        ({"networks": []}, "the policy player_0 has no network"),
        ({"networks": [{"class": "os.system"}, {}]}, "there is no class 'os.system'"),
        ({"agents": [["player_0"]]}, "`agents` has the entry"),
    ],
)
def test_a_bundle_that_is_newer_or_damaged_is_refused_with_a_sentence(poisoned, changes, said):
    bundle = change(poisoned[0], **changes)
    with pytest.raises(ValueError, match=said):
        Player.from_bundle(bundle, "player_0")


@pytest.mark.parametrize("name", ["os:Env-v0", "somewhere.else.Env", "CartPole-v1"])
def test_an_environment_that_nobody_registered_is_not_imported(poisoned, name, capsys):
    bundle = change(poisoned[0], environment=name)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(bundle), "--episodes", "1"])
    assert ended.value.code == 2
    assert "registered nowhere" in capsys.readouterr().err


def test_damaged_weights_are_refused_with_a_sentence(poisoned):
    bundle = change(poisoned[0])
    weights = bundle / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"is damaged: .*{WEIGHTS_FILE} cannot be read"):
        Player.from_bundle(bundle, "player_0")


def test_codes_that_command_a_terminal_are_not_printed(poisoned, capsys):
    bundle = change(poisoned[0], environment="\x1b]0;owned\x07[red]x")
    with pytest.raises(SystemExit):
        main(["evaluate", str(bundle), "--episodes", "1"])
    said = capsys.readouterr().err
    assert "\x1b]" not in said
    assert "\\x1b]0;owned\\x07[red]x" in said.replace("\n", "")


def test_an_environment_that_is_a_class_comes_by_the_users_own_configuration(tmp_path, capsys):
    built = paid_per_step_config(3, "truncated").build_algo()
    try:
        built.save_to_path(str(tmp_path / "checkpoint"))
    finally:
        built.stop()
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(tmp_path / "checkpoint"), "--episodes", "1"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--config FILE" in said
    assert "--trust" in said
    register_env("paid", lambda settings: PaidPerStepEnv(settings))
    file = tmp_path / "own.py"
    file.write_text(
        "from rommeo_rllib import ROMMEOACConfig\n"
        "config = ROMMEOACConfig().environment('paid', env_config={'length': 3, "
        "'ending': 'truncated'}).multi_agent(policies={'shared'}, "
        "policy_mapping_fn=lambda *args, **kwargs: 'shared')\n"
        "stop = {}\n"
    )
    main(["evaluate", str(tmp_path / "checkpoint"), "--episodes", "1", "--config", str(file)])
    assert "3 [3, 3]" in capsys.readouterr().out
