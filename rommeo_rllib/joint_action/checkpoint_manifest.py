"""A list of a checkpoint's files, by which a damaged, mixed or unfinished one is known.

RLlib passes over what is missing in a checkpoint in silence, and of a file that was cut off it says
no more than that its input ran out.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.fs

MANIFEST = "files.json"

_BLOCK = 1 << 20


def local_folder(path: str | Path, filesystem: Any = None) -> Path | None:
    """The folder of a checkpoint; None if it is not on this machine's own file system.

    Args:
        path: a path, or a URI such as "file:///runs/1".
        filesystem: pyarrow's, in which `path` is, if it is given.
    """
    if filesystem is None and "://" not in str(path):
        return Path(path)
    if filesystem is None:
        filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
    return Path(path) if isinstance(filesystem, pyarrow.fs.LocalFileSystem) else None


def remove_manifest(folder: Path) -> None:
    """Marks a checkpoint as unfinished; to be called before it is written over."""
    (folder / MANIFEST).unlink(missing_ok=True)


def write_manifest(folder: Path) -> None:
    """Lists all files in `folder` with sizes and hashes; to be called when all are written."""
    files = {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": _sha256(file),
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    unfinished = folder / f"{MANIFEST}.unfinished"
    unfinished.write_text(json.dumps(files, indent=2) + "\n")
    os.replace(unfinished, folder / MANIFEST)


def check_manifest(folder: Path) -> None:
    """Compares the files in `folder` with their list.

    Raises:
        ValueError: if a file is missing or is not the one that was saved, or there is no list since
            writing was not finished; it names the file.
    """
    try:
        files = {
            name: (int(listed["bytes"]), str(listed["sha256"]))
            for name, listed in json.loads((folder / MANIFEST).read_text()).items()
        }
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"The checkpoint {folder} is not complete: it lacks a readable {MANIFEST}, which is "
            "written last. Restore from an earlier one."
        ) from error
    for name, (size, digest) in files.items():
        file = folder / name
        if not file.is_file():
            what = "is missing"
        elif file.stat().st_size != size:
            what = f"has {file.stat().st_size} bytes instead of {size}"
        elif _sha256(file) != digest:
            what = "is not the file that was saved"
        else:
            continue
        raise ValueError(
            f"The checkpoint {folder} is damaged: {name} {what}. Restore from an earlier one."
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
