"""Batches that are handed over within one process: a number is encoded, not the rows.

The embedded runner keeps all data in its own process, yet writes every element to bytes and
reads it back at each step, four copies of a replay. Within ``by_hand()`` a batch's bytes are
a number under which it is kept. No other runner may be used so: it would send the numbers to
another process.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

MARK = b"by hand:"
_layout = struct.Struct(">8sq")
_numbers = itertools.count()
_kept: dict[int, pa.RecordBatch] | None = None


@contextmanager
def by_hand() -> Iterator[None]:
    """Hands batches over within this process until the context ends; they are kept so long.

    Raises:
        RuntimeError: if it is entered twice.
    """
    global _kept
    if _kept is not None:
        raise RuntimeError("batches are handed over within this process already")
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def give(batch: pa.RecordBatch) -> bytes | None:
    """Keeps a batch and returns the bytes that stand for it; None outside of ``by_hand()``."""
    if _kept is None:
        return None
    number = next(_numbers)
    _kept[number] = batch
    return _layout.pack(MARK, number)


def take(encoded: bytes) -> pa.RecordBatch | None:
    """The batch for which bytes stand; None if they are a batch themselves.

    Raises:
        RuntimeError: if the batch is not kept here: the bytes came from another process.
    """
    if not encoded.startswith(MARK):
        return None
    number = _layout.unpack(encoded)[1]
    if _kept is None or number not in _kept:
        raise RuntimeError("a batch that was handed over by hand has left its process")
    return _kept[number]
