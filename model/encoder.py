"""The encoder: raw columns to a matrix, by a training window's statistics.

Numeric features are standardised as scikit-learn's StandardScaler does it; categorical ones
become 0/1 columns: one for each frequent value, and one for all others and null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.batch import all_within, column
from model.schema import Schema
from model.statistics import Numeric, Statistics, frequent

OTHER = "other"
BOUND = 1e30
"""Standardised values are clipped to this: trees compare in float32, whose maximum is 3e38."""


@dataclass(frozen=True)
class Encoder:
    """Turns the rows of accepted batches into a matrix.

    Attributes:
        numeric: the numeric features, in order.
        means: of each numeric feature; nulls are filled with it.
        scales: of each numeric feature: the standard deviation, 1 for a constant.
        categories: of each categorical feature the values that have a column, sorted.

    Example:
        >>> from model.statistics import summarize
        >>> x = np.array([1.0, 3.0])
        >>> fitted = Encoder(("x",), *standardization([summarize(x)]), {})
        >>> fitted.transform(pa.record_batch({"x": np.array([1.0, np.nan, 5.0])})).tolist()
        [[-1.0], [0.0], [3.0]]
    """

    numeric: tuple[str, ...]
    means: npt.NDArray[np.float64]
    scales: npt.NDArray[np.float64]
    categories: dict[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The matrix's columns, each another name: ``x``, ``carrier=AA``, ``carrier=other``.

        A category may be called ``other``, and a column ``carrier=AA``: see ``distinct``.
        """
        expanded = [f"{c}={v}" for c, vs in self.categories.items() for v in (*vs, OTHER)]
        return distinct([*self.numeric, *expanded])

    @property
    def owners(self) -> list[str]:
        """The feature that each of the matrix's columns is of.

        Example:
            >>> Encoder(("x",), np.zeros(1), np.ones(1), {"c": ("a", "b")}).owners
            ['x', 'c', 'c', 'c']
        """
        expanded = [name for name, values in self.categories.items() for _ in (*values, OTHER)]
        return [*self.numeric, *expanded]

    def transform(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        """The matrix of a batch: float64, C order, shape (rows, len(self.names)).

        Raises:
            KeyError: if the batch lacks a feature.
        """
        return self.matrix(self.scores(batch), batch)

    def scores(self, batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
        """The numeric features' standard scores, feature by feature: shape (features, rows).

        Raises:
            KeyError: if the batch lacks a numeric feature.
        """
        scores = np.empty((len(self.numeric), batch.num_rows))
        for i, name in enumerate(self.numeric):
            self._standardize(column(batch, name), i, scores[i])
        return scores

    def matrix(
        self, scores: npt.NDArray[np.float64], batch: pa.RecordBatch
    ) -> npt.NDArray[np.float64]:
        """As ``transform``, from the ``scores`` of the same batch."""
        if not self.categories:
            return np.ascontiguousarray(scores.T)
        offset = len(self.numeric)
        width = offset + sum(len(v) + 1 for v in self.categories.values())
        matrix = np.zeros((batch.num_rows, width))
        matrix[:, :offset] = scores.T
        every_row = np.arange(batch.num_rows)
        for name, values in self.categories.items():
            matrix[every_row, offset + codes(batch.column(name), values)] = 1.0
            offset += len(values) + 1
        return matrix

    def standardize(self, batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
        """A numeric feature's standard scores, shape (rows,); a null, which takes the mean, has 0.

        Raises:
            KeyError: if the batch lacks it.
            ValueError: if it is not a numeric feature.
        """
        scores = np.empty(batch.num_rows)
        self._standardize(column(batch, name), self.numeric.index(name), scores)
        return scores

    def known(self, name: str) -> Sequence[str]:
        """The values of a categorical feature that it tells apart; none of another feature."""
        return self.categories.get(name, ())

    def unknown(self, batch: pa.RecordBatch) -> dict[str, int]:
        """The number of values, other than null, that have no column, by feature.

        Features without any are left out.
        """
        counts = {
            name: count_unknown(batch.column(name), known)
            for name, known in self.categories.items()
        }
        return {name: count for name, count in counts.items() if count}

    def _standardize(
        self, values: npt.NDArray[np.float64], i: int, out: npt.NDArray[np.float64]
    ) -> None:
        np.subtract(values, self.means[i], out=out)
        out /= self.scales[i]
        if not all_within(out, -BOUND, BOUND):
            np.clip(out, -BOUND, BOUND, out=out)
            out[np.isnan(out)] = 0.0


def distinct(names: Sequence[str]) -> list[str]:
    """Makes names unique: a name that was there before gets a number.

    Example:
        >>> distinct(["c=a", "c=other", "c=other", "x"])
        ['c=a', 'c=other', 'c=other (2)', 'x']
    """
    found: dict[str, None] = {}
    for name in names:
        label, number = name, 1
        while label in found:
            number += 1
            label = f"{name} ({number})"
        found[label] = None
    return list(found)


def fit_encoder(statistics: Statistics, schema: Schema) -> Encoder:
    """The encoder of a window, from its statistics alone."""
    means, scales = standardization([statistics.numeric(name) for name in schema.numeric])
    categories = {name: frequent(statistics.categorical(name)) for name in schema.categorical}
    return Encoder(schema.numeric, means, scales, categories)


def standardization(
    columns: list[Numeric],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Means and scales: the standard score is (value - mean) / scale.

    A column that is constant to rounding scales by 1; one without a value has mean 0.
    The bound of 'constant' is that of scikit-learn (sklearn.preprocessing._data,
    _is_constant_feature), after Chan, Golub and LeVeque.
    """
    means = np.array([0.0 if c.mean is None else c.mean for c in columns])
    variances = np.array([0.0 if c.variance is None else c.variance for c in columns])
    counts = np.array([c.count for c in columns], dtype=np.float64)
    eps = np.finfo(np.float64).eps
    constant = variances <= counts * eps * variances + (counts * means * eps) ** 2
    return means, np.where(constant, 1.0, np.sqrt(variances))


def count_unknown(values: pa.Array, known: tuple[str, ...]) -> int:
    """The number of values of a categorical column, nulls aside, without a column of their own."""
    return int(np.count_nonzero((codes(values, known) == len(known)) & values.is_valid()))


def count_nulls(values: pa.Array) -> int:
    """The number of nulls of a feature; a number that is NaN is null.

    Example:
        >>> count_nulls(pa.array([1.0, float("nan")])), count_nulls(pa.array(["a", None, None]))
        (1, 2)
    """
    if not pa.types.is_floating(values.type):
        return int(values.null_count)
    return int(np.count_nonzero(np.isnan(values.to_numpy(zero_copy_only=False))))


def codes(values: pa.Array, known: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Each value's index among the known ones; ``len(known)`` for any other and for null.

    In models from before categories were canonical an empty text may be known: null takes its
    place.
    """
    place = {value: i for i, value in enumerate(known)}
    other = len(known)
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    table = np.array(
        [place.get(v, other) for v in values.dictionary.to_pylist()] + [place.get("", other)]
    )
    indices = values.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.int64] = table[indices]
    return found
