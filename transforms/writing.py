"""Writing files from a pipeline, so that what vouches for them may rely on them.

A file is written whole (``model.files``), and a bundle ends when all that it wrote is on the
disk. So whatever comes behind a shuffle, as a refresh's report does, comes after a power cut
could take the files away. The disk is waited for once a bundle, not once a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow

from model import files
from transforms.elements import WrittenFile
from transforms.stamps import WINDOW


def write_file(folder: str, names: tuple[str, ...], data: bytes) -> WrittenFile:
    """Writes a file below one of the run folder's own folders.

    Args:
        folder: that folder, as ``runs/a/predictions``; it is made if only it is missing.
        names: the path below it.
        data: the file's bytes.

    Raises:
        OSError: if it cannot be written, or the run's folder is gone.
    """
    files.write_whole(files.join(folder, *names), data, within=folder)
    return WrittenFile("/".join((PurePosixPath(folder).name, *names)), len(data))


class WriteFn(beam.DoFn):
    """Calls a function that writes files; a bundle ends when they are on the disk.

    Attributes:
        write: takes an element, the arguments and the element's window; gives what to emit.
        arguments: what is passed to it behind the element.
    """

    def __init__(self, write: Callable[..., Iterable[object]], *arguments: object) -> None:
        self.write = write
        self.arguments = arguments

    def process(self, element: object, window: IntervalWindow = WINDOW) -> Iterable[object]:
        return self.write(element, *self.arguments, window)

    def finish_bundle(self) -> None:
        files.flush()
