"""Batches and sums that are handed over within one process: a number is encoded, not they.

The embedded runner keeps all data in its own process, yet writes every element to bytes and
reads it back at each step, four copies of a replay. Within ``by_hand()`` the bytes of a value are
a number under which it is kept. No other runner may be used so: it would send the numbers to
another process.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MARK = b"by hand:"
_layout = struct.Struct(">8sq")
_numbers = itertools.count()
_kept: dict[int, Any] | None = None


@contextmanager
def by_hand() -> Iterator[None]:
    """Hands values over within this process until the context ends; they are kept so long.

    Raises:
        RuntimeError: if it is entered twice.
    """
    global _kept
    if _kept is not None:
        raise RuntimeError("values are handed over within this process already")
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def give(value: Any) -> bytes | None:
    """Keeps what nobody changes, and returns the bytes for it; None outside of ``by_hand()``."""
    if _kept is None:
        return None
    number = next(_numbers)
    _kept[number] = value
    return _layout.pack(MARK, number)


def take(encoded: bytes) -> Any:
    """The value for which bytes stand; None if they are one themselves.

    Raises:
        RuntimeError: if it is not kept here: the bytes came from another process.
    """
    if not encoded.startswith(MARK):
        return None
    number = _layout.unpack(encoded)[1]
    if _kept is None or number not in _kept:
        raise RuntimeError("a value that was handed over by hand has left its process")
    return _kept[number]
