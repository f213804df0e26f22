"""Reading ahead: the same batches, one more of them in memory, errors where they stand."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from reading.ahead import read_ahead


def batches(count: int, read: list[int]) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        read.append(number)
        yield pa.record_batch({"x": [number]})


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_batches_are_the_same_in_the_same_order(count: int) -> None:
    assert list(read_ahead(batches(count, []))) == list(batches(count, []))


def test_no_more_than_one_batch_is_read_ahead() -> None:
    read: list[int] = []
    coming = read_ahead(batches(9, read))
    for worked in range(5):
        next(coming)
        assert worked + 1 <= len(read) <= worked + 2


def test_they_are_read_by_another_thread() -> None:
    readers = set()

    def noting() -> Iterator[pa.RecordBatch]:
        for batch in batches(3, []):
            readers.add(threading.current_thread())
            yield batch

    assert len(list(read_ahead(noting()))) == 3
    assert threading.current_thread() not in readers


def test_an_error_comes_behind_the_batches_before_it() -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(2, [])
        raise OSError("the disk is gone")

    coming = read_ahead(broken())
    assert [batch["x"].to_pylist() for batch in (next(coming), next(coming))] == [[0], [1]]
    with pytest.raises(OSError, match="the disk is gone"):
        next(coming)
