"""Environments that hang fail with a reason."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class EnvGuard:
    """Limits how long each call of an environment may take.

    Args:
        time_limit_s: for each call; None for as long as it takes.
    """

    def __init__(self, time_limit_s: float | None):
        self._limit_s = time_limit_s
        self._call: str | None = None
        self._began = 0.0

    def timed(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The method, under the limit where :meth:`watching` is on.

        Raises (from what is returned):
            TimeoutError: if a call takes longer than it may; it names the method.
        """

        def call(*args: Any, **kwargs: Any) -> Any:
            self._call, self._began = name, time.monotonic()
            try:
                return method(*args, **kwargs)
            finally:
                self._call = None

        return call

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within it calls of the timed methods must keep to their time limit.

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
