"""A deterministic sample of rows that merges: those whose ids have the least hashes.

Bottom-k sampling (Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"): the k
least of a union are among the k least of its parts, so parts may be cut down before they
meet, in any order, and the sample is the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import filter_rows, row_ids


def splitmix64(values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A hash of each int64: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).

    It is a bijection, so different ids never tie.
    """
    z = values.astype(np.uint64)
    z += np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def bottom_k(batches: list[pa.RecordBatch], k: int) -> list[pa.RecordBatch]:
    """Cuts batches down to the k rows, of all of them, whose ids have the least hashes.

    Args:
        batches: with the column ``__id``, no id twice.
        k: how many rows stay at the most, above 0.

    Returns:
        As many batches, rows in their order; a batch may have none left.
    """
    total = sum(b.num_rows for b in batches)
    if total <= k:
        return batches
    hashes = [splitmix64(row_ids(b)) for b in batches]
    # No two ids have one hash, so exactly k rows are at or below the k-th.
    threshold = np.partition(np.concatenate(hashes), k - 1)[k - 1]
    return [filter_rows(b, h <= threshold) for b, h in zip(batches, hashes, strict=True)]


def in_half(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which rows are in the one of two halves, by the last bit of their ids' hashes.

    ``bottom_k`` goes by the first bits: a sample's rows are of both halves.
    """
    return (hashes & np.uint64(1)).astype(np.bool_)
