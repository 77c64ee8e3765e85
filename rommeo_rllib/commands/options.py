"""How options that several commands have are shown in their help."""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Annotated, Literal, TypeAlias

import tyro

from rommeo_rllib.commands.errors import UsageError

Configuration: TypeAlias = Annotated[
    tyro.conf.Positional[str], tyro.conf.arg(metavar="CONFIGURATION")
]
Checkpoint: TypeAlias = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CHECKPOINT")]
Folders: TypeAlias = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="FOLDER ...", help_behavior_hint="(required)"),
]

# An option that may be left out. Where the text says what happens then, "default: None" adds
# nothing but doubt.
OptionalInt: TypeAlias = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]
OptionalFloat: TypeAlias = Annotated[
    float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")
]
OptionalText: TypeAlias = Annotated[
    str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="")
]
OptionalJudge: TypeAlias = Annotated[
    Literal["sampled", "greedy"] | None,
    tyro.conf.arg(metavar="{sampled,greedy}", help_behavior_hint=""),
]
OptionalFile: TypeAlias = Annotated[
    Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: none)")
]
ConfigFile: TypeAlias = Annotated[
    str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(default: the checkpoint's)")
]
Floats: TypeAlias = Annotated[
    tuple[float, ...], tyro.conf.arg(metavar="FLOAT ...", help_behavior_hint="(default: none)")
]
Ints: TypeAlias = Annotated[
    tuple[int, ...], tyro.conf.arg(metavar="INT ...", help_behavior_hint="(default: none)")
]
Trust: TypeAlias = Annotated[
    bool,
    tyro.conf.arg(
        help="Read pickled objects, which run whatever code they name: for files of people you "
        "trust."
    ),
]
ResumeTrust: TypeAlias = Annotated[
    bool,
    tyro.conf.arg(
        help="With --resume or --extend, read pickled checkpoints that belong to another user, "
        "which run whatever code they name: for files of people you trust."
    ),
]
Changes: TypeAlias = Annotated[
    tuple[str, ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(metavar="KEY=VALUE", help_behavior_hint="(default: none)"),
]

MOST_SEEDS = 100_000
"""Of one setting: far more than anybody trains, and few enough to be listed."""
_GREATEST_SEED = 2**32 - 1  # Environments take no greater one.


def require_counts(command: object, *fields: str) -> None:
    """Raises a UsageError unless these options of a command, where given, are at least 1."""
    for name in fields:
        value = getattr(command, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: allowed: at least 1.")


def require_seed(seed: int, number: int = 1) -> None:
    """Raises a UsageError unless `--seed` and those that count up from it are seeds."""
    if not 0 <= seed <= _GREATEST_SEED - number + 1:
        raise UsageError(f"--seed {seed}: allowed: 0 to {_GREATEST_SEED - number + 1}.")


def require_folder_name(name: str | None) -> None:
    """Raises a UsageError unless `--name`, where given, is that of a folder inside the storage."""
    if name is None:
        return
    path = PurePath(name)
    leads_out = path.is_absolute() or ".." in path.parts or name.startswith("~")
    if not path.parts or leads_out or not name.isprintable() or "://" in name:
        raise UsageError(
            f"--name {name!r}: allowed: the name of a folder inside the storage, such as my_run; "
            "--storage says where that is."
        )


def require_writable(option: str, file: Path | None) -> None:
    """Raises a UsageError if a file, where one is given, cannot be written."""
    if file is None:
        return
    path = file.expanduser()
    if path.is_dir():
        raise UsageError(f"{option} {file}: this is a folder; allowed: a file.")
    above = path if path.exists() else path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    is_place = above == path or above.is_dir()
    if not is_place or not os.access(above, os.W_OK):
        raise UsageError(f"{option} {file}: nothing can be written to {above}; give another place.")
