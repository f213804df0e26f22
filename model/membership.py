"""Which row ids are among others, and where."""

from __future__ import annotations

import numpy as np

from model.labels import Ints, Mask

TABLE = 64
"""Maximum number of bytes of a table for each id that is looked for in it, or looked up."""


def is_in(values: Ints, others: Ints) -> Mask:
    """Which values are among others.

    Row ids of a file lie close together: then a table of those between the least and the greatest
    value is quicker than any sort (``numpy.isin`` sorts as soon as one of ``others`` is far away).

    Example:
        >>> is_in(np.array([3, 5, 5]), np.array([5, 1 << 60])).tolist()
        [False, True, True]
    """
    if not len(values) or not len(others):
        return np.zeros(len(values), np.bool_)
    least, greatest = int(values.min()), int(values.max())
    if greatest - least > TABLE * (len(values) + len(others)):
        found: Mask = np.isin(values, others)
        return found
    there = np.zeros(greatest - least + 1, np.bool_)
    there[others[(others >= least) & (others <= greatest)] - least] = True
    found = there[values - least]
    return found


def find_places(values: Ints, ascending: Ints) -> Ints | None:
    """Where values stand among others, which ascend; None if one is missing there.

    Example:
        >>> find_places(np.array([7, 3]), np.array([3, 5, 7])).tolist()
        [2, 0]
        >>> find_places(np.array([4]), np.array([3, 5, 7])) is None
        True
    """
    places = np.searchsorted(ascending, values)
    if places.max(initial=-1) >= len(ascending):
        return None
    return places if np.array_equal(ascending[places], values) else None
