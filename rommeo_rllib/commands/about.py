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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rommeo_rllib.commands.credentials import without_credentials
from rommeo_rllib.commands.errors import CommandError
from rommeo_rllib.commands.folders import write_whole

ABOUT_FILE = "rommeo-about.json"

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
    content = asdict(about) | {"commands": commands}
    write_whole(folder / ABOUT_FILE, json.dumps(content, indent=1) + "\n")


def read_about(folder: Path) -> About | None:
    """What was written down there; None if nothing was, or by another version of this package.

    Raises:
        CommandError: if the file is damaged; it names the file.
    """
    file = folder / ABOUT_FILE
    if not file.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        known = About.__dataclass_fields__
        if "configuration" not in content or not content.keys() <= known.keys():
            return None
        # Versions before this one wrote credentials down.
        commands = tuple(without_credentials(one) for one in content.get("commands", ()))
        return About(**content | {"commands": commands})
    except (ValueError, TypeError, AttributeError) as error:
        raise CommandError(
            f"{file} is damaged: remove it; results do not depend on it, only what is said of them."
        ) from error
