"""In-process passing of elements: a number is encoded, not the element.

The embedded runner keeps all data in its own process, yet writes every element to bytes and
reads it back at each step, four copies of a replay. Within ``in_process_references()`` the bytes of
a value are a number under which it is kept. No other runner may be used so: it would send the
numbers to another process.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MARK = b"by hand:"
_layout = struct.Struct(">8sq")


class InProcessObjectStore:
    """Objects by number. Nobody may change what is in it."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._objects: dict[int, Any] = {}

    def put(self, value: Any) -> bytes:
        """Keeps an object; returns the bytes that stand for it."""
        number = next(self._numbers)
        self._objects[number] = value
        return _layout.pack(MARK, number)

    def get(self, encoded: bytes) -> Any:
        """The object for which bytes of ``put`` stand.

        Raises:
            KeyError: if it is not kept here.
        """
        return self._objects[_layout.unpack(encoded)[1]]

    def drop(self, encoded: bytes) -> None:
        """Keeps the object no longer for which bytes of ``put`` stand."""
        self._objects.pop(_layout.unpack(encoded)[1], None)


_store: InProcessObjectStore | None = None


@contextmanager
def in_process_references() -> Iterator[None]:
    """Passes elements by reference until the context ends.

    They are kept as long, unless they are dropped: all that goes from a step to the next would be
    more than a replay.

    Raises:
        RuntimeError: if it is entered twice.
    """
    global _store
    if _store is not None:
        raise RuntimeError("elements are passed by reference in this process already")
    _store = InProcessObjectStore()
    try:
        yield
    finally:
        _store = None


def put(value: Any) -> bytes | None:
    """Keeps an object and returns its reference; None outside of ``in_process_references()``."""
    return None if _store is None else _store.put(value)


def get(encoded: bytes) -> Any:
    """The object for which bytes stand; None if they are an encoded object.

    Raises:
        RuntimeError: if it is not kept here: the bytes came from another process, or the object
            was dropped.
    """
    if not encoded.startswith(MARK):
        return None
    try:
        if _store is not None:
            return _store.get(encoded)
    except KeyError:
        pass
    raise RuntimeError(
        "a reference to an element has left the process that keeps it, or was read before"
    )


def drop(encoded: bytes) -> None:
    """Keeps the object no longer for which bytes stand, as nobody will ask for it again."""
    if _store is not None:
        _store.drop(encoded)
