"""Errors that a person at the command line is to read."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

# Characters.
_LONGEST = 300
_MOST_OF_A_REPORT, _MOST_OF_A_LINE = 1 << 16, 500


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


class Terminated(KeyboardInterrupt):
    """SIGTERM has come; as after Ctrl-C nothing catches it but what ends the command."""


def one_line(error: BaseException) -> str:
    """An error's name and message, on one line and not without end."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # Somebody's own error may fail at that, too.
        said = ""
    said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 3]}..."
    return f"{type(error).__name__}: {said}".rstrip(": .")


def reason(error: Exception | str) -> str:
    """What of Ray's long report says what went wrong, in one line."""
    text = str(error)[-_MOST_OF_A_REPORT:]
    lines = [line.strip()[:_MOST_OF_A_LINE] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    # Ray's own errors only say that there was one.
    causes = [line for line in telling if not line.startswith("ray.")] or telling or lines
    if not causes:
        return repr(error)
    # RLlib puts an advice of its own in front of whatever goes wrong in an environment.
    first, last = causes[0], causes[-1]
    return last if first == last else f"{last} (cause: {first})"


@contextmanager
def told(what: str, trust: bool) -> Iterator[None]:
    """Within it what files and other people's code raise is told in a sentence.

    Args:
        what: what is done within it, for the message.
        trust: whether objects of others may come from pickles.
    """
    try:
        yield
    except (CommandError, ImportError):
        raise
    except ValueError as error:
        raise UsageError(str(error)) from error
    except Exception as error:
        where = " or what the checkpoint has pickled" if trust else ""
        raise CommandError(
            f"{what} failed: {one_line(error)}. Look at its environment{where}: "
            "ROMMEO_TRACEBACK=1 rommeo ... shows where this comes from."
        ) from error
