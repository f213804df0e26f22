"""Reading ahead: what comes next is read and decoded while the last is worked on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import pyarrow as pa


def read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, each read by another thread while the one before is worked on.

    The first is being read when this returns. At most one batch more is in memory. Arrow decodes
    without Python's lock, so two cores are used; where decoding is all the work, nothing is
    gained.

    Raises:
        Exception: whatever reading raises, where it does.
    """
    return _iterate(batches, _readers().submit(next, batches, None))


def _iterate(
    batches: Iterator[pa.RecordBatch], coming: Future[pa.RecordBatch | None]
) -> Iterator[pa.RecordBatch]:
    while (batch := coming.result()) is not None:
        coming = _readers().submit(next, batches, None)
        yield batch


@cache
def _readers() -> ThreadPoolExecutor:
    # More than cores: the next piece must not wait behind the long first ones of what comes later.
    return ThreadPoolExecutor(2 * (os.cpu_count() or 1), thread_name_prefix="ahead")
