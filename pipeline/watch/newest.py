"""The newest files of a folder that grows: each is read once, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from posixpath import basename
from typing import Generic, TypeVar

from pydantic import ValidationError

from model import files
from model.errors import UserError
from model.schema import explain
from model.store import is_name
from pipeline.folder import NAME

T = TypeVar("T")


class Newest(Generic[T]):
    """What the newest files of a folder hold, as of the last look.

    Files are named by times, appear whole, and are not written twice.

    Attributes:
        kept: what is read of them, by name, oldest first; so many at most.
        count: of all files.
    """

    def __init__(self, folder: str, suffix: str, read: Callable[[bytes], T], keep: int) -> None:
        self.folder = folder
        self.kept: dict[str, T] = {}
        self._pattern = f"{NAME}.{suffix}"
        self._read = read
        self._keep = keep
        self._seen: set[str] | None = None

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._seen or ())

    def look(self) -> dict[str, T]:
        """Reads what is new, the first time no more than what is kept; gives it by name.

        Raises:
            OSError: if the folder cannot be looked at.
            UserError: if a file is not what a run writes.
        """
        listed = files.list_files(self.folder, self._pattern)
        paths = {basename(path).partition(".")[0]: path for path in listed}
        names = set(filter(is_name, paths.keys() - (self._seen or ())))
        new = sorted(names) if self._seen is not None else sorted(names)[-self._keep :]
        found: dict[str, T] = {}
        for name in new:
            with suppress(FileNotFoundError):  # removed since it was listed
                found[name] = self._parsed(paths[name])
        self._seen = {*names, *((self._seen or set()) & paths.keys())}
        still = {name: each for name, each in self.kept.items() if name in paths}
        self.kept = dict(sorted({**still, **found}.items())[-self._keep :])
        return found

    def _parsed(self, path: str) -> T:
        try:
            return self._read(files.read_whole(path))
        except ValidationError as error:
            raise UserError(f"{path}: is not what a run writes: {explain(error)}") from error
