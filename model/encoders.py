"""Encoders of single features: target encoding, more or fewer categories, indicators of nulls.

Target encoding is scikit-learn's ``TargetEncoder`` (Micci-Barreca 2001, "A preprocessing scheme for
high-cardinality categorical attributes"): a value becomes the mean target of its rows, drawn
towards that of all rows where it has few. Rows that are trained on take the mean of the other
folds' rows ("cross fitting"), or a value of one row would give its target away. The folds are
five parts of the rows in the order of (event time, row id), so a retry has the same digits. It
needs the window's rows in one place, so it has no moments (``model.moments``): rows travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.batch import column
from model.encoder import Encoder, count_unknown, distinct, fit_encoder, standardization
from model.loading import load_module
from model.schema import Schema
from model.statistics import MAX_CATEGORIES, Statistics, frequent, summarize

FOLDS = 5
"""Number of folds of cross-fitting; of fewer rows each is a fold of its own."""


class TargetMeans(NamedTuple):
    """What the values of a categorical feature are encoded as.

    Attributes:
        values: the smoothed mean target of each value's rows.
        null: that of the rows without a value; of all rows if there were none.
        mean: the mean target of all rows, which values that were never seen take.
    """

    values: dict[str, float]
    null: float
    mean: float

    def encode(self, values: pa.Array) -> Matrix:
        """A float64 of each value: shape (rows,).

        Example:
            >>> means = TargetMeans({"a": 1.0, "b": 2.0}, 3.0, 1.5)
            >>> means.encode(pa.array(["b", None, "c"])).tolist()
            [2.0, 3.0, 1.5]
        """
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        known = [self.values.get(value, self.mean) for value in values.dictionary.to_pylist()]
        indices = values.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        encoded: Matrix = np.array([*known, self.null])[indices]
        return encoded


def fit_target(values: pa.Array, target: Matrix) -> tuple[TargetMeans, Matrix]:
    """Target encoding of a categorical feature, fitted to rows in the order of their times.

    Args:
        values: categories, shape (rows,), at least one row.
        target: shape (rows,), without NaN.

    Returns:
        The means of all rows, for rows to come, and the cross-fitted encoding of these rows, of
        shape (rows,); of a single row that is its target.

    Example:
        >>> target = np.array([0.0, 2.0, 4.0, 6.0])
        >>> means, encoded = fit_target(pa.array(["a", "a", "b", "b"]), target)
        >>> means.mean, len(encoded)
        (3.0, 4)
    """
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)[:, None]
    encoder = load_module("sklearn.preprocessing").TargetEncoder(target_type="continuous")
    if (rows := len(target)) > 1:
        encoded = encoder.set_params(**_folds(encoder, min(FOLDS, rows))).fit_transform(
            codes, target
        )
    else:  # which makes no two folds
        encoded = encoder.fit(codes, target).transform(codes)
    [known], [means] = encoder.categories_, encoder.encodings_
    by_code = dict(zip(known.tolist(), means.tolist(), strict=True))
    mean = float(encoder.target_mean_)
    null = by_code.pop(-1, mean)
    texts = values.dictionary.to_pylist()
    # Sorted: the order of codes is that in which values came, and of the artefact's bytes.
    by_value = dict(sorted((texts[code], each) for code, each in by_code.items()))
    return TargetMeans(by_value, null, mean), encoded[:, 0]


def _folds(encoder: Any, number: int) -> dict[str, Any]:
    """Parameters of scikit-learn's encoder, of any release, for folds of neighbouring rows."""
    if getattr(encoder, "shuffle", "deprecated") != "deprecated":  # before 1.9
        return {"cv": number, "shuffle": False}
    return {"cv": load_module("sklearn.model_selection").KFold(number)}


@dataclass(frozen=True)
class FeatureEncoder(Encoder):
    """An encoder of a schema with ``[features.encoders]``.

    The matrix has the numeric features, then those that are target-encoded, then 0/1 columns of the
    other categorical ones, then an indicator of nulls for each feature that asks for one.

    Attributes:
        targets: the means of each target-encoded feature; these are the last of ``numeric``, and
            are standardised as they are.
        indicators: the features that have an indicator.
    """

    targets: dict[str, TargetMeans]
    indicators: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """As of any encoder, then the indicators: ``temp_missing``."""
        return distinct([*super().names, *map(name_indicator, self.indicators)])

    @property
    def owners(self) -> list[str]:
        """The feature that each of the matrix's columns is of."""
        return [*super().owners, *self.indicators]

    def scores(self, batch: pa.RecordBatch) -> Matrix:
        """As of any encoder; target-encoded features have standard scores, too."""
        scores = np.empty((len(self.numeric), batch.num_rows))
        for i, name in enumerate(self.numeric):
            means = self.targets.get(name)
            values = column(batch, name) if means is None else means.encode(batch.column(name))
            self._standardize(values, i, scores[i])
        return scores

    def matrix(self, scores: Matrix, batch: pa.RecordBatch) -> Matrix:
        """As of any encoder, then the indicators."""
        matrix = super().matrix(scores, batch)
        if not self.indicators:
            return matrix
        missing = [find_missing(batch, name) for name in self.indicators]
        return np.column_stack([matrix, *missing])

    def unknown(self, batch: pa.RecordBatch) -> dict[str, int]:
        """As of any encoder; of target-encoded features the values that were never seen."""
        found = {
            name: count_unknown(batch.column(name), tuple(means.values))
            for name, means in self.targets.items()
        }
        return {**{name: count for name, count in found.items() if count}, **super().unknown(batch)}

    def known(self, name: str) -> Sequence[str]:
        """The values of a categorical feature that it tells apart."""
        return tuple(self.targets[name].values) if name in self.targets else super().known(name)

    def with_cross_fitted(self, matrix: Matrix, encoded: dict[str, Matrix]) -> Matrix:
        """The matrix of training rows, in which target-encoded features are cross-fitted."""
        trained = matrix.copy()
        for name, values in encoded.items():
            place, scores = self.numeric.index(name), np.empty(len(values))
            self._standardize(values, place, scores)
            trained[:, place] = scores
        return trained


def name_indicator(name: str) -> str:
    """What the indicator of a feature's nulls is called."""
    return f"{name}_missing"


def find_missing(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.float64]:
    """1 where a feature is null, else 0."""
    values = batch.column(name)
    missing = values.is_null(nan_is_null=pa.types.is_floating(values.type))
    return np.asarray(missing.to_numpy(zero_copy_only=False), np.float64)


class Encoded(NamedTuple):
    """A window's rows, encoded.

    Attributes:
        encoder: fitted to them.
        matrix: to train on, shape (rows, columns).
        scored: the same rows as they are encoded in scoring; None if that is ``matrix``.
    """

    encoder: Encoder
    matrix: Matrix
    scored: Matrix | None = None


def encode_window(rows: pa.RecordBatch, statistics: Statistics, schema: Schema) -> Encoded:
    """Fits the encoder of a window, and encodes its rows.

    Args:
        rows: labelled rows of an accepted batch, in the order of their times.
        statistics: of the window; over more rows than these if these are a sample.
        schema: of the rows.
    """
    encoders = schema.encoders
    if not encoders:
        encoder = fit_encoder(statistics, schema)
        return Encoded(encoder, encoder.transform(rows))
    fits = {
        name: fit_target(rows.column(name), column(rows, schema.target))
        for name in schema.categorical
        if name in encoders and encoders[name].encoder == "target"
    }
    most = schema.max_categories
    encoded = {name: values for name, (_, values) in fits.items()}
    columns = [statistics.numeric(name) for name in schema.numeric]
    means, scales = standardization([*columns, *(summarize(each) for each in encoded.values())])
    categories = {
        name: frequent(statistics.categorical(name), most.get(name, MAX_CATEGORIES))
        for name in schema.categorical
        if name not in fits
    }
    encoder = FeatureEncoder(
        (*schema.numeric, *fits),
        means,
        scales,
        categories,
        {name: fitted for name, (fitted, _) in fits.items()},
        tuple(name for name, one in encoders.items() if one.add_indicator),
    )
    scored = encoder.transform(rows)
    if not fits:
        return Encoded(encoder, scored)
    return Encoded(encoder, encoder.with_cross_fitted(scored, encoded), scored)
