"""How options that several commands have are shown in their help."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Literal, TypeAlias

import tyro

from rommeo_rllib.checks import is_finite_number
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments.folders import is_file
from rommeo_rllib.experiments.settings import require_different
from rommeo_rllib.naming import shown, unknown_name_message

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

_GREATEST_SEED = 2**32 - 1  # Environments take no greater one.
_GREATEST_COUNT = 10**12  # Steps and episodes of many years.
_MOST_BYTES_IN_A_NAME = 255


def require_counts(command: object, *fields: str, most: int = _GREATEST_COUNT) -> None:
    """Raises a UsageError unless these options of a command, where given, are from 1 to `most`."""
    for name in fields:
        value = getattr(command, name)
        if value is not None and not 1 <= value <= most:
            allowed = "at least 1" if value < 1 else f"at most {most}"
            raise UsageError(f"--{name.replace('_', '-')} {shown(value)}: allowed: {allowed}.")


def require_finite(command: object, *fields: str) -> None:
    """Raises a UsageError unless these options of a command, where given, are finite numbers."""
    for name in fields:
        value = getattr(command, name)
        if value is not None and not is_finite_number(value):
            raise UsageError(f"--{name.replace('_', '-')} {value}: allowed: a finite number.")


def require_seed(seed: int, number: int = 1) -> None:
    """Raises a UsageError unless `--seed` and those that count up from it are seeds."""
    if not 0 <= seed <= _GREATEST_SEED - number + 1:
        raise UsageError(f"--seed {shown(seed)}: allowed: 0 to {_GREATEST_SEED - number + 1}.")


def require_names(option: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises a UsageError unless an option names some of what is allowed, each once."""
    if not given:
        raise UsageError(f"{option}: which? Allowed: {', '.join(allowed)}.")
    require_different(option, given)
    for name in given:
        if name not in allowed:
            raise UsageError(unknown_name_message(option, name, allowed))


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
    _require_short("--name", path)


def require_writable(option: str, file: Path | None, suffix: str = "") -> None:
    """Raises a UsageError if a file, where one is given, cannot be written: it is tried.

    Args:
        option: the option that names it, for the message.
        file: the file; nothing of it is changed, and no folder is made.
        suffix: what its name must end with.
    """
    if file is None:
        return
    path = expanded(option, file)
    if path.is_dir():
        raise UsageError(f"{option} {file}: this is a folder; allowed: a file.")
    if not path.name.endswith(suffix):
        raise UsageError(f"{option} {file}: allowed: a file whose name ends with {suffix}.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{option} {file}: this is a device; allowed: a file.")
    above = path if path.exists() else _nearest_folder(path)
    try:
        if above == path:
            path.open("ab").close()
        elif above.is_dir():
            tempfile.TemporaryFile(dir=above).close()
        else:
            raise NotADirectoryError(f"{above} is a file")
    except OSError as error:
        raise UsageError(
            f"{option} {file}: nothing can be written to {above} ({error.strerror or error}); give "
            "another place."
        ) from error


def require_writable_folder(option: str, folder: Path) -> None:
    """Raises a UsageError if files cannot be written into a folder, which may not be there yet."""
    if is_file(expanded(option, folder)):
        raise UsageError(f"{option} {folder}: this is a file; allowed: a folder.")
    require_writable(option, folder / "x")


def require_different_files(files: Mapping[str, Path | None]) -> None:
    """Raises a UsageError if two options name the same file, which the second would replace.

    Args:
        files: what is to be written, by option; None where an option is not given.
    """
    known: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        path = expanded(option, file).resolve()
        if path in known:
            raise UsageError(
                f"{option} {file}: {known[path]} writes to this file, too; give another one."
            )
        known[path] = option


def expanded(option: str, path: Path) -> Path:
    """A path with the user's home in place of "~"; raises a UsageError if there can be no such."""
    try:
        found = path.expanduser()
        _require_short(option, found)
        found.resolve().exists()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option} {shown(str(path))}: {reason}; give another place.") from error
    return found


def _nearest_folder(path: Path) -> Path:
    above = path.parent
    while not above.exists() and above != above.parent:
        above = above.parent
    return above


def _require_short(option: str, path: PurePath) -> None:
    for part in path.parts:
        if len(os.fsencode(part)) > _MOST_BYTES_IN_A_NAME:
            raise UsageError(
                f"{option} {shown(str(path))}: allowed: names of files and folders of at "
                f"most {_MOST_BYTES_IN_A_NAME} bytes."
            )
