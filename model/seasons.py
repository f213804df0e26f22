"""The baseline ``season``: the mean target of a window in the same slot of a season.

A season (a day, a week) has 24 slots, from multiples of its length since 1970 in UTC. A window's
sums by slot merge as its statistics do, with which they travel into the artefact; so a row is
compared without anything else. A slot without a target in the window predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.batch import SECOND, column, event_times, row_ids
from model.blocks import find_starts, number_blocks
from model.comparing import SLOTS
from model.exact import Exact, add_each, sum_exactly
from model.schema import Schema

SlotSums: TypeAlias = tuple[tuple[int, float], ...]
"""Of each slot, how many targets it has, and their sum."""
ExactSlots: TypeAlias = tuple[tuple[int, Exact], ...]
"""The same of a batch, before it is rounded."""


def find_slots(times: npt.NDArray[np.int64], season: int) -> npt.NDArray[np.int64]:
    """The slots of some times.

    Args:
        times: microseconds since 1970, shape (rows,).
        season: its length, seconds, a multiple of 24.

    Example:
        >>> find_slots(np.array([0, 3_600, 86_399, 86_400]) * SECOND, 86_400).tolist()
        [0, 1, 23, 0]
    """
    slots: npt.NDArray[np.int64] = times // (season // SLOTS * SECOND) % SLOTS
    return slots


def sum_season(rows: pa.RecordBatch, schema: Schema) -> ExactSlots | None:
    """The sums of labelled rows by slot; None unless the schema names a season."""
    season = schema.baseline.season
    if season is None:
        return None
    slots = find_slots(event_times(rows), season)
    starts = find_starts(row_ids(rows), rows.num_rows)
    blocks = number_blocks(starts, rows.num_rows)
    size = max(1, len(starts))
    sums: Any = np.bincount(
        slots * size + blocks, weights=column(rows, schema.target), minlength=SLOTS * size
    )
    counts = np.bincount(slots, minlength=SLOTS).tolist()
    return tuple(zip(counts, add_each(sums.reshape(SLOTS, size)), strict=True))


def merge_seasons(parts: Sequence[ExactSlots | None]) -> ExactSlots | None:
    """The sums of all parts' rows; None unless all have sums."""
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return tuple(
        (sum(count for count, _ in slot), sum_exactly(total for _, total in slot))
        for slot in zip(*found, strict=True)
    )


def predict_season(rows: pa.RecordBatch, schema: Schema, sums: SlotSums | None) -> Matrix | None:
    """What the baseline predicts for each row, NaN where it does not.

    Args:
        rows: an accepted batch.
        schema: of the rows.
        sums: of the model's window; None in artefacts that were made without them.

    Returns:
        Shape (rows,); None unless the schema names a season and there are sums.
    """
    season = schema.baseline.season
    if season is None or sums is None:
        return None
    counts, totals = np.array(sums, np.float64).T
    means = np.full(SLOTS, np.nan)
    np.divide(totals, counts, out=means, where=counts > 0)
    return means[find_slots(event_times(rows), season)]
