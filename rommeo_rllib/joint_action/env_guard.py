"""Environments that hang, or say NaN, fail with a reason."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


class EnvGuard:
    """Stands between a sampler and its environments.

    Args:
        time_limit_s: for each call of an environment; None for as long as it takes.
    """

    def __init__(self, time_limit_s: float | None):
        self._limit_s = time_limit_s
        self._call: str | None = None
        self._began = 0.0

    def guard(self, env: Any) -> None:
        """Makes an environment's `reset` and `step` raise where they would do harm in silence.

        Args:
            env: a `MultiAgentEnv`; its methods are replaced.

        Raises (from the guarded methods):
            TimeoutError: if a call takes longer than it may, within :meth:`watching`.
            ValueError: if an observation is not finite; it names the agent.
        """
        for name in ("reset", "step"):
            setattr(env, name, self._guarded(getattr(env, name), name))

    def _guarded(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._call, self._began = name, time.monotonic()
            try:
                answer = method(*args, **kwargs)
            finally:
                self._call = None
            _check_finite(answer[0], name)
            return answer

        return call

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within it calls of the guarded environments must keep to their time limit.

        One alarm serves all calls, since setting one for each costs as much as a small game's step.
        It needs Unix's alarm clock, hence the main thread, which is where Ray's actors work; code
        that never returns to Python cannot be stopped.
        """
        limit_s = self._limit_s
        in_main_thread = threading.current_thread() is threading.main_thread()
        if limit_s is None or not in_main_thread or not hasattr(signal, "setitimer"):
            yield
            return

        def ring(*_: Any) -> None:
            taken_s = 0.0 if self._call is None else time.monotonic() - self._began
            if taken_s >= limit_s:
                raise TimeoutError(
                    f"The environment's {self._call}() has taken longer than {limit_s:g} s "
                    "(`env_time_limit_s`)."
                )
            signal.setitimer(signal.ITIMER_REAL, limit_s - taken_s)

        handler_before = signal.signal(signal.SIGALRM, ring)
        delay_before, interval_before = signal.setitimer(signal.ITIMER_REAL, limit_s)
        begin = time.monotonic()
        try:
            yield
        finally:
            # Somebody else's alarm goes on as if there had been none of ours.
            left = max(delay_before - (time.monotonic() - begin), 1e-3) if delay_before else 0.0
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, handler_before)
            signal.setitimer(signal.ITIMER_REAL, left, interval_before)


def _check_finite(observations: Mapping[Any, Any], name: str) -> None:
    for agent, observation in observations.items():
        is_float = isinstance(observation, np.ndarray) and observation.dtype.kind == "f"
        if is_float and not np.isfinite(observation).all():
            raise ValueError(
                f"Agent {agent!r} received the observation {observation} from the environment's "
                f"{name}(); observations must be finite numbers."
            )
