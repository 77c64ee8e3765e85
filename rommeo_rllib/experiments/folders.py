"""An experiment's folder, on a disk or behind a URI: small files of our own, and its lock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rommeo_rllib.errors import CommandError, UsageError
from rommeo_rllib.naming import printable

_LOCK_FILE = ".rommeo-lock"


class Folder:
    """Reads and writes small text files of an experiment.

    Args:
        where: an absolute path or a URI.

    Raises:
        UsageError: if nothing is known that reads such a URI.
    """

    def __init__(self, where: str):
        self.where = where
        self._remote: Any = None
        if "://" in where:
            self._remote, self._path = _file_system(where)

    @property
    def local(self) -> Path | None:
        """The folder on this machine, or None if it is behind a URI."""
        return None if self._remote is not None else Path(self.where)

    def read(self, name: str) -> str | None:
        """A file's text; None if there is no such file.

        Raises:
            CommandError: if it cannot be read, or is a link that leads out of the folder.
        """
        try:
            if self._remote is None:
                file, folder = Path(self.where, name).resolve(), Path(self.where).resolve()
                if not file.is_relative_to(folder):
                    raise CommandError(
                        f"{printable(self.where)}/{printable(name)} leads out of its folder, to "
                        f"{printable(file)}: put the files themselves there."
                    )
                return file.read_text(encoding="utf-8")
            with self._remote.open_input_stream(f"{self._path}/{name}") as stream:
                return str(stream.read().decode())
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, ValueError) as error:
            # A RuntimeError is a link that leads to itself.
            raise CommandError(f"{self.where}/{name} cannot be read: {_reason(error)}.") from error

    def write(self, name: str, text: str) -> None:
        """Writes a file whole or not at all, whenever the process is killed."""
        if self._remote is not None:
            try:
                with self._remote.open_output_stream(f"{self._path}/{name}") as stream:
                    stream.write(text.encode())
            except OSError as error:
                raise CommandError(
                    f"{self.where}/{name} cannot be written: {_reason(error)}."
                ) from error
            return
        write_whole(Path(self.where, name), text)

    def names(self) -> list[str]:
        """What is in the folder, by name."""
        if self._remote is None:
            folder = Path(self.where)
            return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path, allow_not_found=True)
        try:
            return sorted(info.base_name for info in self._remote.get_file_info(selector))
        except OSError as error:
            raise CommandError(f"{self.where} cannot be read: {_reason(error)}.") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within it no other process can lock the folder; behind a URI there are no locks.

        Raises:
            UsageError: if another process has locked it.
        """
        if self._remote is not None:
            yield
            return
        import fcntl

        folder = Path(self.where)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LOCK_FILE).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                who = lock.read().strip() or "another process"
                raise UsageError(
                    f"{self.where} is in use by {who}: wait for its end, or give another --name."
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {socket.gethostname()}")
            lock.flush()
            yield


def write_whole(file: Path, text: str) -> None:
    """Writes a text file whole or not at all; its folder is made if need be."""
    # A link stays one.
    file = file.expanduser().resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


def _file_system(where: str) -> tuple[Any, str]:
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        system, path = FileSystem.from_uri(where)
        if not path:
            raise ValueError("it names no folder")
        return system, path
    except (pyarrow.ArrowInvalid, NotImplementedError, ValueError, OSError) as error:
        raise UsageError(
            f"--storage {where}: {_reason(error)}; allowed: a folder, or a URI such as "
            "s3://bucket/results."
        ) from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def is_file(path: Path) -> bool:
    """Whether there is such a file; there is none of a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; there is none of a name that no folder can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
