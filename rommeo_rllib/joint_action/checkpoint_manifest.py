"""A list of a checkpoint's files, by which a damaged or unfinished one is known.

RLlib passes over what is missing in a checkpoint in silence, and of a file that was cut off it says
no more than that its input ran out.
"""

from __future__ import annotations

import json
from pathlib import Path

MANIFEST = "files.json"


def write_manifest(folder: Path) -> None:
    """Lists all files in `folder` with their sizes in bytes; to be called when all are written."""
    sizes = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    (folder / MANIFEST).write_text(json.dumps(sizes, indent=2) + "\n")


def check_manifest(folder: Path) -> None:
    """Compares the files in `folder` with their list.

    Raises:
        ValueError: if a file is missing or has another size, or there is no list since writing was
            not finished; it names the file.
    """
    try:
        sizes = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"The checkpoint {folder} is not complete: it lacks a readable {MANIFEST}, which is "
            "written last. Restore from an earlier one."
        ) from error
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            what = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise ValueError(
                f"The checkpoint {folder} is damaged: {name} {what}. Restore from an earlier one."
            )
