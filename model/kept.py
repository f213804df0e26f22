"""What a process keeps of the files that it read last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from model import files

T = TypeVar("T")
OVERHEAD = 200
"""Bytes of whatever is kept, beside its arrays."""


class Kept(Generic[T]):
    """What was read from files, by their paths and versions; safe for many threads.

    What was needed longest ago goes first. A file that was written anew is read anew.

    Attributes:
        most: maximum number of bytes, by the ``nbytes`` of what is kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, object], T] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, path: str) -> bool:
        """Whether what is in a file is kept."""
        return self._key(path) in self._kept

    def look(self, path: str) -> T | None:
        """What is in a file, if there is one and it is kept."""
        try:
            key = self._key(path)
        except FileNotFoundError:
            return None
        with self._lock:
            return self._kept.get(key)

    def get(self, path: str, read: Callable[[], T]) -> T:
        """What is in a file; it is read unless it is kept."""
        key = self._key(path)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = read()
        self._put(key, value)
        return value

    def put(self, path: str, value: T) -> None:
        """Keeps what has been written into a file."""
        self._put(self._key(path), value)

    def _put(self, key: tuple[str, object], value: T) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._bytes += _size(value)
            while self._bytes > self.most and self._kept:
                self._bytes -= _size(self._kept.popitem(last=False)[1])

    @staticmethod
    def _key(path: str) -> tuple[str, object]:
        return path, files.version(path)


def _size(value: object) -> int:
    return OVERHEAD + int(getattr(value, "nbytes", 0))
