"""Blocks: the rows over which sums are rounded, however the stream is cut into batches.

A block is ``BLOCK`` row ids. Readers cut their batches at multiples of it, so that all rows of a
block that count together (those of a serve window, say) are neighbours in one batch, and a sum
over them has the same digits in any cut. Sums of blocks are then added without rounding
(``model.exact``), or in the order of their rows' ids (``model.block_sums``).

A topic's rows have their partition and offset in their ids, and its ranges are cut by its own
timestamps (``reading.kafka.planning``): what of a block lies in a range is read as one. Where ids
are hashes (``transforms.sources.rows``), each row is in effect a block of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model.arrays import Floats
from model.exact import Exact, add_exactly

BITS = 10
BLOCK = 1 << BITS
"""Number of row ids of a block."""

Places = npt.NDArray[np.intp]


def round_up(rows: int) -> int:
    """The rows of a batch: whole blocks.

    Example:
        >>> round_up(1), round_up(1_024), round_up(10_000)
        (1024, 1024, 10240)
    """
    return -(-rows // BLOCK) * BLOCK


def find_starts(ids: npt.NDArray[np.int64] | None, rows: int) -> Places:
    """Where blocks begin among rows.

    Args:
        ids: of the rows, in their order; None: they are one block.
        rows: how many there are.

    Example:
        >>> find_starts(np.array([1022, 1023, 1024, 1025]), 4).tolist()
        [0, 2]
    """
    if not rows:
        return np.empty(0, np.intp)
    if ids is None:
        return np.zeros(1, np.intp)
    blocks = ids >> BITS
    begins = np.empty(rows, np.bool_)
    begins[0] = True
    np.not_equal(blocks[1:], blocks[:-1], out=begins[1:])
    return begins.nonzero()[0]


def add_blocks(values: Floats, starts: Places) -> Floats:
    """The sum of each block, along the last axis.

    A block's sum depends on its rows alone: numpy adds those of each in the same order.
    """
    if not len(starts):
        return np.empty((*values.shape[:-1], 0))
    with np.errstate(over="ignore", invalid="ignore"):
        sums: Floats = np.add.reduceat(values, starts, axis=-1)
    return sums


def sum_blocks(values: Floats, starts: Places) -> Exact:
    """The sum of all blocks' sums, shape (rows,)."""
    return add_exactly(add_blocks(values, starts))


def repeat_each(values: npt.NDArray[Any], starts: Places, rows: int) -> npt.NDArray[Any]:
    """What each block has, for each of its rows, along the last axis."""
    return np.repeat(values, count_rows(starts, rows), axis=-1)


def number_blocks(starts: Places, rows: int) -> Places:
    """The number of the block that each row lies in, from 0.

    Example:
        >>> number_blocks(np.array([0, 2]), 3).tolist()
        [0, 0, 1]
    """
    return repeat_each(np.arange(len(starts)), starts, rows)


def count_rows(starts: Places, rows: int) -> Places:
    """How many rows each block has."""
    counts = np.empty(len(starts), np.intp)
    counts[:-1] = starts[1:]
    counts[-1:] = rows
    counts -= starts
    return counts
