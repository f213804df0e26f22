"""Recording: answered questions, and labels that come in, as files that a job reads.

What is recorded goes into a queue, which a thread empties into Parquet files: a file a minute, or
one for 10,000 rows. An answer never waits for a disk: if the queue is full, rows are not recorded,
which is counted. Files are named by the time and the process that wrote them, so that servers may
share a folder, and a job that reads them in order of their names finds new ones behind the others.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.batch import TIME_TYPE
from model.errors import UserError
from model.schema import Schema

ROWS, SECONDS = 10_000, 60.0
"""A file has so many rows at the most but for one request's, and is written after so long."""
WAITING = 1_000
"""Maximum number of requests whose rows wait to be written."""
QUESTIONS, LABELS = "questions", "labels"


class Recorder:
    """Writes rows into files of a folder, in a thread of its own.

    Attributes:
        folder: where.
        limit: bytes of all files in it, at the most; then nothing more is recorded.
        recorded: rows that were taken.
        lost: rows that were not, since too many waited or the limit was reached.
        failure: why nothing more is recorded; "" if all is well.
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
        self.recorded = self.lost = self.written = 0
        self.failure = ""
        self.bytes = sum(files.list_sizes(folder, "*.parquet").values())
        self._check_limit()
        self._queue: queue.Queue[pa.Table | None] = queue.Queue(WAITING)
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

    def take(self, rows: pa.Table) -> bool:
        """Takes rows to be written; False if they are not recorded. It does not wait."""
        taken = not self.failure
        if taken:
            try:
                self._queue.put_nowait(rows)
            except queue.Full:
                taken = False
        with self._lock:
            if taken:
                self.recorded += rows.num_rows
            else:
                self.lost += rows.num_rows
        return taken

    def _run(self) -> None:
        parts: list[pa.Table] = []
        due = 0.0
        ended = False
        while not ended:
            wait = max(0.0, due - time.monotonic()) if parts else None
            try:
                part = self._queue.get(timeout=wait)
            except queue.Empty:
                part = None
            else:
                ended = part is None
                if part is not None:
                    due = due if parts else time.monotonic() + self.seconds
                    parts.append(part)
                    if sum(each.num_rows for each in parts) < ROWS and time.monotonic() < due:
                        continue
            if parts:
                self._write(parts)
                parts = []

    def _write(self, parts: list[pa.Table]) -> None:
        rows = pa.concat_tables(parts)
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        data = sink.getvalue().to_pybytes()
        moment = datetime.fromtimestamp(self.clock(), timezone.utc)
        name = f"{moment:%Y%m%dT%H%M%S%fZ}-{os.getpid()}-{self.written:06d}.parquet"
        if self.failure or self.bytes + len(data) > self.limit:
            self._lose(rows.num_rows, f"{self.folder}: has {self.bytes:,} bytes, --record-bytes")
            return
        try:
            files.write_whole(files.join(self.folder, name), data)
            files.flush()
        except OSError as error:
            self._lose(rows.num_rows, f"{self.folder}: cannot be written: {error.strerror}")
            return
        self.written += 1
        self.bytes += len(data)
        self._check_limit()

    def _lose(self, rows: int, failure: str) -> None:
        self.failure = self.failure or failure
        with self._lock:
            self.recorded -= rows
            self.lost += rows

    def _check_limit(self) -> None:
        if self.bytes >= self.limit:
            self.failure = f"{self.folder}: has {self.bytes:,} bytes, --record-bytes"


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
        new = [uuid4().hex if key is None else key for key in keys.to_pylist()]
        return pa.array(new, pa.string())

    def keep(self, rows: pa.RecordBatch, keys: pa.Array, prediction: pa.Array, model: str) -> None:
        """Records answered questions, asked now.

        Args:
            rows: accepted rows.
            keys: theirs.
            prediction: what was answered.
            model: the name of the model that has answered.
        """
        schema, number = self.schema, rows.num_rows
        now = np.full(number, int(self.questions.clock() * 1_000_000))
        columns = {
            str(schema.id): keys,
            schema.time: pa.array(now).cast(TIME_TYPE),
            **{name: pa.array(rows.column(name), from_pandas=True) for name in schema.read_numeric},
            **{name: rows.column(name).cast(pa.string()) for name in schema.categorical},
        }
        made = {"prediction": prediction, "model": pa.repeat(pa.scalar(model), number)}
        for name, values in made.items():
            columns[f"{name}_" if name in columns else name] = values
        self.questions.take(pa.table(columns))
