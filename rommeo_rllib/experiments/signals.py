"""How a command ends at Ctrl-C and SIGTERM, although Ray listens to them, too."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from rommeo_rllib.errors import Interrupted, Terminated

STOPPING = (signal.SIGINT, signal.SIGTERM)
_LOOK_AGAIN = 0.01  # Seconds.


def end_at_once(number: int, _: Any = None) -> NoReturn:
    """Ends the process with a line: where nothing has begun, or there is nothing left to tidy."""
    interrupted = Interrupted(number)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os.write(2, f"rommeo: {interrupted}\n".encode())
    os._exit(interrupted.status)


def raise_interrupt(number: int, _: Any = None) -> NoReturn:
    """Raises KeyboardInterrupt, or for SIGTERM `Terminated`."""
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def handled_by(handler: Callable[[int, Any], object]) -> Iterator[None]:
    """Within it our signals call `handler`; those that the shell has us ignore stay ignored."""
    before = _handlers()
    _set(dict.fromkeys(before, handler))
    try:
        yield
    finally:
        # Ray puts its own in their place when it starts, and none when it ends.
        _set(before)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """Within it signals wait; afterwards the first is obeyed. A second one ends at once.

    Raised in the midst of Ray's code, an exception could be lost.

    Yields:
        what takes our signals back, for when Ray has taken them away.
    """
    before = _handlers()
    caught: list[int] = []

    def note(number: int, _: Any) -> None:
        if caught:
            end_at_once(number)
        caught.append(number)
        with contextlib.suppress(OSError):
            os.write(1, b"Stopping ... (once more: at once)\n")

    def take() -> None:
        _set(dict.fromkeys(before, note))

    take()
    try:
        yield take
    finally:
        _set(before)
        if caught:
            raise_interrupt(caught[0])


def out_of_reach(work: Callable[[], object]) -> None:
    """Does in another thread what takes our signals away, and holds them back meanwhile.

    Only the main thread can take them back while it is under way.
    """
    failed: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    with held_back() as take:
        thread = threading.Thread(target=do, daemon=True)
        thread.start()
        while thread.is_alive():
            take()
            thread.join(_LOOK_AGAIN)
    if failed:
        raise failed[0]


def _handlers() -> dict[int, Any]:
    """Who handles our signals; nobody's where we may not set them, or are to ignore them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in STOPPING}
    return {number: handler for number, handler in found.items() if handler != signal.SIG_IGN}


def _set(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
