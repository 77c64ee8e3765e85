"""A restored run goes on as the uninterrupted one would."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs
import pytest
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from representative import cases
from small import assert_equal_tensors, game_config, policy_of

from rommeo_rllib import ROMMEOAC, ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")

POLICIES = ("player_0", "player_1")
LOSSES = ("q_loss", "policy_loss", "opponent_model_loss", "prior_loss", "alpha_loss")


def config(**training: Any) -> ROMMEOACConfig:
    return game_config(alpha="auto", alpha_lr=0.01, prior_window=20, **training)


@pytest.fixture
def trained(tmp_path):
    """An algorithm after some updates, and its checkpoint."""
    algorithm = config().build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    yield algorithm, path
    algorithm.stop()


def restored_into_a_new_one(path: str) -> ROMMEOAC:
    algorithm = config().build_algo()
    algorithm.restore_from_path(path)
    return algorithm


def next_losses(algorithm: ROMMEOAC, updates: int = 50) -> list[float]:
    """Losses of the next updates on what is in the replay buffer, without new samples."""
    losses = []
    for _ in range(updates):
        algorithm._gradient_step(algorithm._env_steps_sampled())
        (report,) = algorithm.learner_group.foreach_learner(lambda learner: learner.report())
        result = report.get()
        for policy in POLICIES:
            losses += [float(_peeked(result[policy][loss])) for loss in LOSSES]
    return losses


def _peeked(value: Any) -> Any:
    return value.peek() if hasattr(value, "peek") else value


@pytest.mark.parametrize("restore", [restored_into_a_new_one, Algorithm.from_checkpoint])
def test_a_restored_run_goes_on_with_the_same_losses(trained, restore):
    algorithm, path = trained
    expected = next_losses(algorithm)
    restored = restore(path)
    try:
        np.testing.assert_allclose(next_losses(restored), expected, rtol=1e-5, atol=1e-7)
        assert len(set(expected)) > 400, "the losses must say something"
    finally:
        restored.stop()


def test_everything_that_is_learned_or_counted_is_restored(trained):
    algorithm, path = trained
    restored = restored_into_a_new_one(path)
    try:
        for policy in POLICIES:
            own, other = policy_of(algorithm, policy), policy_of(restored, policy)
            assert_equal_tensors(own.state_dict(), other.state_dict())
            assert own.log_alpha.item() != 0.0
            target = torch.nn.utils.parameters_to_vector(
                other.critic.target_networks[0].parameters()
            )
            q = torch.nn.utils.parameters_to_vector(other.critic.networks[0].parameters())
            assert not torch.equal(target, q)
            for agent in (algorithm, restored):
                module = agent.get_module(policy)
                assert_equal_tensors(
                    dict(module.policy_network.state_dict()), dict(own.policy_network.state_dict())
                )
        assert_equal_arrays(replay(algorithm), replay(restored))
        assert len(restored.replay_buffer) == len(algorithm.replay_buffer) == 40
        assert restored._env_steps_sampled() == algorithm._env_steps_sampled() == 40
        assert restored.iteration == algorithm.iteration == 1
        assert moments(algorithm) == moments(restored)
        assert any(moments(algorithm))
    finally:
        restored.stop()


def replay(algorithm: ROMMEOAC) -> dict[str, np.ndarray]:
    return algorithm.replay_buffer.get_state()["arrays"]


def assert_equal_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def moments(algorithm: ROMMEOAC) -> list[float]:
    """Sums of all of the optimizers' moments."""
    state = algorithm.learner_group._learner.get_state(components="optimizer")["optimizer"]
    found: list[float] = []
    collect(state, found)
    return found


def collect(node: Any, found: list[float]) -> None:
    if isinstance(node, dict):
        for key in sorted(node, key=str):
            collect(node[key], found)
    elif isinstance(node, list | tuple):
        for part in node:
            collect(part, found)
    elif isinstance(node, np.ndarray | torch.Tensor):
        found.append(float(node.sum()))


def test_a_state_holds_the_replay_too(trained):
    algorithm, _ = trained
    other = config().build_algo()
    try:
        other.set_state(algorithm.get_state())
        assert_equal_arrays(replay(algorithm), replay(other))
        expected = algorithm.replay_buffer.sample(POLICIES, 8)
        found = other.replay_buffer.sample(POLICIES, 8)
        for policy in POLICIES:
            assert_equal_arrays(expected[policy], found[policy])
    finally:
        other.stop()


def test_a_restored_run_trains_on(trained):
    _, path = trained
    restored = restored_into_a_new_one(path)
    try:
        result = restored.train()
        assert result["num_env_steps_sampled_lifetime"] == 80
        assert result["training_iteration"] == 2
        assert all(math.isfinite(result["learners"][p]["q_loss"]) for p in POLICIES)
        # No second warm-up: an update a step.
        assert result["learners"]["player_0"]["num_module_steps_trained"] == 40 * 16
    finally:
        restored.stop()


def test_a_fraction_of_an_update_that_was_due_is_not_forgotten(tmp_path):
    # 31 env steps before the checkpoint leave 0.84 of an update, 40 after it bring 25.6 more.
    algorithm = config(updates_per_env_step=0.64).build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.stop()
    restored = Algorithm.from_checkpoint(path)
    try:
        result = restored.train()
        assert result["learners"]["player_0"]["num_module_steps_trained"] == 26 * 16
    finally:
        restored.stop()


def test_without_its_replay_a_restored_run_warms_up_again(tmp_path):
    algorithm = config(store_buffer_in_checkpoints=False).build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    algorithm.stop()
    assert not (Path(path) / "replay_buffer").exists()
    restored = config(store_buffer_in_checkpoints=False).build_algo()
    try:
        restored.restore_from_path(path)
        assert len(restored.replay_buffer) == 0
        result = restored.train()
        # Updates from the 10th of the 40 env steps on.
        assert result["learners"]["player_0"]["num_module_steps_trained"] == 31 * 16
    finally:
        restored.stop()


@pytest.mark.parametrize("name", ["transitions.npz", "manifest.json"])
def test_a_damaged_replay_is_named(trained, name):
    _, path = trained
    (file,) = Path(path).rglob(name)
    file.write_bytes(file.read_bytes()[:40])
    algorithm = config().build_algo()
    try:
        with pytest.raises(ValueError, match=f"replay_buffer/{name}"):
            algorithm.restore_from_path(path)
    finally:
        algorithm.stop()


@pytest.mark.parametrize("missing", ["learner_group", "replay_buffer", "env_runner"])
def test_an_algorithm_is_not_made_from_a_checkpoint_that_lacks_a_part(missing, tmp_path):
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(tmp_path))
    finally:
        algorithm.stop()
    shutil.rmtree(tmp_path / missing)
    for path in (str(tmp_path), tmp_path.as_uri()):
        with pytest.raises(ValueError, match=f"is damaged: {missing}/.* is missing"):
            Algorithm.from_checkpoint(path)


def test_a_mixture_of_two_checkpoints_is_refused(tmp_path):
    algorithm = game_config().build_algo()
    try:
        for name in ("one", "other"):
            algorithm.train()
            algorithm.save_to_path(str(tmp_path / name))
        shutil.rmtree(tmp_path / "other" / "learner_group")
        shutil.copytree(tmp_path / "one" / "learner_group", tmp_path / "other" / "learner_group")
        with pytest.raises(ValueError, match="is damaged: learner_group/"):
            algorithm.restore_from_path(str(tmp_path / "other"))
    finally:
        algorithm.stop()


def test_a_save_that_is_broken_off_leaves_no_checkpoint_that_seems_whole(tmp_path, monkeypatch):
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(tmp_path))

        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(type(algorithm.replay_buffer), "save_to_path", fail)
        with pytest.raises(OSError, match="the disk is full"):
            algorithm.save_to_path(str(tmp_path))
        with pytest.raises(ValueError, match="is not complete"):
            algorithm.restore_from_path(str(tmp_path))
    finally:
        algorithm.stop()


def as_uri(path: Path) -> dict[str, Any]:
    return {"path": path.as_uri()}


def by_pyarrow(path: Path) -> dict[str, Any]:
    return {"path": str(path), "filesystem": pyarrow.fs.LocalFileSystem()}


def by_a_part_of_a_filesystem(path: Path) -> dict[str, Any]:
    within = pyarrow.fs.SubTreeFileSystem(str(path.parent), pyarrow.fs.LocalFileSystem())
    return {"path": path.name, "filesystem": within}


FLIPPED = r"player_0/module_state\.pkl is not the file that was saved"


def flip_a_bit(checkpoint: Path) -> None:
    (file,) = (checkpoint / "learner_group").rglob("player_0/module_state.pkl")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "where", cases([as_uri, by_pyarrow, by_a_part_of_a_filesystem], [by_pyarrow])
)
def test_each_way_of_loading_restores_weights_and_refuses_a_flipped_bit(where, trained, tmp_path):
    algorithm, _ = trained
    folder = tmp_path / "saved"
    algorithm.save_to_path(**where(folder))
    other = config().env_runners(num_env_runners=1).build_algo()
    try:
        other.restore_from_path(**where(folder))
        for policy in POLICIES:
            assert_equal_tensors(
                policy_of(algorithm, policy).state_dict(), policy_of(other, policy).state_dict()
            )
            (acting,) = other.env_runner_group.foreach_env_runner(
                lambda runner, policy=policy: runner.module[policy].policy_network.state_dict(),
                local_env_runner=False,
            )
            assert_equal_tensors(
                dict(acting), dict(policy_of(algorithm, policy).policy_network.state_dict())
            )
        flip_a_bit(folder)
        with pytest.raises(ValueError, match=FLIPPED):
            other.restore_from_path(**where(folder))
        with pytest.raises(ValueError, match=FLIPPED):
            Algorithm.from_checkpoint(**where(folder))
        component = "learner_group/learner/rl_module/player_0"
        inside = where(folder)
        inside["path"] += f"/{component}"
        with pytest.raises(ValueError, match=FLIPPED):
            other.restore_from_path(**inside, component=component)
    finally:
        other.stop()


@pytest.mark.slow
def test_remote_env_runners_act_with_the_weights_of_an_earlier_checkpoint(tmp_path):
    algorithm = game_config().env_runners(num_env_runners=1).build_algo()
    try:
        algorithm.train()
        path = algorithm.save_to_path(str(tmp_path))
        state = algorithm.get_state()
        expected = acting_weights(algorithm)
        for restore in (
            lambda: algorithm.restore_from_path(path),
            lambda: algorithm.set_state(state),
        ):
            algorithm.train()
            assert not np.array_equal(acting_weights(algorithm), expected)
            restore()
            np.testing.assert_array_equal(acting_weights(algorithm), expected)
    finally:
        algorithm.stop()


def acting_weights(algorithm: ROMMEOAC) -> np.ndarray:
    """Of player_0 at the remote env runner."""
    (found,) = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: (
            torch.nn.utils.parameters_to_vector(
                runner.module["player_0"].policy_network.parameters()
            )
            .detach()
            .numpy()
        ),
        local_env_runner=False,
    )
    return found


def in_mid_episode(game: str, env_runners: int) -> ROMMEOACConfig:
    """Episodes of 7 steps, of which there are not whole ones in an iteration of 40."""
    return (
        game_config(game)
        .environment(game, env_config={"plays_per_episode": 7, "memory": True})
        .env_runners(num_env_runners=env_runners, num_envs_per_env_runner=2)
    )


@pytest.mark.parametrize(
    ("env_runners", "restore"),
    [
        *[(0, "made from it"), (0, "set")],
        *[pytest.param(2, restore, marks=pytest.mark.slow) for restore in ("restored", "set")],
    ],
)
def test_a_run_that_was_saved_in_mid_episode_goes_on_bit_by_bit(env_runners, restore, tmp_path):
    # Its payoffs are drawn at random.
    settings = in_mid_episode("stochastic_climbing_game", env_runners)
    algorithm = settings.build_algo()
    try:
        algorithm.train()
        path = algorithm.save_to_path(str(tmp_path))
        if restore == "made from it":
            restored = Algorithm.from_checkpoint(path)
        else:
            restored = settings.copy(copy_frozen=False).build_algo()
            if restore == "restored":
                restored.restore_from_path(path)
            else:
                restored.train()
                restored.set_state(algorithm.get_state())
        try:
            ours, theirs = algorithm.train(), restored.train()
            assert_equal_arrays(replay(algorithm), replay(restored))
            for policy in POLICIES:
                assert_equal_tensors(
                    policy_of(algorithm, policy).state_dict(),
                    policy_of(restored, policy).state_dict(),
                )
            for name in ("episode_return_mean", "episode_len_mean"):
                assert ours["env_runners"][name] == theirs["env_runners"][name]
        finally:
            restored.stop()
    finally:
        algorithm.stop()
