"""Rows by the values of columns: entities, and errors by the values with the most rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.arrays import Matrix
from model.blocks import Places, number_blocks
from model.exact import Exact, add_each

Codes = npt.NDArray[np.int64]
LARGEST = 10
"""Number of values that have figures of their own, the others together."""
BETWEEN = "\x1f"
"""What stands between the values of several columns (ASCII's unit separator)."""


class Named(NamedTuple):
    """The value of each row, as a number.

    Attributes:
        codes: places in ``names``, shape (rows,); -1 for null.
        names: the values, each once.
    """

    codes: Codes
    names: list[str]

    def take(self, rows: Any) -> Named:
        """Those of some rows, by a mask or their places."""
        return Named(self.codes[rows], self.names)


def name_rows(batch: pa.RecordBatch, columns: Sequence[str]) -> Named:
    """The values of one or several columns of texts; null if one of them is.

    Example:
        >>> rows = pa.record_batch({"a": ["x", "y", None, "x"]})
        >>> name_rows(rows, ["a"])
        Named(codes=array([ 0,  1, -1,  0]), names=['x', 'y'])
    """
    values = [batch.column(name) for name in columns]
    texts = [
        each.dictionary_decode() if pa.types.is_dictionary(each.type) else each for each in values
    ]
    whole = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, BETWEEN)
    encoded = whole.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Named(codes, encoded.dictionary.to_pylist())


class GroupSums(NamedTuple):
    """Sums over the rows of one value.

    Attributes:
        rows: how many they are.
        absolute: the sum of |error|.
        baseline: the sum of |target - the mean target of the model's window|.
    """

    rows: int
    absolute: Exact
    baseline: Exact

    def add(self, other: GroupSums) -> GroupSums:
        """The sums of both."""
        return GroupSums(
            self.rows + other.rows,
            self.absolute + other.absolute,
            self.baseline + other.baseline,
        )

    def figures(self) -> dict[str, Any]:
        """``labelled``, ``mae``, ``baseline_mae`` and ``skill``."""
        absolute, baseline = float(self.absolute), float(self.baseline)
        skill = 1 - absolute / baseline if baseline else None
        found = {"mae": absolute / self.rows, "baseline_mae": baseline / self.rows}
        return {"labelled": self.rows, **found, "skill": skill}


Groups = Mapping[str | None, GroupSums]
"""Sums by value; None is null."""


def sum_groups(named: Named, errors: Matrix, baseline: Matrix, starts: Places) -> Groups:
    """The sums of rows by their values.

    Args:
        named: of the rows.
        errors: |error| of each row.
        baseline: that of the baseline.
        starts: where blocks begin (``model.blocks``).
    """
    codes = named.codes + 1
    blocks = number_blocks(starts, len(codes))
    # One sum for each value in each block, then for each value.
    cells, inverse, counts = np.unique(
        codes * max(1, len(starts)) + blocks, return_inverse=True, return_counts=True
    )
    values = cells // max(1, len(starts))
    mine, theirs = (
        np.bincount(inverse, weights=each, minlength=len(cells)) for each in (errors, baseline)
    )
    edges = np.flatnonzero(np.diff(values, prepend=-1))
    found: dict[str | None, GroupSums] = {}
    for low, high in pairwise([*edges.tolist(), len(cells)]):
        code = int(values[low]) - 1
        some = slice(low, high)
        absolute, by_mean = add_each(np.stack([mine[some], theirs[some]]))
        name = None if code < 0 else named.names[code]
        found[name] = GroupSums(int(counts[some].sum()), absolute, by_mean)
    return found


def merge_groups(a: Groups, b: Groups) -> Groups:
    """The sums of both parts."""
    merged = dict(a)
    for name, sums in b.items():
        merged[name] = merged[name].add(sums) if name in merged else sums
    return merged


def largest(groups: Groups) -> dict[str, Any]:
    """The figures of the values with the most rows, and of all others together.

    Returns:
        ``values``, a list with ``value`` (null, too) and figures, the one with the most rows
        first, ties by name, null before them; ``others``: how many other values there are;
        ``other``: their figures, null without any.
    """
    ranked = sorted(
        groups.items(), key=lambda pair: (-pair[1].rows, pair[0] is not None, pair[0] or "")
    )
    rest = ranked[LARGEST:]
    other = None
    for _, sums in rest:
        other = sums if other is None else other.add(sums)
    return {
        "values": [{"value": name, **sums.figures()} for name, sums in ranked[:LARGEST]],
        "others": len(rest),
        "other": None if other is None else other.figures(),
    }
