"""Sampling while the learner learns."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from small import game_config

from rommeo_rllib.joint_action.asynchronous import AsynchronousSampler
from rommeo_rllib.joint_action.learner import JointActionLearner

pytestmark = pytest.mark.usefixtures("ray_session")

FRAGMENT = 5
RUNNERS = 2
MAX_LAG = 20


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


def test_nobody_is_asked_for_more_while_one_lags_too_far_behind():
    group = FakeEnvRunners(2)
    sampler = AsynchronousSampler(group, max_lag=10, timeout_s=0.0)
    for env_steps in (0, 5, 10):
        sampler.sample(env_steps)
        group.ready = [1]
    assert sampler.sample(15) == [(["steps"], "metrics")]
    assert group.under_way == [2], "the slow one's fragment is 15 env steps old"
    group.ready = [2]
    sampler.sample(15)
    assert sampler.lag == 15
    assert sorted(group.under_way) == [1, 2]


def test_an_env_runner_that_was_lost_holds_nobody_back():
    group = FakeEnvRunners(2)
    sampler = AsynchronousSampler(group, max_lag=10, timeout_s=0.0)
    sampler.sample(0)
    group.ready, group.healthy = [1], [1]
    sampler.sample(50)
    assert group.under_way.count(1) == 1
    assert sampler.sample(60) == []
