"""Bytewax: a source of rows, ``collect_window`` by event time, ``stateful_map`` with the model.

As its documentation has it: a source of fixed partitions hands out batches of items, a keyed
stream is collected by an ``EventClock`` and a ``TumblingWindower``. A replay is faster than its
event time, so the clock's "now" stands still: else a pause would make rows late, which are
dropped. One key lives on one worker, so a second worker would have nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from bytewax import operators as op
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, Source, StatefulSourcePartition
from bytewax.operators import windowing
from bytewax.run import cli_main

from benchmarks.data import FEATURES
from benchmarks.loop import Window
from benchmarks.peers.work import Done, Turn, Work, parse_work

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
Row = tuple[float, ...]
"""Microseconds since the epoch, the target, the features."""


def rows(path: Path) -> Iterator[list[Row]]:
    """The file's rows, 10,000 at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(10_000):
            names = ("y", *FEATURES)
            time = batch["time"].cast("int64").to_pylist()
            yield list(zip(time, *(batch[name].to_pylist() for name in names), strict=True))


class ParquetPartition(StatefulSourcePartition):
    """The one partition; it takes no snapshots, since a benchmark resumes nothing."""

    def __init__(self, path: Path) -> None:
        self._batches = rows(path)

    def next_batch(self) -> Iterable[Row]:
        """The next rows; StopIteration at the end of the file, as Bytewax wants it."""
        return next(self._batches)

    def snapshot(self) -> None:
        """Nothing."""


class ParquetSource(FixedPartitionedSource):
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_parts(self) -> list[str]:
        """The one partition's name."""
        return ["file"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> ParquetPartition:
        """The one partition, from its beginning."""
        return ParquetPartition(self._path)


def event_time(row: Row) -> datetime:
    """A row's time."""
    return EPOCH + timedelta(microseconds=row[0])


def as_window(collected: list[Row]) -> Window:
    """A window's rows as arrays."""
    values = np.array(collected)
    return Window(np.ascontiguousarray(values[:, 2:]), values[:, 1].copy())


def dataflow(work: Work, source: Source, decode: Callable[[Any], Row] | None = None) -> Dataflow:
    """Source, window, model, and at the end what was done.

    Args:
        work: what there is to do.
        source: of rows, or of what becomes rows.
        decode: makes a row of an item of the source; None: they are rows.
    """
    clock = windowing.EventClock(
        event_time, timedelta(0), now_getter=lambda: EPOCH, to_system_utc=lambda _: None
    )
    windower = windowing.TumblingWindower(timedelta(seconds=work.window), EPOCH)

    def step(turn: Turn | None, item: tuple[int, list[Row]]) -> tuple[Turn, str]:
        turn = turn or Turn(work, Done())
        turn.take(as_window(item[1]))
        return turn, turn.done.line()

    flow = Dataflow("peer")
    stream = op.input("read", flow, source)
    if decode is not None:
        stream = op.map("decode", stream, decode)
    keyed = op.key_on("key", stream, lambda _: "all")
    windows = windowing.collect_window("window", keyed, clock, windower, ordered=False)
    lines = op.stateful_map("train", windows.down, step)
    last = op.reduce_final("last", lines, lambda _, line: line)
    op.output("tell", op.key_rm("line", last), StdOutSink())
    return flow


if __name__ == "__main__":
    work = parse_work(__doc__)
    cli_main(dataflow(work, ParquetSource(work.input)))
