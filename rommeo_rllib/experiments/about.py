"""What an experiment's results do not say of themselves, kept in a file beside them.

Tune stores configurations and results, but neither the command that asked for them nor which seeds
were asked for; `rommeo report` wants to know both.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rommeo_rllib.errors import CommandError
from rommeo_rllib.experiments.credentials import without_credentials
from rommeo_rllib.experiments.folders import Folder, write_whole
from rommeo_rllib.experiments.trials import MOST_TRIALS
from rommeo_rllib.file_versions import require_version

ABOUT_FILE = "rommeo-about.json"
VERSION = 1

_arguments: ContextVar[tuple[str, ...] | None] = ContextVar("arguments", default=None)


@dataclass(frozen=True)
class About:
    """What was asked for.

    Attributes:
        configuration: the name of what was trained.
        first_seed: the first seed of each setting; None if each trial's seeds are its own.
        num_seeds: how many seeds each setting was to have; the last trial may compute more.
        success_above: a seed is a success if its return per play is above this; None if unknown.
        judge_by: whose return that is, "sampled" or "greedy".
        commands: the command lines, in the order of their running; the later ones went on with what
            the first had begun.
    """

    configuration: str
    first_seed: int | None = None
    num_seeds: int | None = None
    success_above: float | None = None
    judge_by: str = "sampled"
    commands: tuple[str, ...] = ()

    @property
    def is_sensible(self) -> bool:
        """Whether it can have been asked for."""
        first, count, above = self.first_seed, self.num_seeds, self.success_above
        return (
            type(self.configuration) is str
            and (first is None or type(first) is int)
            and (count is None or (type(count) is int and 0 <= count <= MOST_TRIALS))
            and (above is None or type(above) in (int, float))
            and self.judge_by in ("sampled", "greedy")
        )

    @property
    def seeds(self) -> range | None:
        """The seeds that each setting was to have, where that is known."""
        if self.first_seed is None or self.num_seeds is None:
            return None
        return range(self.first_seed, self.first_seed + self.num_seeds)


@contextmanager
def called_with(arguments: Sequence[str]) -> Iterator[None]:
    """Within it what is written down names these arguments of `rommeo`."""
    token = _arguments.set(tuple(arguments))
    try:
        yield
    finally:
        _arguments.reset(token)


def write_about(about: About, folder: Path) -> None:
    """Writes down what is asked for, and the command line that is running, if one is.

    Raises:
        CommandError: if what was written down before is damaged.
    """
    before = read_about(folder)
    commands = before.commands if before else ()
    arguments = _arguments.get()
    if arguments is not None:
        command = shlex.join(["rommeo", *map(without_credentials, arguments)])
        commands = (*(one for one in commands if one != command), command)
    content = {"version": VERSION, **asdict(about), "commands": commands}
    write_whole(folder / ABOUT_FILE, json.dumps(content, indent=1) + "\n")


def read_about(folder: Path) -> About | None:
    """What was written down there; None if nothing was.

    Raises:
        CommandError: if the file is damaged or of a foreign version; it names the file.
    """
    text = Folder(str(folder.absolute())).read(ABOUT_FILE)
    if text is None:
        return None
    file = folder / ABOUT_FILE
    try:
        content: dict[str, Any] = json.loads(text)
        version = content.pop("version", 1)
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        raise _damaged(file) from error
    try:
        require_version(file, version, VERSION)
    except ValueError as error:
        raise CommandError(str(error)) from error
    try:
        about = About(**content)
        # Files from before credentials were hidden may hold some.
        about = replace(about, commands=tuple(map(without_credentials, about.commands)))
    except TypeError as error:
        raise _damaged(file) from error
    if not about.is_sensible:
        raise _damaged(file)
    return about


def _damaged(file: Path) -> CommandError:
    return CommandError(
        f"{file} is damaged: remove it; results do not depend on it, only what is said of them."
    )
