"""Sums of batches, as a window has them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from model.block_sums import finish, sum_by_blocks
from model.schema import Schema
from model.statistics import Statistics


def summarize_batches(batches: Iterable[pa.RecordBatch], schema: Schema) -> Statistics:
    """The statistics of the rows of all batches."""
    return finish([sum_by_blocks(batch, schema) for batch in batches], schema)[0]


def summarize_batch(batch: pa.RecordBatch, schema: Schema) -> Statistics:
    """The statistics of a batch's rows."""
    return summarize_batches([batch], schema)
