"""Recording: answered questions, and labels that come in, as files that a job reads.

What is recorded goes into a queue, which a thread empties into Parquet files: a file a minute, or
one for 10,000 rows. An answer never waits for a disk: if too many rows wait, or the disk does not
take them, rows are not recorded, which is counted. Files are named by the time and the process that
wrote them, so that servers may share a folder, and a job that reads them in order of their names
finds new ones behind the others. They appear whole: what a server that is killed has not written
yet is not there.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from secrets import token_hex
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model import files
from model.batch import TIME_TYPE
from model.errors import UserError
from model.schema import Schema

ROWS, SECONDS = 10_000, 60.0
"""A file has so many rows at the most but for one request's, and is written after so long."""
GRACE = 0.5
"""Seconds after a minute until its file is written: what was answered in it may be on its way."""
WAITING = 1_000_000
"""Maximum number of rows that wait to be written."""
QUESTIONS, LABELS = "questions", "labels"


class Recorder:
    """Writes rows into files of a folder, in a thread of its own.

    A file holds rows of one minute of the clock, so that a run that reads those that are there ends
    with a minute, and goes on with the next ones.

    Args:
        folder: where.
        limit: bytes of all files in it, at the most; then nothing more is recorded.
        clock: seconds since the epoch.
        seconds: how long the minutes are.

    Attributes:
        recorded: rows that were taken.
        lost: rows that were not, as too many waited, the limit was reached, or the disk failed.
        failure: why rows are not recorded; "" if all is well.
    """

    def __init__(
        self,
        folder: str,
        limit: int,
        clock: Callable[[], float] = time.time,
        seconds: float = SECONDS,
    ) -> None:
        self.folder = folder
        self.limit = limit
        self.clock = clock
        self.seconds = seconds
        self.recorded = self.lost = self.written = self.bytes = 0
        self.failure = ""
        self._full = False
        self._process = f"{os.getpid()}-{uuid4().hex[:8]}"  # in containers all have the same number
        self._measured = -math.inf
        self._measure()
        self._waiting = 0
        self._queue: queue.SimpleQueue[_Part | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what has been taken, and ends."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(30)

    def take(self, rows: pa.Table, at: float | None = None) -> bool:
        """Takes rows to be written; False if they are not recorded. It does not wait.

        Args:
            rows: in the columns of the folder's files.
            at: the time of the rows, seconds since the epoch; now by default.
        """
        number = rows.num_rows
        with self._lock:
            taken = not self._full and self._waiting + number <= WAITING
            if taken:
                self.recorded += number
                self._waiting += number
            else:
                self.lost += number
        if taken:
            self._queue.put(_Part(self.clock() if at is None else at, rows))
        return taken

    def _run(self) -> None:
        parts: list[_Part] = []
        number, ended = 0, False
        while not ended:
            due = self._minute_after(parts[0]) if parts else math.inf
            left = max(0.0, due + GRACE - self.clock())
            wait = min(left, self.seconds + GRACE) if parts else None  # a clock may be set back
            try:
                part = self._queue.get(timeout=wait)
            except queue.Empty:
                before = [part for part in parts if part.at < due]
                self._write(before)
                parts = [part for part in parts if part.at >= due]
                number = sum(part.rows.num_rows for part in parts)
                continue
            ended = part is None
            if part is not None:
                parts.append(part)
                number += part.rows.num_rows
            if ended or number >= ROWS:
                self._write(parts)
                parts, number = [], 0

    def _minute_after(self, part: _Part) -> float:
        return (part.at // self.seconds + 1) * self.seconds

    def _write(self, parts: list[_Part]) -> None:
        """Writes a file of some rows; what cannot be written is lost, and counted."""
        if not parts:
            return
        number = sum(part.rows.num_rows for part in parts)
        try:
            self._measure()
            written = not self._full and self._try_write(parts)
        except OSError as error:
            self.failure = f"{self.folder}: cannot be written: {error.strerror or error}"
            written = False
        except Exception as error:  # the thread must live: else all that comes is lost
            self.failure = f"{self.folder}: cannot be written: {error}"
            written = False
        with self._lock:
            self._waiting -= number
            if not written:
                self.recorded -= number
                self.lost += number

    def _try_write(self, parts: list[_Part]) -> bool:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.concat_tables([part.rows for part in parts]), sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        if self.bytes + len(data) > self.limit:
            self._fill()
            return False
        moment = datetime.fromtimestamp(self.clock(), timezone.utc)
        name = f"{moment:%Y%m%dT%H%M%S%fZ}-{self._process}-{self.written:06d}.parquet"
        files.write_whole(files.join(self.folder, name), data)
        files.flush()
        self.written += 1
        self.bytes += len(data)
        if self.bytes >= self.limit:
            self._fill()
        else:
            self.failure = ""
        return True

    def _measure(self) -> None:
        """Takes the size of all files, now and then: other servers may share the folder."""
        if time.monotonic() < self._measured + SECONDS:
            return
        self.bytes = sum(files.list_sizes(self.folder, "*.parquet").values())
        self._measured = time.monotonic()
        if self.bytes >= self.limit:
            self._fill()

    def _fill(self) -> None:
        self._full = True
        self.failure = f"{self.folder}: has {self.bytes:,} bytes, --record-bytes"


class _Part(NamedTuple):
    """The rows of a request, and their time, seconds since the epoch."""

    at: float
    rows: pa.Table


class Records:
    """The two folders of a server that records.

    Attributes:
        schema: of the run.
        questions, labels: what writes into each.
    """

    def __init__(self, folder: str, limit: int, schema: Schema) -> None:
        if schema.id is None:
            raise UserError("--record: the run's schema must have an id, by which labels find rows")
        if schema.calendar_sources:
            raise UserError(
                "--record: features.calendar: the times that these are made of are not recorded: "
                "must be numeric or categorical features"
            )
        self.schema = schema
        self.questions = Recorder(files.join(folder, QUESTIONS), limit // 2)
        self.labels = Recorder(files.join(folder, LABELS), limit // 2)

    @property
    def both(self) -> dict[str, Recorder]:
        """The recorders, by what they record."""
        return {QUESTIONS: self.questions, LABELS: self.labels}

    @property
    def failure(self) -> str:
        """Why something is not recorded; "" if all is."""
        return self.questions.failure or self.labels.failure

    def start(self) -> None:
        """Begins to write."""
        for each in self.both.values():
            each.start()

    def stop(self) -> None:
        """Writes what has been taken."""
        for each in self.both.values():
            each.stop()

    def add_keys(self, keys: pa.Array) -> pa.Array:
        """The keys of questions, with a new one in the place of each that is null."""
        if not keys.null_count:
            return keys
        new = token_hex(16 * len(keys))  # one call: 10,000 of uuid4's take 20 milliseconds
        made = pa.array([new[place : place + 32] for place in range(0, len(new), 32)], pa.string())
        return pc.coalesce(keys.cast(pa.string()), made)

    def keep(self, rows: pa.RecordBatch, keys: pa.Array, prediction: pa.Array, model: str) -> None:
        """Records answered questions, asked now.

        Args:
            rows: accepted rows.
            keys: theirs.
            prediction: what was answered.
            model: the name of the model that has answered.
        """
        schema, number = self.schema, rows.num_rows
        at = self.questions.clock()
        now = np.full(number, int(at * 1_000_000))
        columns = {
            str(schema.id): keys,
            schema.time: pa.array(now).cast(TIME_TYPE),
            **{name: pa.array(rows.column(name), from_pandas=True) for name in schema.read_numeric},
            **{name: rows.column(name).cast(pa.string()) for name in schema.categorical},
        }
        made = {"prediction": prediction, "model": pa.repeat(pa.scalar(model), number)}
        for name, values in made.items():
            columns[f"{name}_" if name in columns else name] = values
        self.questions.take(pa.table(columns), at)
