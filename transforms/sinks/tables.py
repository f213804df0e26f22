"""Tables as the bytes of a file, and the shard that a file is called after."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from model.batch import filter_rows
from model.sample import splitmix64
from transforms.elements import (
    ScoredBatch,
    Tagged,
    WrittenFile,
)


def parquet_bytes(rows: pa.Table, dictionary: bool | list[str] = True) -> bytes:
    """A table as the bytes of a Parquet file.

    Args:
        rows: the table.
        dictionary: whether values that come again are written once, or of which columns. Where
            nearly none does, that takes twice the time, and more bytes.
    """
    buffer = io.BytesIO()
    # In one piece: how rows came together must not be seen in the file.
    pq.write_table(rows.combine_chunks(), buffer, compression="zstd", use_dictionary=dictionary)
    return buffer.getvalue()


def nullable(values: npt.NDArray[np.float64]) -> pa.Array:
    """Float64 values as Arrow's; NaN becomes null."""
    return pa.array(values, from_pandas=True)


Rows = TypeVar("Rows", bound=Tagged)


TOGETHER = 13
"""Rows whose ids differ in so many last bits alone are in one file: eight blocks of rows."""


def cut_by_shard(rows: Rows, shards: int) -> Iterator[tuple[int, Rows]]:
    """Rows by the shard that their file is called after.

    It follows from a row's id alone, so that no cut into batches changes what is in a file.
    """
    batch = rows.rows
    groups = batch.column("id").to_numpy() >> TOGETHER
    if groups[0] == groups[-1] and (groups == groups[0]).all():
        yield int(splitmix64(groups[:1])[0] % np.uint64(shards)), rows
        return
    found = splitmix64(groups) % np.uint64(shards)
    for shard in np.unique(found).tolist():
        yield int(shard), replace(rows, rows=filter_rows(batch, found == shard))


Scored = beam.PCollection[ScoredBatch]
Written = beam.PCollection[WrittenFile]
