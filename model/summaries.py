"""What of a batch is trained on: its labelled rows that are not late, with their statistics."""

from __future__ import annotations

import pyarrow as pa

from model.batch import LATE, drop_carried, filter_rows, labelled_mask, late_mask
from model.block_sums import BlockSums, sum_by_blocks
from model.sample import bottom_k
from model.schema import Schema

REDUCED_ROWS = 1_000
"""Number of rows of a window that are kept beside its moments, for the figures that need rows."""


def summarize_rows(
    batch: pa.RecordBatch, schema: Schema, reduce: bool, halves: bool = False
) -> tuple[pa.RecordBatch, BlockSums] | None:
    """The rows that are trained on and their sums; None without such a row.

    Args:
        batch: an accepted batch.
        schema: what its columns mean.
        reduce: whether moments take the place of most rows (``model.moments.suffice``).
        halves: whether they have those of a half, for a trial (``model.gate``).

    Returns:
        The rows, or a sample of them beside moments; the sums of all of them.
    """
    mask = labelled_mask(batch, schema)
    if batch.column(LATE).true_count:
        mask &= ~late_mask(batch)
    rows = filter_rows(drop_carried(batch, schema), mask)
    if rows.num_rows == 0:
        return None
    sums = sum_by_blocks(rows, schema, reduce, halves)
    if not reduce:
        return rows, sums
    [sample] = bottom_k([rows], REDUCED_ROWS)
    return sample, sums
