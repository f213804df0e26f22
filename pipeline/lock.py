"""One writer in a run's folder: a lock that the operating system holds for this process.

The lock is on ``lock.json`` in the folder, which says who holds it. A crash releases it, since the
system closes the files of a process that has ended. A folder on an object store has no lock:
Beam's file systems have no write that fails if the object is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from model import files
from model.errors import UserError

NAME = "lock.json"


class FolderLock:
    """Holds a run's folder for this process until it is released, as when its context ends.

    Folders that it has made and that are empty then, as after a refused run, are removed.

    Args:
        folder: the folder's path; on an object store nothing is held.

    Example:
        >>> import tempfile
        >>> with FolderLock(tempfile.mkdtemp()).acquire() as lock:
        ...     sorted(json.loads((lock.folder / NAME).read_text()))
        ['format', 'host', 'pid', 'since']
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._local = files.is_local(folder)
        self._made: list[Path] = []
        self._held: int | None = None

    def acquire(self, new: bool = False) -> FolderLock:
        """Takes the folder, which is made if it is missing.

        Args:
            new: the folder must not be there yet.

        Raises:
            FileExistsError: if it has to be new and is not.
            UserError: if a run holds it, or it cannot be written.
        """
        try:
            if self._local:
                self._make_folders(new)
                self._lock()
        except OSError as error:
            self.release()
            if new and isinstance(error, FileExistsError):
                raise
            reason = error.strerror or error
            raise UserError(f"--output {self.folder}: cannot be written: {reason}") from error
        return self

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()

    def release(self) -> None:
        """Releases the folder; it is not an error to do so again."""
        if self._held is not None:
            with suppress(OSError):
                (self.folder / NAME).unlink(missing_ok=True)
            os.close(self._held)
            self._held = None
        for made in self._made:
            files.remove_folder_if_empty(str(made))
        self._made = []

    def _make_folders(self, new: bool) -> None:
        missing = [path for path in self.folder.parents if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.insert(0, path)
        if new or not self.folder.exists():
            self.folder.mkdir(exist_ok=not new)
            self._made.insert(0, self.folder)

    def _lock(self) -> None:
        path = self.folder / NAME
        while self._held is None:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file, path):  # else its holder has just removed it
                    self._held = file
            except BlockingIOError:
                self._made = []  # they are the other's
                raise UserError(refusal(str(self.folder), _describe(file))) from None
            finally:
                if self._held is None:
                    os.close(file)
        os.ftruncate(self._held, 0)
        os.write(self._held, json.dumps(_owner(), indent=2).encode() + b"\n")


def refusal(folder: str, writer: str) -> str:
    """The message for a second writer in a folder."""
    return (
        f"--output {folder}: a run is writing there ({writer}): wait until it has ended, or stop "
        "it first"
    )


def find_writer(folder: str) -> str | None:
    """Who is writing into a folder now, according to its lock; None if nobody is."""
    try:
        file = os.open(Path(folder, NAME), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe(file)
    except OSError:
        return None
    finally:
        os.close(file)
    return None


def _is_at(held: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except FileNotFoundError:
        return False


def _owner() -> dict[str, Any]:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"format": 1, "host": socket.gethostname(), "pid": os.getpid(), "since": since}


def _describe(file: int) -> str:
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        return f"host {owner['host']}, pid {owner['pid']}, since {owner['since']}"
    except (ValueError, KeyError, TypeError):  # it is about to be written
        return "it has just begun"
