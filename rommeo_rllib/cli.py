"""The `rommeo` command."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rich.console import Console

import rommeo_rllib
from rommeo_rllib.commands.alpha_map import AlphaMap
from rommeo_rllib.commands.cross_play import CrossPlay
from rommeo_rllib.commands.evaluate import Evaluate
from rommeo_rllib.commands.export import Export
from rommeo_rllib.commands.figure_1 import Figure1
from rommeo_rllib.commands.figure_2 import Figure2
from rommeo_rllib.commands.introduction import introduce
from rommeo_rllib.commands.parsing import parse
from rommeo_rllib.commands.report import Report
from rommeo_rllib.commands.sweep import Sweep
from rommeo_rllib.commands.terminal import PlainConsole
from rommeo_rllib.commands.train import Train
from rommeo_rllib.errors import CommandError, Interrupted, Terminated, one_line
from rommeo_rllib.experiments.about import called_with
from rommeo_rllib.experiments.signals import handled_by, raise_interrupt

# Commands, and groups of commands, by name.
COMMANDS: dict[str, Any] = {
    "train": Train,
    "sweep": Sweep,
    "report": Report,
    "evaluate": Evaluate,
    "cross-play": CrossPlay,
    "export": Export,
    "reproduce": {"figure-1": Figure1, "figure-2": Figure2, "alpha-map": AlphaMap},
}
_TRACEBACK = "ROMMEO_TRACEBACK"
"""Environment variable: where it is set, an unexpected error is shown with all its calls."""
_PIPE_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; ends with status 1 on failure and 2 on misuse."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal may lack the letters of somebody's names.
            stream.reconfigure(errors="backslashreplace")
    errors = PlainConsole(stderr=True)
    try:
        with called_with(arguments), handled_by(raise_interrupt):
            _run(arguments, PlainConsole())
    except CommandError as error:
        _end(errors, str(error), error.status)
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
        interrupted = Interrupted(number)
        _end(errors, str(interrupted), interrupted.status)
    except BrokenPipeError:
        # Whoever read the output has read enough; Python would complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_PIPE_CLOSED)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        _end(errors, _unexpected(error), 1)


def _run(arguments: Sequence[str], console: Console) -> None:
    if not arguments:
        introduce(console)
    elif list(arguments) == ["--version"]:
        console.print(f"rommeo-rllib {rommeo_rllib.__version__}", highlight=False)
    else:
        parse(COMMANDS, "rommeo", arguments).run(console)


def _end(errors: Console, message: str, status: int) -> NoReturn:
    message = " ".join(map(str.strip, message.splitlines())) if "\n" in message else message
    message = message.removeprefix("rommeo: ")
    start = "" if message.startswith("rommeo ") else "rommeo: "
    errors.print(f"{start}{message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)


def _unexpected(error: Exception) -> str:
    """One line on what no command foresaw."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        hint = "" if isinstance(error, FileNotFoundError) else " Choose another place, or free it."
        return f"{where}{error.strerror or one_line(error)}.{hint}"
    if isinstance(error, ImportError):
        return f"{one_line(error)}. Install what is missing: pip install rommeo-rllib."
    if isinstance(error, MemoryError):
        return "there is not enough memory; ask for less at once, or use another machine."
    first = next(iter(str(error).strip().splitlines()), "")
    return (
        f"unexpected {type(error).__name__}: {first} "
        f"({_TRACEBACK}=1 rommeo ... shows where it comes from.)"
    )


if __name__ == "__main__":
    main()
