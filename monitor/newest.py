"""The newest files of a folder that grows: each is read once, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from posixpath import basename
from typing import Generic, TypeVar

from pydantic import ValidationError

from model import files
from model.problems import explain
from model.runs import NAME
from model.store import is_name

T = TypeVar("T")
AGAIN = 10
"""Maximum number of damaged files that are read again at each look."""


class NewestFiles(Generic[T]):
    """What the newest files of a folder hold, as of the last look.

    Files are named by times, appear whole, and are not written twice.

    Attributes:
        kept: what is read of them, by name, oldest first; so many at most.
        count: of all files.
        damaged: why files among the newest cannot be read, by their paths; they are skipped.
    """

    def __init__(self, folder: str, suffix: str, read: Callable[[bytes], T], keep: int) -> None:
        self.folder = folder
        self.kept: dict[str, T] = {}
        self.damaged: dict[str, str] = {}
        self._pattern = f"{NAME}.{suffix}"
        self._read = read
        self._keep = keep
        self._seen: set[str] | None = None

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._seen or ())

    def read_again(self, names: Iterable[str]) -> None:
        """Lets the next look read some files again, by name: they may be written anew."""
        if self._seen is not None:
            self._seen -= set(names)

    def look(self) -> dict[str, T]:
        """Reads what is new, the first time no more than what is kept; gives it by name.

        Raises:
            OSError: if the folder cannot be listed, or a store does not answer.
        """
        listed = files.list_files(self.folder, self._pattern)
        paths = {basename(path).partition(".")[0]: path for path in listed}
        names = set(filter(is_name, paths.keys() - (self._seen or ())))
        new = sorted(names) if self._seen is not None else sorted(names)[-self._keep :]
        again = [name for name in sorted(paths) if paths[name] in self.damaged][-AGAIN:]
        found: dict[str, T] = {}
        for name in sorted({*new, *again}):
            self._read_into(found, name, paths[name])
        self.damaged = {path: why for path, why in self.damaged.items() if path in listed}
        self._seen = {*names, *((self._seen or set()) & paths.keys())}
        still = {name: each for name, each in self.kept.items() if name in paths}
        self.kept = dict(sorted({**still, **found}.items())[-self._keep :])
        return found

    def _read_into(self, found: dict[str, T], name: str, path: str) -> None:
        """Reads a file; one that is not as a run writes it is noted, and the others go on."""
        self.damaged.pop(path, None)
        try:
            found[name] = self._read(files.read_whole(path))
        except FileNotFoundError:  # removed since it was listed
            return
        except ValueError as error:
            reason = explain(error) if isinstance(error, ValidationError) else error
            self.damaged[path] = f"is not what a run writes: {reason}"
        except OSError as error:
            if not (files.is_local(path) or isinstance(error, PermissionError)):
                raise  # a store that is not reached is not the fault of this file
            self.damaged[path] = f"cannot be read: {error.strerror or error}"
