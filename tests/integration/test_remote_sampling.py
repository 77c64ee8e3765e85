"""Sampling by remote env runners, in step with the learner and while it learns."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from typing import Any

import pytest
from small import game_config

from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.sampling import remote as remote_sampling
from rommeo_rllib.joint_action.sampling.remote import RemoteSampler

pytestmark = pytest.mark.usefixtures("ray_session")

FRAGMENT = 5
RUNNERS = 2
MAX_LAG = 20


@pytest.mark.slow
def test_env_runners_sample_while_the_learner_learns_and_lag_no_further_than_allowed(monkeypatch):
    learning: list[tuple[float, float]] = []
    update = JointActionLearner.update

    def slow_update(self: JointActionLearner, *args: Any, **kwargs: Any) -> None:
        begin = time.monotonic()
        time.sleep(0.004)
        update(self, *args, **kwargs)
        learning.append((begin, time.monotonic()))

    monkeypatch.setattr(JointActionLearner, "update", slow_update)
    config = game_config(max_sampling_lag=MAX_LAG).env_runners(
        num_env_runners=RUNNERS, rollout_fragment_length=FRAGMENT
    )
    algorithm = config.build_algo()
    try:
        results = [algorithm.train() for _ in range(3)]
    finally:
        algorithm.stop()
    last = results[-1]
    lags = [result["sampling_lag"] for result in results]
    assert 0 < max(lags) <= MAX_LAG + RUNNERS * FRAGMENT
    sampled = last["num_env_steps_sampled_lifetime"]
    assert len(algorithm.replay_buffer) == sampled >= 120
    # The pace of learning is that of synchronous sampling: an update for each env step.
    updates = last["learners"]["player_0"]["num_module_steps_trained_lifetime"] / 16
    assert sampled - 2 * RUNNERS * FRAGMENT <= updates <= sampled
    assert len(learning) == updates
    assert math.isfinite(last["env_runners"]["episode_return_mean"])


class FakeEnvRunners:
    """An `EnvRunnerGroup` whose env runners answer when a test says so."""

    def __init__(self, count: int):
        self.healthy = list(range(1, count + 1))
        self.under_way: list[int] = []
        self.ready: list[int] = []

    def healthy_worker_ids(self) -> list[int]:
        return self.healthy

    def num_healthy_remote_workers(self) -> int:
        return len(self.healthy)

    def foreach_env_runner_async(self, func: Any, *, tag: str, remote_worker_ids: list[int]) -> int:
        self.under_way += remote_worker_ids
        return 1

    def fetch_ready_async_reqs(self, *, tags: str) -> list[tuple[int, Any]]:
        ready, self.ready = self.ready, []
        for env_runner in ready:
            self.under_way.remove(env_runner)
        return [(env_runner, (["steps"], "metrics")) for env_runner in ready]


def test_nobody_is_asked_for_more_while_one_lags_too_far_behind(monkeypatch):
    monkeypatch.setattr(remote_sampling, "PATIENCE", math.inf)
    group = FakeEnvRunners(2)
    sampler = RemoteSampler(group, max_lag=10, timeout_s=1e-3, replaces=True)
    for env_steps in (0, 5, 10):
        sampler.sample(env_steps)
        group.ready = [1]
    assert sampler.sample(15) == [(["steps"], "metrics")]
    assert group.under_way == [2], "the slow one's fragment is 15 env steps old"
    group.ready = [2]
    sampler.sample(15)
    assert sampler.lag == 15
    assert sorted(group.under_way) == [1, 2]


def test_an_env_runner_that_was_lost_holds_nobody_back(monkeypatch):
    monkeypatch.setattr(remote_sampling, "PATIENCE", math.inf)
    group = FakeEnvRunners(2)
    sampler = RemoteSampler(group, max_lag=10, timeout_s=1e-3, replaces=True)
    sampler.sample(0)
    group.ready, group.healthy = [1], [1]
    sampler.sample(50)
    assert group.under_way.count(1) == 1
    assert sampler.sample(60) == []


def test_in_step_with_the_learner_all_answers_are_waited_for_in_order():
    group = FakeEnvRunners(3)
    sampler = RemoteSampler(group, max_lag=0, timeout_s=None, replaces=True)
    answers = iter([[3], [], [1], [2]])

    def fetch(*, tags: str) -> list[tuple[int, Any]]:
        ready = next(answers)
        return [(env_runner, ([env_runner], "metrics")) for env_runner in ready]

    group.fetch_ready_async_reqs = fetch
    assert [steps for steps, _ in sampler.sample(0)] == [[1], [2], [3]]


def stopped(config: Any) -> tuple[Any, int]:
    """A running algorithm, one of whose two env runners has been stopped."""
    algorithm = config.env_runners(num_env_runners=2, sample_timeout_s=1.0).build_algo()
    algorithm.train()
    pids = algorithm.env_runner_group.foreach_env_runner(
        lambda env_runner: os.getpid(), local_env_runner=False
    )
    os.kill(pids[0], signal.SIGSTOP)
    return algorithm, pids[0]


@pytest.mark.slow
def test_an_env_runner_that_hangs_is_replaced_within_a_few_timeouts():
    algorithm, pid = stopped(game_config())
    try:
        begin = time.monotonic()
        algorithm.train()
        assert time.monotonic() - begin < 10
        give_up = time.monotonic() + 100
        while time.monotonic() < give_up:
            result = algorithm.train()
            if result["fault_tolerance"]["num_healthy_workers"] == 2:
                break
        assert result["fault_tolerance"]["num_healthy_workers"] == 2
        assert len(algorithm.replay_buffer) == min(result["num_env_steps_sampled_lifetime"], 500)
    finally:
        algorithm.stop()
        end(pid)


@pytest.mark.slow
def test_an_env_runner_that_hangs_is_told_where_none_is_to_be_replaced():
    config = game_config().fault_tolerance(restart_failed_env_runners=False)
    algorithm, pid = stopped(config)
    try:
        said = r"Env runner 1 has not answered for [23] s .*is 1\)"
        with pytest.raises(RuntimeError, match=said):
            algorithm.train()
    finally:
        end(pid)
        algorithm.stop()


def end(pid: int) -> None:
    """Ends a process that was stopped, unless that has happened."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
