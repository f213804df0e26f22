"""Files that appear whole or not at all, on any file system that Beam knows.

A local file is written beside its place and renamed into it; an object store shows an object
only when its upload has ended, so there it is written in place.

A name that is there is not yet safe from a power cut: the system writes bytes and names to the
disk some seconds later, in any order. ``flush`` waits until all that this process has written is
on the disk. Whoever writes a file that vouches for others calls it first. (An object store keeps
an object once its upload has ended.)
"""

from __future__ import annotations

import errno
import glob
import os
import stat
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from model.remote import file_systems

PART = ".part"
"""A local file that is being written ends so, and begins with a dot."""


def is_local(path: str) -> bool:
    """Whether the path is on this machine's file system (it has no ``scheme://``)."""
    return "://" not in path


def join(folder: str, *names: str) -> str:
    """The path of a file below a folder."""
    if is_local(folder):
        return os.path.join(folder, *names)
    joined: str = file_systems().join(folder, *names)
    return joined


def parent(path: str) -> str:
    """The folder that a file is in."""
    return os.path.dirname(path) if is_local(path) else path.rpartition("/")[0]


class _Unsynced:
    """The local files and folders that this process has changed since the last flush."""

    THREADS = 16
    """Files that are synced side by side: a file system's journal takes them together."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}
        self._adding = threading.Lock()
        self._flushing = threading.Lock()

    def add(self, paths: Iterable[str]) -> None:
        """Notes what is to be synced, in this order: files before the folders that name them."""
        with self._adding:
            self._paths.update(dict.fromkeys(paths))

    def flush(self) -> None:
        """Syncs all that was added before the call, by whichever thread."""
        with self._flushing:  # also waits for what another thread has taken but not synced yet
            with self._adding:
                paths, self._paths = list(self._paths), {}
            files = [path for path in paths if not path.endswith(os.sep)]
            folders = [path for path in paths if path.endswith(os.sep)]
            for group in (files, folders):
                self._sync_all(group)

    def _sync_all(self, paths: list[str]) -> None:
        if len(paths) < 2:
            for path in paths:
                _sync(path)
            return
        with ThreadPoolExecutor(min(self.THREADS, len(paths))) as pool:
            for _ in pool.map(_sync, paths):
                pass


def _sync(path: str) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # removed since, as an old model is
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # some network file systems sync no folders: they keep names by their own rules
        if not (path.endswith(os.sep) and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


_unsynced = _Unsynced()


def flush() -> None:
    """Waits until all that ``write_whole`` and ``remove`` have changed is on the disk.

    One call for many files costs about one wait for the disk, not one a file.

    Raises:
        OSError: if the disk does not take it.
    """
    _unsynced.flush()


def write_whole(path: str, data: bytes, within: str | None = None) -> None:
    """Writes a file so that no reader ever sees a part of it; an older one is replaced.

    Only after ``flush`` does it survive a power cut.

    Args:
        path: on any file system that Beam knows.
        data: the file's bytes.
        within: a folder above it, or the path itself. Missing folders are made from this one
            down, but not the one that holds it: a run's folder that was removed is not made
            again. None: any missing folder is made.

    Raises:
        OSError: if it cannot be written; what stood there before stands there still.
    """
    if not is_local(path):
        remote = file_systems().create(path, compression_type="uncompressed")
        remote.write(data)
        remote.close()  # what failed before is not closed, thus not shown
        return
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}{PART}")
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:  # mostly the folder is there
            _make_folders(target.parent, within)
            part.write_bytes(data)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _unsynced.add([str(target), _folder_of(target)])


def make_folder(path: str) -> None:
    """Makes a local folder and those above it; object stores have no folders.

    Raises:
        OSError: if it cannot be made.
    """
    if is_local(path):
        _make_folders(Path(path), None)


def keep_folder(path: str) -> None:
    """Has the next ``flush`` sync the names of a local folder that something else has made."""
    if is_local(path):
        _unsynced.add([_folder_of(Path(path)), _folder_of(Path(path).absolute().parent)])


def _make_folders(folder: Path, within: str | None) -> None:
    """Makes a local folder and those above it that are missing, down from ``within``."""
    missing = [folder, *folder.parents]
    if within is not None:
        missing = [each for each in missing if Path(within) in (each, *each.parents)]
    missing = [each for each in missing if not each.is_dir()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _unsynced.add([_folder_of(each)])


def _folder_of(path: Path) -> str:
    """The folder that names a file or folder, marked as a folder by a separator at its end."""
    return os.path.join(path.parent, "")


def exists(path: str) -> bool:
    """Whether there is a file."""
    return Path(path).is_file() if is_local(path) else bool(file_systems().exists(path))


def read_whole(path: str) -> bytes:
    """A file's bytes.

    Raises:
        FileNotFoundError: if there is none.
        NotAFile: if it is a pipe or the like, which might never end.
    """
    if is_local(path):
        with open(path, "rb", opener=_open_file) as local:
            return local.read()
    if not exists(path):
        raise FileNotFoundError(path)
    with file_systems().open(path, compression_type="uncompressed") as file:
        data: bytes = file.read()
    return data


def list_sizes(folder: str, name: str) -> dict[str, int]:
    """The sizes in bytes of the files that match a glob below a folder, by their paths."""
    if is_local(folder):
        return {path: os.stat(path).st_size for path in list_files(folder, name)}
    [match] = file_systems().match([join(folder, name)])
    return {metadata.path: metadata.size_in_bytes for metadata in match.metadata_list}


def version(path: str) -> object:
    """What changes when a file is written anew: size and time, and, locally, its number.

    Raises:
        FileNotFoundError: if there is none.
    """
    if not is_local(path):
        if not exists(path):
            raise FileNotFoundError(path)
        about = file_systems().get_filesystem(path).metadata(path)  # its name is not a glob
        return about.size_in_bytes, about.last_updated_in_seconds
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino


class NotAFile(OSError):
    """What stands where a file should is a pipe, a socket or a device."""


def _open_file(path: str, flags: int) -> int:
    """Opens a regular file; a pipe without a writer is not waited for."""
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise NotAFile(errno.EINVAL, "Not a regular file", path)
    return number


def list_files(folder: str, name: str = "*") -> list[str]:
    """The paths of the files that match a glob below a folder, sorted; none if it is missing."""
    if is_local(folder):
        # not Path.glob, which fails if retention removes a folder that it is about to enter
        found = (Path(folder, path) for path in glob.glob(name, root_dir=folder))
        return sorted(str(path) for path in found if path.is_file())
    [match] = file_systems().match([join(folder, name)])
    return sorted(metadata.path for metadata in match.metadata_list)


def remove(path: str) -> None:
    """Removes a file; it is not an error if it is gone, since a retry removes it again."""
    if is_local(path):
        Path(path).unlink(missing_ok=True)
        _unsynced.add([_folder_of(Path(path))])
    elif exists(path):
        file_systems().delete([path])


def remove_folder_if_empty(path: str) -> None:
    """Removes a local folder if nothing is left in it; object stores have no folders."""
    if is_local(path):
        try:
            Path(path).rmdir()
            _unsynced.add([_folder_of(Path(path))])
        except OSError:
            return
