"""Where a command puts an experiment's results, tables and pictures."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

from rommeo_rllib.commands import options
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.folders import Folder

_LOCAL = "file://"

_LONGEST_NAME = 50  # Characters, of up to four bytes.


def resolved(storage: str) -> str:
    """The storage as Tune wants it: an absolute path or a URI.

    Raises:
        UsageError: if nothing can be written there.
    """
    if "://" in storage:
        Folder(storage)
        if storage.startswith(_LOCAL):
            options.require_writable_folder("--storage", Path(storage.removeprefix(_LOCAL)))
        return storage.rstrip("/")
    path = options.expanded("--storage", Path(storage)).resolve()
    options.require_writable_folder("--storage", path)
    return str(path)


def default_name(configuration: str, storage: str) -> str:
    """A folder's name for an experiment, from what is run and when; none that is there already."""
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    # A file's path may be longer than a folder's name can be.
    name = f"{configuration.replace('/', '-').strip('-.')[-_LONGEST_NAME:].strip('-.')}_{stamp}"
    taken = (f"{name}_{number}" for number in itertools.count(2))
    while Path(storage, name).exists():
        name = next(taken)
    return name


def require_name(command: Any) -> None:
    """Raises a UsageError unless a command that goes on says with what, and by whole numbers."""
    options.require_folder_name(command.name)
    for option in ("resume", "extend"):
        if getattr(command, option) and command.name is None:
            raise UsageError(f"--{option} needs --name: which experiment?")
    if command.trust and not (command.resume or command.extend):
        raise UsageError("--trust has no effect without --resume or --extend: leave it out.")
    if command.checkpoint_frequency < 0:
        raise UsageError(
            f"--checkpoint-frequency {command.checkpoint_frequency}: allowed: 0 (none before the "
            "end) or more."
        )


def pictures_folder(storage: str, name: str) -> Path:
    """Where an experiment's pictures go: beside its results, or here if these are elsewhere."""
    return Path(storage if "://" not in storage else "results") / name / "figures"
