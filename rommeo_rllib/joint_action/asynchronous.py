"""Sampling that goes on while the learner learns."""

from __future__ import annotations

import time
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup

_TAG = "sample"
_POLL_SECONDS = 0.002


class AsynchronousSampler:
    """Keeps remote env runners busy, and what they act with young enough.

    Each env runner has one fragment under way at most. None is asked for another as long as
    somebody's fragment was begun more than `max_lag` env steps ago, so that weights that act are
    never older than `max_lag` env steps and a fragment of each env runner.

    Args:
        env_runners: the remote ones sample.
        max_lag: in env steps of all env runners together.
        timeout_s: how long to wait for a fragment.
    """

    def __init__(self, env_runners: EnvRunnerGroup, max_lag: int, timeout_s: float | None):
        self._env_runners = env_runners
        self._max_lag = max_lag
        self._timeout_s = timeout_s
        # For each env runner with a fragment under way the env step at which that was asked for.
        self._asked_at: dict[int, int] = {}
        self.lag = 0

    def sample(self, env_steps: int) -> list[tuple[list[Any], Any]]:
        """Samples and metrics of all fragments that are ready, at least one.

        Args:
            env_steps: the clock, env steps sampled so far.

        Returns:
            Nothing if no fragment was ready in time. `lag` is then the age of the oldest weights
            that have acted in what is returned.
        """
        self._ask(env_steps)
        ready = self._fetch()
        begun = [self._asked_at.pop(env_runner) for env_runner, _ in ready]
        self.lag = env_steps - min(begun, default=env_steps)
        # Before the learner begins, so that the two work at the same time.
        self._ask(env_steps)
        return [answer for _, answer in ready]

    def drop(self) -> None:
        """Waits for what is under way and forgets it."""
        while self._asked_at and self._fetch():
            pass
        self._asked_at.clear()

    def _ask(self, env_steps: int) -> None:
        healthy = set(self._env_runners.healthy_worker_ids())
        self._asked_at = {i: step for i, step in self._asked_at.items() if i in healthy}
        oldest = min(self._asked_at.values(), default=env_steps)
        if env_steps - oldest > self._max_lag:
            return
        for env_runner in sorted(healthy - self._asked_at.keys()):
            asked = self._env_runners.foreach_env_runner_async(
                sample_and_report, tag=_TAG, remote_worker_ids=[env_runner]
            )
            if asked:
                self._asked_at[env_runner] = env_steps

    def _fetch(self) -> list[tuple[int, tuple[list[Any], Any]]]:
        give_up = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while True:
            ready = self._env_runners.fetch_ready_async_reqs(tags=_TAG)
            ready = [(i, answer) for i, answer in ready if i in self._asked_at]
            nobody = not self._env_runners.num_healthy_remote_workers()
            if ready or nobody or (give_up is not None and time.monotonic() > give_up):
                return ready
            # RLlib would wait for all of them; the learner can do with one.
            time.sleep(_POLL_SECONDS)


def sample_and_report(env_runner: Any) -> tuple[list[Any], Any]:
    """What a remote env runner is asked for: joint steps, and its metrics."""
    return env_runner.sample_joint_steps(), env_runner.get_metrics()
