"""Files that appear whole or not at all, on any file system that Beam knows.

A local file is written beside its place and renamed into it; an object store shows an object
only when its upload has ended, so there it is written in place.
"""

from __future__ import annotations

import glob
import os
import threading
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

PART = ".part"
"""A local file that is being written ends so, and begins with a dot."""


def is_local(path: str) -> bool:
    """Whether the path is on this machine's file system (it has no ``scheme://``)."""
    return "://" not in path


def join(folder: str, *names: str) -> str:
    """The path of a file below a folder."""
    joined: str = FileSystems.join(folder, *names)
    return joined


def write_whole(path: str, data: bytes) -> None:
    """Writes a file so that no reader ever sees a part of it; an older one is replaced.

    Args:
        path: on any file system that Beam knows; missing folders are made.
        data: the file's bytes.

    Raises:
        OSError: if it cannot be written; what stood there before stands there still.
    """
    if not is_local(path):
        remote = FileSystems.create(path, compression_type="uncompressed")
        remote.write(data)
        remote.close()  # what failed before is not closed, thus not shown
        return
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}{PART}")
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:  # mostly the folder is there
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def exists(path: str) -> bool:
    """Whether there is a file."""
    return Path(path).is_file() if is_local(path) else bool(FileSystems.exists(path))


def read_whole(path: str) -> bytes:
    """A file's bytes.

    Raises:
        FileNotFoundError: if there is none.
    """
    if is_local(path):
        return Path(path).read_bytes()
    if not exists(path):
        raise FileNotFoundError(path)
    with FileSystems.open(path, compression_type="uncompressed") as file:
        data: bytes = file.read()
    return data


def list_files(folder: str, name: str = "*") -> list[str]:
    """The paths of the files that match a glob below a folder, sorted; none if it is missing."""
    if is_local(folder):
        # not Path.glob, which fails if retention removes a folder that it is about to enter
        found = (Path(folder, path) for path in glob.glob(name, root_dir=folder))
        return sorted(str(path) for path in found if path.is_file())
    [match] = FileSystems.match([join(folder, name)])
    return sorted(metadata.path for metadata in match.metadata_list)


def remove(path: str) -> None:
    """Removes a file; it is no error if it is gone, since a retry removes it again."""
    if is_local(path):
        Path(path).unlink(missing_ok=True)
    elif exists(path):
        FileSystems.delete([path])


def remove_folder_if_empty(path: str) -> None:
    """Removes a local folder if nothing is left in it; object stores have no folders."""
    if is_local(path):
        try:
            Path(path).rmdir()
        except OSError:
            return
