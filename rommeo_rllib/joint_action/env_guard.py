"""Environments that hang, or say NaN, fail with a reason."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


def guard(env: Any, time_limit_s: float | None) -> None:
    """Makes an environment's `reset` and `step` raise where they would do harm in silence.

    Args:
        env: a `MultiAgentEnv`; its methods are replaced.
        time_limit_s: for each call; None for as long as it takes.

    Raises (from the guarded methods):
        TimeoutError: if a call takes longer. Code that never returns to Python cannot be stopped.
        ValueError: if an observation is not finite; it names the agent.
    """
    for name in ("reset", "step"):
        setattr(env, name, _guarded(getattr(env, name), name, time_limit_s))


def _guarded(method: Callable[..., Any], name: str, limit_s: float | None) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with time_limit(limit_s, f"The environment's {name}()"):
            answer = method(*args, **kwargs)
        _check_finite(answer[0], name)
        return answer

    return call


def _check_finite(observations: Mapping[Any, Any], name: str) -> None:
    for agent, observation in observations.items():
        is_float = isinstance(observation, np.ndarray) and observation.dtype.kind == "f"
        if is_float and not np.isfinite(observation).all():
            raise ValueError(
                f"Agent {agent!r} received the observation {observation} from the environment's "
                f"{name}(); observations must be finite numbers."
            )


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """Raises a TimeoutError if the block takes longer.

    It needs Unix's alarm clock, hence the main thread, which is where Ray's actors work.

    Args:
        seconds: None for no limit.
        what: what it is that takes too long, for the message.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if seconds is None or not in_main_thread or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError(f"{what} has taken longer than {seconds:g} s (`env_time_limit_s`).")

    handler_before = signal.signal(signal.SIGALRM, ring)
    delay_before, interval_before = signal.setitimer(signal.ITIMER_REAL, seconds)
    begin = time.monotonic()
    try:
        yield
    finally:
        # Somebody else's alarm goes on as if there had been none of ours.
        left = max(delay_before - (time.monotonic() - begin), 1e-3) if delay_before else 0.0
        signal.signal(signal.SIGALRM, handler_before)
        signal.setitimer(signal.ITIMER_REAL, left, interval_before)
