"""Statistics of a window's columns, as an artefact's manifest has them.

They come from sums of the window's blocks of rows (``model.block_sums``).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

MAX_CATEGORIES = 64
"""Maximum number of values of a categorical feature that have a column, unless the schema says
otherwise: the most frequent."""
MANY = 1_000
"""Maximum number of values of a categorical feature that a window's statistics list: of one with
more they list only those that have a column in the matrix."""
GREATEST = sys.float_info.max
"""Variances beyond float64 are clipped to this."""


class Numeric(BaseModel):
    """Statistics of a numeric column.

    Attributes:
        count: values that are not null.
        nulls: values that are.
        mean, variance, min, max: of the values, variance that of the population (as
            scikit-learn's StandardScaler has it); null if there is no value. A variance
            beyond float64 is clipped to ``GREATEST``.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    nulls: int
    mean: float | None
    variance: float | None
    min: float | None
    max: float | None


class Categorical(BaseModel):
    """Statistics of a categorical column.

    Attributes:
        count: values that are not null.
        nulls: values that are.
        values: how often each value stands in the column; of more than ``MANY`` in a window
            only those that have a column in its model's matrix (``cut``).
        distinct: how many values there are, where ``values`` has not all; it is written only
            then.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    nulls: int
    values: dict[str, int]
    distinct: int | None = None

    @model_serializer(mode="wrap")
    def _leave_out_distinct(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.distinct is None:
            del written["distinct"]
        return written

    def cut(self, most: int = MAX_CATEGORIES) -> Categorical:
        """The statistics with no more than ``MANY`` values; they cannot be merged any more.

        Args:
            most: so many values have a column.
        """
        if len(self.values) <= MANY:
            return self
        values = {value: self.values[value] for value in frequent(self, most)}
        return self.model_copy(update={"values": values, "distinct": len(self.values)})


def frequent(column: Categorical, most: int = MAX_CATEGORIES) -> tuple[str, ...]:
    """The values that get a column: the most frequent, ties by name; sorted by name."""
    ranked = sorted(column.values.items(), key=lambda item: (-item[1], item[0]))
    return tuple(sorted(value for value, _ in ranked[:most]))


class Statistics(BaseModel):
    """Statistics of some rows, column by column.

    Attributes:
        columns: a Numeric for each number, a Categorical for each categorical feature and for
            a target that is a class. The target comes first.
        season: of each slot of a season, how many targets, and their sum; None unless the schema
            names a season.

    Example:
        >>> found = Statistics(columns={"x": summarize(np.array([1.0, 3.0, np.nan]))})
        >>> found.numeric("x").mean
        2.0
    """

    model_config = ConfigDict(frozen=True)

    columns: dict[str, Numeric | Categorical]
    season: tuple[tuple[int, float], ...] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_season(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.season is None:
            del written["season"]
        return written

    def cut(self, most: Mapping[str, int] | None = None) -> Statistics:
        """The statistics of a whole window, bounded: see ``Categorical.cut``.

        Args:
            most: how many values have a column, by feature; without it ``MAX_CATEGORIES``.
        """
        limits = most or {}
        columns = {
            name: one.cut(limits.get(name, MAX_CATEGORIES)) if isinstance(one, Categorical) else one
            for name, one in self.columns.items()
        }
        return Statistics(columns=columns, season=self.season)

    def numeric(self, name: str) -> Numeric:
        """The statistics of a numeric column.

        Raises:
            KeyError: if there is no numeric column of that name.
        """
        found = self.columns[name]
        if not isinstance(found, Numeric):
            raise KeyError(name)
        return found

    def categorical(self, name: str) -> Categorical:
        """The statistics of a categorical column.

        Raises:
            KeyError: if there is no categorical column of that name.
        """
        found = self.columns[name]
        if not isinstance(found, Categorical):
            raise KeyError(name)
        return found


def summarize(values: npt.NDArray[np.float64]) -> Numeric:
    """Statistics of float64 values of shape (rows,); NaN is null."""
    present = values
    total = float(values.sum())
    if total != total:  # NaN: there is a null
        present = values[~np.isnan(values)]
        total = float(present.sum())
    count = len(present)
    nulls = len(values) - count
    if count == 0:
        return Numeric(count=0, nulls=nulls, mean=None, variance=None, min=None, max=None)
    # Where the sum overflows, that of the quotients does not.
    mean = total / count if math.isfinite(total) else float((present / count).sum())
    centred = present - mean
    return Numeric(
        count=count,
        nulls=nulls,
        mean=mean,
        variance=min(float(np.square(centred).sum()) / count, GREATEST),
        min=float(present.min()),
        max=float(present.max()),
    )


def count_values(values: pa.Array) -> Categorical:
    """Value counts of a categorical column; values in sorted order."""
    counted = pc.value_counts(values.drop_null())
    names, counts = counted.field("values"), counted.field("counts").to_pylist()
    texts = names.cast(pa.string()).to_pylist()
    tally = dict(sorted(zip(texts, counts, strict=True)))
    return Categorical(count=len(values) - values.null_count, nulls=values.null_count, values=tally)


def merge_categorical(a: Categorical, b: Categorical) -> Categorical:
    """Value counts of both parts together."""
    values = dict(a.values)
    for value, count in b.values.items():
        values[value] = values.get(value, 0) + count
    return Categorical(
        count=a.count + b.count, nulls=a.nulls + b.nulls, values=dict(sorted(values.items()))
    )
