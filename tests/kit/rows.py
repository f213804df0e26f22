"""What the tests of the pure core share: rows to learn from, and a file system in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, BinaryIO, ClassVar

import numpy as np
import pyarrow as pa
from apache_beam.io.filesystem import (
    BeamIOError,
    CompressedFile,
    CompressionTypes,
    FileMetadata,
    FileSystem,
)

from model.batch import ID, LATE, SECOND, TIME, accepted_schema
from model.manifest import Learner, Manifest, Window
from model.schema import Features, Schema
from model.training import Normalized, normalize, train
from tests.kit.sums import summarize_batch

RIDES = Schema(
    name="rides",
    time="at",
    target="y",
    features=Features(numeric=("x", "z"), categorical=("c",)),
)
NOON = int(datetime(2026, 11, 23, 12, tzinfo=timezone.utc).timestamp()) * SECOND


def accept(
    schema: Schema,
    columns: dict[str, Any],
    ids: Sequence[int] | None = None,
    times: Sequence[int] | None = None,
) -> pa.RecordBatch:
    """An accepted batch; without ids and times one row a second from NOON on."""
    rows = len(columns[schema.target])
    given = {
        ID: range(rows) if ids is None else ids,
        TIME: [NOON + i * SECOND for i in range(rows)] if times is None else times,
        LATE: [False] * rows,
        **columns,
    }
    wanted = accepted_schema(schema)
    return pa.record_batch([pa.array(given[f.name]).cast(f.type) for f in wanted], schema=wanted)


def rides(rows: int, seed: int = 0) -> pa.RecordBatch:
    """Rows whose y depends on x, z and c, with noise."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(10, 2, rows), rng.normal(size=rows)
    c = rng.choice(["bus", "car", "tram"], rows)
    y = 3 * x - z + 5 * (c == "bus") + rng.normal(size=rows)
    return accept(RIDES, {"y": y, "x": x, "z": z, "c": c.tolist()})


RIDGE = Learner("ridge", {"alpha": 0.5}, 1)
SMALL_FOREST = Learner("forest", {"n_estimators": 5}, 1)
LEARNERS = [RIDGE, SMALL_FOREST, Learner("boosting", {"max_iter": 5}, 1)]
WINDOW = Window(NOON, NOON + 400 * SECOND)


def normalize_rows(batch: pa.RecordBatch) -> Normalized:
    """A window of just these rows."""
    return normalize(batch, summarize_batch(batch, RIDES), RIDES, WINDOW)


def train_model(learner: Learner, batch: pa.RecordBatch) -> tuple[bytes, Manifest]:
    """An artefact of just these rows."""
    return train(normalize_rows(batch), RIDES, learner)


class _Upload(io.BytesIO):
    """As in an object store: there is an object only when its upload has ended."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def close(self) -> None:
        if not self.closed:
            InMemory.files[self.path] = self.getvalue()
        super().close()


def _open(file: BinaryIO, path: str, compression: str) -> Any:
    if compression == CompressionTypes.AUTO:
        compression = CompressionTypes.detect_compression_type(path)
    if compression == CompressionTypes.UNCOMPRESSED:
        return file
    return CompressedFile(file, compression_type=compression)


class InMemory(FileSystem):
    """An object store in this process: ``in-memory://bucket/name``. Beam finds it by its scheme."""

    files: ClassVar[dict[str, bytes]] = {}

    @classmethod
    def scheme(cls) -> str:
        return "in-memory"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError("an object store has no folders")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path in sorted(self.files):
            if path.startswith(dir_or_prefix):
                yield self.metadata(path)

    def create(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> Any:
        return _open(_Upload(path), path, compression_type)

    def open(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> Any:
        return _open(io.BytesIO(self.files[path]), path, compression_type)

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        raise NotImplementedError

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        return path in self.files

    def size(self, path: str) -> int:
        return len(self.files[path])

    def last_updated(self, path: str) -> float:
        return 0.0

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(self.files[path]), 0.0)

    def delete(self, paths: list[str]) -> None:
        gone = {path: KeyError(path) for path in paths if self.files.pop(path, None) is None}
        if gone:
            raise BeamIOError("Delete operation failed", gone)
