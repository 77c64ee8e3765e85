"""A replay buffer's files: arrays in one .npz without pickled objects, the rest in JSON."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.fs
from ray.rllib.utils.checkpoints import Checkpointable

from rommeo_rllib.file_versions import require_version

_DATA_FILE = "transitions.npz"
_MANIFEST_FILE = "manifest.json"


VERSION = 1
"""Of both files; written into `manifest.json`."""


def open_arrays(file: Any) -> Any:
    """The arrays of an open .npz file as :class:`ReplayFiles` writes it; none is read yet.

    Raises:
        ValueError: if it is none, or would unfold to more than its own size.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (NotImplementedError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
    size = file.seek(0, io.SEEK_END)
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its arrays are compressed, or lie upon each other")
    file.seek(0)
    return np.load(file, allow_pickle=False)


class ReplayFiles(Checkpointable):
    """Stores a state of `{"arrays": arrays by name, "manifest": what JSON can say}`."""

    def save_to_path(
        self,
        path: str | Path | None = None,
        *,
        state: dict[str, Any] | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        use_msgpack: bool = False,
    ) -> str:
        """Writes plain arrays into `transitions.npz` and the rest into `manifest.json`."""
        if path is None:
            raise ValueError("`path` is None; give the folder to write the replay buffer to.")
        if filesystem is None:
            filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
        state = state or self.get_state()
        folder = Path(path)
        filesystem.create_dir(folder.as_posix(), recursive=True)
        with filesystem.open_output_stream((folder / _DATA_FILE).as_posix()) as file:
            np.savez(file, **state["arrays"])
        with filesystem.open_output_stream((folder / _MANIFEST_FILE).as_posix()) as file:
            file.write(json.dumps({"version": VERSION, **state["manifest"]}).encode())
        return str(path)

    def restore_from_path(
        self,
        path: str | Path,
        *,
        component: str | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        **kwargs: Any,
    ) -> None:
        """Reads what :meth:`save_to_path` wrote.

        Raises:
            ValueError: if a file is missing, damaged or of a foreign version; it names the file.
        """
        if filesystem is None:
            filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
        folder = Path(path)
        reading = folder / _MANIFEST_FILE
        try:
            with filesystem.open_input_stream(reading.as_posix()) as file:
                manifest = json.loads(file.read())
            require_version(reading, manifest.get("version", 1), VERSION)
            reading = folder / _DATA_FILE
            with (
                filesystem.open_input_file(reading.as_posix()) as file,
                open_arrays(file) as stored,
            ):
                arrays = {name: stored[name] for name in stored.files}
            self.set_state({"arrays": arrays, "manifest": manifest})
        except Exception as error:
            raise ValueError(
                f"The replay buffer in the checkpoint cannot be read: {reading}: {error}. Without "
                f"the folder {folder} the run restores with an empty buffer."
            ) from error
