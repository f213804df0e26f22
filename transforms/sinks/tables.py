"""Tables as the bytes of a file, and the shard that a file is called after."""

from __future__ import annotations

import io
from typing import TypeVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.assign_models import shard_of
from transforms.elements import (
    ScoredBatch,
    Tagged,
    WrittenFile,
)


def parquet_bytes(rows: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def nullable(values: npt.NDArray[np.float64]) -> pa.Array:
    """Float64 values as Arrow's; NaN becomes null."""
    return pa.array(values, from_pandas=True)


Rows = TypeVar("Rows", bound=Tagged)


def add_file_shard(rows: Rows, shards: int) -> tuple[int, Rows]:
    """Rows with the shard that their file is called after as key."""
    return shard_of(rows.tag.key, shards), rows


Scored = beam.PCollection[ScoredBatch]
Written = beam.PCollection[WrittenFile]
