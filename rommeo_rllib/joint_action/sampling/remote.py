"""Sampling by remote env runners, in step with the learner or while it learns."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup

from rommeo_rllib.rllib_boundary.running import replace_env_runner

logger = logging.getLogger(__name__)

_TAG = "sample"
_POLL_SECONDS = 0.002

PATIENCE = 2
"""An env runner that has not answered for this many timeouts is taken to hang."""


@dataclass(frozen=True)
class _Request:
    """A fragment under way: asked for at this env step and time (of `time.monotonic`)."""

    env_step: int
    begun: float


class RemoteSampler:
    """Asks env runners for fragments, and replaces those that hang.

    Each env runner has one fragment under way at most. In step with the learner all are asked, and
    waited for. Beside the learner none is asked for another as long as somebody's fragment was
    begun more than `max_lag` env steps ago, so that weights that act are never older than `max_lag`
    env steps and a fragment of each env runner.

    Args:
        env_runners: the remote ones sample.
        max_lag: in env steps of all env runners together; 0 to sample in step with the learner.
        timeout_s: how long to wait for a fragment; None for as long as it takes.
        replaces: whether an env runner that hangs is replaced; else it is an error.

    Attributes:
        lag: age, in env steps, of the oldest weights that acted in what was returned last.
    """

    def __init__(
        self, env_runners: EnvRunnerGroup, max_lag: int, timeout_s: float | None, *, replaces: bool
    ):
        self._env_runners = env_runners
        self._max_lag = max_lag
        self._timeout_s = timeout_s
        self._replaces = replaces
        self._under_way: dict[int, _Request] = {}
        self.lag = 0

    def sample(self, env_steps: int) -> list[tuple[list[Any], Any]]:
        """Samples and metrics of all fragments that are ready, in the order of the env runners.

        Args:
            env_steps: the clock, env steps sampled so far.

        Returns:
            Nothing if no fragment was ready in time.

        Raises:
            RuntimeError: if an env runner hangs and is not to be replaced.
        """
        self._ask(env_steps)
        ready = sorted(self._fetch(), key=lambda answer: answer[0])
        begun = [self._under_way.pop(env_runner).env_step for env_runner, _ in ready]
        self.lag = env_steps - min(begun, default=env_steps)
        self._end_what_hangs()
        if self._max_lag:
            # Before the learner begins, so that the two work at the same time.
            self._ask(env_steps)
        return [answer for _, answer in ready]

    def drop(self) -> None:
        """Waits for what is under way and forgets it."""
        while self._under_way and self._fetch():
            pass
        self._under_way.clear()

    def _ask(self, env_steps: int) -> None:
        healthy = set(self._env_runners.healthy_worker_ids())
        self._under_way = {i: request for i, request in self._under_way.items() if i in healthy}
        oldest = min((r.env_step for r in self._under_way.values()), default=env_steps)
        if self._max_lag and env_steps - oldest > self._max_lag:
            return
        for env_runner in sorted(healthy - self._under_way.keys()):
            asked = self._env_runners.foreach_env_runner_async(
                sample_and_report, tag=_TAG, remote_worker_ids=[env_runner]
            )
            if asked:
                self._under_way[env_runner] = _Request(env_steps, time.monotonic())

    def _fetch(self) -> list[tuple[int, tuple[list[Any], Any]]]:
        """All answers in step with the learner, else one at least, if they come in time."""
        give_up = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        ready: list[tuple[int, tuple[list[Any], Any]]] = []
        wanted = 1 if self._max_lag else len(self._under_way)
        while True:
            fetched = self._env_runners.fetch_ready_async_reqs(tags=_TAG)
            ready += [(i, answer) for i, answer in fetched if i in self._under_way]
            healthy = set(self._env_runners.healthy_worker_ids())
            waited_for = self._under_way.keys() & healthy - {i for i, _ in ready}
            in_vain = not waited_for or (give_up is not None and time.monotonic() > give_up)
            if len(ready) >= wanted or in_vain:
                return ready
            time.sleep(_POLL_SECONDS)

    def _end_what_hangs(self) -> None:
        if self._timeout_s is None:
            return
        for env_runner, request in list(self._under_way.items()):
            waited = time.monotonic() - request.begun
            if waited <= PATIENCE * self._timeout_s:
                continue
            said = (
                f"Env runner {env_runner} has not answered for {waited:.0f} s "
                f"(`sample_timeout_s` is {self._timeout_s:g})"
            )
            if not self._replaces:
                raise RuntimeError(
                    f"{said}, and `restart_failed_env_runners` is False. Its environment may hang; "
                    "`env_time_limit_s` limits a step."
                )
            logger.warning("%s; it is replaced.", said)
            del self._under_way[env_runner]
            replace_env_runner(self._env_runners, env_runner)


def sample_and_report(env_runner: Any) -> tuple[list[Any], Any]:
    """What a remote env runner is asked for: joint steps, and its metrics."""
    return env_runner.sample_joint_steps(), env_runner.get_metrics()
