"""What is lost when parts fail: see the table in docs/faults.md."""

from __future__ import annotations

import os
import re
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faulty import FAULTS, faulty_config
from ray import tune
from representative import cases
from small import game_config

from rommeo_rllib import ROMMEOAC
from rommeo_rllib.errors import reason

pytestmark = pytest.mark.usefixtures("ray_session")

STEPS = "num_env_steps_sampled_lifetime"
LOSSES = ("q_loss", "policy_loss", "opponent_model_loss", "prior_loss")


def losses(result: dict[str, Any]) -> list[float]:
    return [result["learners"][p][loss] for p in ("player_0", "player_1") for loss in LOSSES]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("fast", cases([True, False], [True]), ids=["fast", "stock"])
def test_a_faulty_environment_is_told_from_what_it_did(fault, fast):
    algorithm = faulty_config(fault).training(fast_sampling=fast).build_algo()
    kind, _, said = FAULTS[fault].partition(": ")
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            algorithm.train()
    finally:
        algorithm.stop()
    assert type(caught.value).__name__ == kind
    assert re.match(said, str(caught.value))


@pytest.mark.slow
def test_in_a_sweep_the_faulty_trial_fails_with_its_reason_and_the_other_goes_on(tmp_path):
    config = faulty_config(tune.grid_search([None, "nan_observation"]))
    results = tune.Tuner(
        tune.with_resources(ROMMEOAC, {"CPU": 2}),
        param_space=config,
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(stop={STEPS: 80}, storage_path=str(tmp_path), verbose=0),
    ).fit()
    good, bad = results
    assert "received the observation" in reason(bad.error)
    assert good.error is None
    alone = faulty_config().build_algo()
    for _ in range(2):
        expected = alone.train()
    alone.stop()
    assert good.metrics[STEPS] == 80
    assert losses(good.metrics) == losses(expected)


@pytest.mark.slow
def test_a_killed_env_runner_is_replaced_and_no_step_counts_twice():
    config = game_config().env_runners(num_env_runners=1)
    algorithm = config.build_algo()
    try:
        algorithm.train()
        (pid,) = pids_of(algorithm)
        os.kill(pid, signal.SIGKILL)
        give_up = time.monotonic() + 100
        while time.monotonic() < give_up:
            result = algorithm.train()
            assert len(algorithm.replay_buffer) == result[STEPS]
            assert np.isfinite(result["env_runners"]["episode_return_mean"])
            if result[STEPS] >= 80:
                break
            time.sleep(0.1)
        assert 80 <= result[STEPS] < 120
        assert pids_of(algorithm) != [pid]
        # An update for each env step but for the warm-up, as if nothing had happened.
        updates = result["learners"]["player_0"]["num_module_steps_trained_lifetime"] / 16
        assert result[STEPS] - 10 <= updates <= result[STEPS]
    finally:
        algorithm.stop()


def pids_of(algorithm: ROMMEOAC) -> list[int]:
    return algorithm.env_runner_group.foreach_env_runner(
        lambda _: os.getpid(), local_env_runner=False
    )


@pytest.mark.slow
def test_a_killed_learner_is_told_and_the_run_goes_on_from_its_checkpoint_as_if_undisturbed(
    tmp_path,
):
    alone = game_config().build_algo()
    for _ in range(2):
        expected = losses(alone.train())
    alone.stop()
    config = game_config().learners(num_learners=1)
    algorithm = config.build_algo()
    try:
        algorithm.train()
        path = algorithm.save_to_path(tmp_path / "checkpoint")
        (pid,) = (x.get() for x in algorithm.learner_group.foreach_learner(lambda _: os.getpid()))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="A learner process was lost"):
            algorithm.train()
        algorithm.reset(config.to_dict())
        algorithm.restore(str(path))
        result = algorithm.train()
        assert result[STEPS] == len(algorithm.replay_buffer) == 80
        np.testing.assert_allclose(losses(result), expected, rtol=1e-4, atol=1e-6)
    finally:
        algorithm.stop()


@pytest.fixture(scope="module")
def checkpoint(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    algorithm = game_config().build_algo()
    algorithm.train()
    path = algorithm.save_to_path(tmp_path_factory.mktemp("saved") / "checkpoint")
    algorithm.stop()
    return Path(path)


def copied(checkpoint: Path, folder: Path) -> Path:
    for file in filter(Path.is_file, checkpoint.rglob("*")):
        target = folder / file.relative_to(checkpoint)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return folder


def files_of(checkpoint: Path) -> list[str]:
    files = filter(Path.is_file, checkpoint.rglob("*"))
    return sorted(file.relative_to(checkpoint).as_posix() for file in files)


def test_whatever_file_a_checkpoint_lacks_or_has_in_part_is_named(checkpoint, tmp_path):
    names = files_of(checkpoint)
    assert len(names) > 8
    algorithm = game_config().build_algo()
    try:
        for number, name in enumerate(names):
            truncated = copied(checkpoint, tmp_path / f"truncated{number}")
            content = (truncated / name).read_bytes()
            (truncated / name).write_bytes(content[: len(content) // 2])
            missing = copied(checkpoint, tmp_path / f"missing{number}")
            (missing / name).unlink()
            for damaged in (truncated, missing):
                with pytest.raises(ValueError, match=name.rpartition("/")[2]) as error:
                    algorithm.restore_from_path(damaged)
                assert str(damaged) in str(error.value)
        # Nothing of them was taken up.
        assert len(algorithm.replay_buffer) == 0
        algorithm.restore_from_path(checkpoint)
        assert len(algorithm.replay_buffer) == 40
    finally:
        algorithm.stop()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A disk that is soon full, as far as this process is concerned."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_costs_the_checkpoint_and_nothing_else(tmp_path):
    algorithm = game_config().build_algo()
    other = game_config().build_algo()
    try:
        algorithm.train()
        good = algorithm.save_to_path(tmp_path / "good")
        with no_file_larger_than(4_000), pytest.raises(OSError, match=r"too large|space"):
            algorithm.save_to_path(tmp_path / "full")
        assert algorithm.train()[STEPS] == 80
        with pytest.raises(ValueError, match="not complete"):
            other.restore_from_path(tmp_path / "full")
        other.restore_from_path(good)
        assert other.train()[STEPS] == 80
    finally:
        algorithm.stop()
        other.stop()


@pytest.mark.slow
def test_an_evaluation_that_nobody_could_make_is_marked_as_old():
    config = game_config().evaluation(
        evaluation_interval=1, evaluation_num_env_runners=1, evaluation_duration=1
    )
    algorithm = config.build_algo()
    try:
        assert algorithm.train()["evaluation"]["age_in_iterations"] == 0
        (pid,) = algorithm.eval_env_runner_group.foreach_env_runner(
            lambda env_runner: os.getpid(), local_env_runner=False
        )
        os.kill(pid, signal.SIGKILL)
        ages = [algorithm.train()["evaluation"]["age_in_iterations"]]
        give_up = time.monotonic() + 100
        while ages[-1] > 0 and time.monotonic() < give_up:
            ages.append(algorithm.train()["evaluation"]["age_in_iterations"])
        assert ages == [*range(1, len(ages)), 0]
        assert len(ages) > 1
    finally:
        algorithm.stop()
