"""What of a batch is trained on: its labelled rows that are not late, with their statistics."""

from __future__ import annotations

import pyarrow as pa

from model import moments, statistics
from model.batch import LATE, drop_carried, filter_rows, labelled_mask, late_mask
from model.moments import Moments
from model.sample import bottom_k
from model.schema import Schema
from model.seasons import SlotSums, sum_season
from model.statistics import Statistics

REDUCED_ROWS = 1_000
"""Number of rows of a window that are kept beside its moments, for the figures that need rows."""


def summarize_rows(
    batch: pa.RecordBatch, schema: Schema, reduce: bool, halves: bool = False
) -> tuple[pa.RecordBatch, Statistics, Moments | None] | None:
    """The rows that are trained on and their statistics; None without such a row.

    Args:
        batch: an accepted batch.
        schema: what its columns mean.
        reduce: whether moments take the place of most rows (``model.moments.suffice``).
        halves: whether they have those of a half, for a trial (``model.gate``).

    Returns:
        The rows, or a sample of them beside moments; the statistics of all of them; their moments
        if ``reduce`` is set.
    """
    mask = labelled_mask(batch, schema)
    if batch.column(LATE).true_count:
        mask &= ~late_mask(batch)
    rows = filter_rows(drop_carried(batch, schema), mask)
    if rows.num_rows == 0:
        return None
    season = sum_season(rows, schema)
    if not reduce:
        whole = statistics.summarize_batch(rows, schema)
        return rows, _with_season(whole, season), None
    found, sums = moments.summary(rows, schema, halves)
    found = _with_season(found, season)
    [sample] = bottom_k([rows], REDUCED_ROWS)
    return sample, found, sums


def _with_season(found: Statistics, season: SlotSums | None) -> Statistics:
    return found if season is None else found.model_copy(update={"season": season})
