"""Errors that a person at the command line is to read."""

from __future__ import annotations

import signal

_LONGEST = 300  # Characters.


class CommandError(Exception):
    """A failure that is told in one line; the command ends with exit status 1.

    Args:
        message: what happened, and what to do.
    """

    status = 1


class UsageError(CommandError):
    """The command was called wrongly; it ends with exit status 2."""

    status = 2


class Interrupted(CommandError):
    """A signal ended the command; its exit status is the shell's for it: 130 after Ctrl-C.

    Args:
        number: the signal's.
        message: what there is so far, and how to go on.
    """

    def __init__(self, number: int, message: str = ""):
        name = "interrupted" if number == signal.SIGINT else "terminated"
        super().__init__(f"{name}{f': {message}' if message else '.'}")
        self.status = 128 + number


def one_line(error: BaseException) -> str:
    """An error's name and message, on one line and not without end."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # Somebody's own error may fail at that, too.
        said = ""
    said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {said}".rstrip(": .")


class Terminated(KeyboardInterrupt):
    """SIGTERM has come; as after Ctrl-C nothing catches it but what ends the command."""
