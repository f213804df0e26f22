"""A sample of a window's rows that keeps rare classes, and merges.

Every class has the same room: of a class that fits it all rows stay, of any other those whose ids
have the least hashes (``model.sample``). The room follows from how many rows of each class there
are in all, which statistics count, so a part's room is never less than that of the whole: parts may
be cut down before they meet, in any order. ``model.classes.fit.weigh`` weighs the rows that stay by
how many they stand for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from model.batch import filter_rows, row_ids
from model.classes.decision import find_places
from model.sample import splitmix64
from model.statistics import Categorical


def count_classes(parts: Iterable[Categorical]) -> dict[str, int]:
    """How many rows of each class there are in all parts."""
    counts: dict[str, int] = {}
    for part in parts:
        for name, count in part.values.items():
            counts[name] = counts.get(name, 0) + count
    return counts


def find_room(counts: Iterable[int], rows: int) -> int:
    """How many rows of each class stay at most, 1 at least, so that ``rows`` stay in all.

    Example:
        >>> find_room([900, 30, 10], 100), find_room([3, 4], 100)
        (60, 100)
    """
    left, rest = rows, sorted(counts)
    for place, count in enumerate(rest):
        share = left // (len(rest) - place)
        if count > share:
            return max(1, share)
        left -= count
    return rows


def keep_classes(
    batches: list[pa.RecordBatch], target: str, counts: Mapping[str, int], rows: int
) -> list[pa.RecordBatch]:
    """Cuts batches down to about so many rows, of each class those with the least hashes.

    Args:
        batches: labelled rows, of all that ``counts`` counts or of a sample of them.
        target: the column of their classes.
        counts: how many rows of each class there are in all.
        rows: how many may stay; more do where there are more classes.
    """
    if sum(counts.values()) <= rows:  # not the batches' rows: these may have been cut down before
        return batches
    classes, room = tuple(sorted(counts)), find_room(counts.values(), rows)
    places = [find_places(batch.column(target), classes) for batch in batches]
    hashes = [splitmix64(row_ids(batch)) for batch in batches]
    every_place, every_hash = np.concatenate(places), np.concatenate(hashes)
    limits = np.full(len(classes), np.iinfo(np.uint64).max, np.uint64)
    for place in range(len(classes)):
        mine = every_hash[every_place == place]
        if len(mine) > room:
            limits[place] = np.partition(mine, room - 1)[room - 1]
    return [
        filter_rows(batch, mine <= limits[place])
        for batch, mine, place in zip(batches, hashes, places, strict=True)
    ]
