"""A list of a checkpoint's files, by which a damaged, mixed or unfinished one is known.

RLlib passes over what is missing in a checkpoint in silence, and of a file that was cut off it says
no more than that its input ran out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pyarrow.fs

from rommeo_rllib.file_versions import require_version

MANIFEST = "files.json"
VERSION = 1

FileSystem: TypeAlias = pyarrow.fs.FileSystem

_BLOCK = 1 << 20


def located(path: str | Path, filesystem: FileSystem | None = None) -> tuple[FileSystem, Path]:
    """The file system in which a path or URI lies, and its path there.

    Args:
        path: a path, or a URI such as "file:///runs/1".
        filesystem: pyarrow's, in which `path` is, if it is given.
    """
    if filesystem is not None:
        return filesystem, Path(path)
    if "://" in str(path):
        filesystem, inside = FileSystem.from_uri(str(path))
        return filesystem, Path(inside)
    return pyarrow.fs.LocalFileSystem(), Path(path).expanduser().absolute()


def remove_manifest(folder: Path, filesystem: FileSystem | None = None) -> None:
    """Marks a checkpoint as unfinished; to be called before it is written over."""
    filesystem, folder = located(folder, filesystem)
    file = (folder / MANIFEST).as_posix()
    if filesystem.get_file_info(file).type != pyarrow.fs.FileType.NotFound:
        filesystem.delete_file(file)


def write_manifest(folder: Path, filesystem: FileSystem | None = None) -> None:
    """Lists all files in `folder` with sizes and hashes; to be called when all are written."""
    filesystem, folder = located(folder, filesystem)
    files = {
        name: {"bytes": size, "sha256": _sha256(filesystem, folder / name)}
        for name, size in _sizes(filesystem, folder).items()
        if name != MANIFEST
    }
    unfinished = (folder / f"{MANIFEST}.unfinished").as_posix()
    with filesystem.open_output_stream(unfinished) as opened:
        content = {"version": VERSION, "files": files}
        opened.write((json.dumps(content, indent=2) + "\n").encode())
    filesystem.move(unfinished, (folder / MANIFEST).as_posix())


def check_manifest(
    folder: Path, filesystem: FileSystem | None = None, component: str | None = None
) -> None:
    """Compares the files in `folder` with their list.

    Args:
        folder: the checkpoint's.
        filesystem: where it lies; None for this machine's own.
        component: a folder in it whose files alone are compared.

    Raises:
        ValueError: if a file is missing, is not the one that was saved or does not belong there, or
            there is no list since writing was not finished; it names the file.
    """
    filesystem, folder = located(folder, filesystem)
    incomplete = (
        f"The checkpoint {folder} is not complete: it lacks a readable {MANIFEST}, which is "
        "written last. Restore from an earlier one."
    )
    try:
        with filesystem.open_input_stream((folder / MANIFEST).as_posix()) as opened:
            content = json.loads(opened.read())
        version = content.get("version", 1)
    except (AttributeError, OSError, RecursionError, ValueError) as error:
        raise ValueError(incomplete) from error
    require_version(folder / MANIFEST, version, VERSION)
    # The first lists did not say their version.
    listed = content.get("files", content)
    try:
        files = {name: (int(one["bytes"]), str(one["sha256"])) for name, one in listed.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(incomplete) from error
    if not files:
        raise ValueError(incomplete)
    sizes = _sizes(filesystem, folder)
    inside = "" if component is None else f"{component}/"
    # Beside the components' folders others may put what they like, as Tune does.
    strangers = {name: None for name in sizes if "/" in name and name not in files}
    for name, told in (files | strangers).items():
        if not name.startswith(inside):
            continue
        if told is None:
            what = "does not belong to it"
        elif name not in sizes:
            what = "is missing"
        elif sizes[name] != told[0]:
            what = f"has {sizes[name]} bytes instead of {told[0]}"
        elif _sha256(filesystem, folder / name) != told[1]:
            what = "is not the file that was saved"
        else:
            continue
        raise ValueError(
            f"The checkpoint {folder} is damaged: {name} {what}. Restore from an earlier one."
        )


def check_component(path: Path, component: str, filesystem: FileSystem | None = None) -> None:
    """As :func:`check_manifest`, for a component's folder in a checkpoint that has a list.

    Raises:
        ValueError: as there.
    """
    filesystem, path = located(path, filesystem)
    parts = PurePosixPath(component).parts
    if path.parts[-len(parts) :] != parts:
        return
    folder = path.parents[len(parts) - 1]
    listed = filesystem.get_file_info((folder / MANIFEST).as_posix())
    if listed.type != pyarrow.fs.FileType.NotFound:
        check_manifest(folder, filesystem, component)


def _sizes(filesystem: FileSystem, folder: Path) -> dict[str, int]:
    """Bytes of all files in a folder and below it, by their path in it."""
    selector = pyarrow.fs.FileSelector(folder.as_posix(), recursive=True, allow_not_found=True)
    return {
        PurePosixPath(info.path).relative_to(folder.as_posix()).as_posix(): info.size
        for info in sorted(filesystem.get_file_info(selector), key=lambda info: info.path)
        if info.is_file
    }


def _sha256(filesystem: FileSystem, file: Path) -> str:
    digest = hashlib.sha256()
    with filesystem.open_input_stream(file.as_posix()) as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
