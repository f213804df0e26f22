"""The artefact: a model trained on one window. Raw rows go in, predictions come out.

It holds all that scoring needs (schema, statistics, encoder, estimator), so rows are normalised
in training and in scoring by the same code with the same statistics: there can be no skew.

Artefacts name ``model.artefact.rebuild`` and ``model.encoder.Encoder`` in their pickles: both
must stay where they are.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import joblib
import numpy as np
import pyarrow as pa

from model import fitting
from model.arrays import Matrix
from model.batch import ID, row_ids
from model.blocks import find_starts
from model.calendar import derive
from model.categories import category_array, is_null, rename_categories
from model.classes.decision import Classified, Decision
from model.classes.probabilities import predict_probabilities
from model.drift import Histogram, Profile
from model.encoder import Encoder, count_nulls
from model.features import CalendarFeature
from model.loading import import_lock
from model.rows import time_array
from model.schema import Schema
from model.seasons import predict_season
from model.statistics import Statistics
from model.times import describe_times, is_blank, read_optional_times
from model.validation import show_value


class Scores(NamedTuple):
    """An artefact's predictions for some rows.

    Attributes:
        prediction: shape (rows,); of a classifier the places of the predicted classes.
        histogram: counts of the rows in the bins of its profile; None if it has no profile.
        classified: of a classifier the classes and probabilities.
    """

    prediction: Matrix
    histogram: Histogram | None
    classified: Classified | None = None


@dataclass(frozen=True)
class Artefact:
    """A trained model with everything that scoring needs.

    Attributes:
        schema: of the rows.
        statistics: of the window's labelled rows.
        encoder: from raw columns to a matrix.
        estimator: a fitted scikit-learn regressor, or classifier.
        profile: the distribution of the rows that it was trained on; None in artefacts made
            before there were profiles.
        decision: how a classifier's probabilities become predictions; None for a regressor.
    """

    schema: Schema
    statistics: Statistics
    encoder: Encoder
    estimator: Any
    profile: Profile | None = None
    decision: Decision | None = None

    def predict(self, batch: pa.RecordBatch) -> Matrix:
        """Predictions of shape (rows,) for an accepted batch's raw rows.

        A classifier's are the places of the predicted classes (``classify`` has all of them).
        Linear algebra has one thread in this process from then on: see ``model.threads``.
        """
        if batch.num_rows == 0:
            return np.empty(0)
        if self.decision is not None:
            return self.classify(batch).predicted.astype(np.float64)
        return fitting.predict(self.estimator, self.encoder.transform(batch))

    def classify(self, batch: pa.RecordBatch) -> Classified:
        """Classes and probabilities for an accepted batch's raw rows.

        Raises:
            TypeError: if the model is a regressor.
        """
        return self._classify(self.encoder.transform(batch))

    def _classify(self, matrix: Matrix) -> Classified:
        if self.decision is None:
            raise TypeError("the model predicts numbers, not classes")
        if not len(matrix):
            return self.decision.classify(np.empty((0, len(self.decision.columns))))
        return self.decision.classify(predict_probabilities(self.estimator, matrix))

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Predictions for an accepted batch's raw rows, and the rows' counts in the bins."""
        if self.profile is None or batch.num_rows == 0:
            classified = None if self.decision is None else self.classify(batch)
            return Scores(self.predict(batch), None, classified)
        scores = self.encoder.scores(batch)
        matrix = self.encoder.matrix(scores, batch)
        nulls = [count_nulls(batch.column(name)) for name in self.profile.features]
        ids = row_ids(batch) if ID in batch.schema.names else None
        starts = find_starts(ids, batch.num_rows)
        if self.decision is not None:
            classified = self._classify(matrix)
            places = classified.predicted
            found = self.profile.class_histogram(scores, matrix, places, nulls, starts)
            return Scores(classified.predicted.astype(np.float64), found, classified)
        prediction = fitting.predict(self.estimator, matrix)
        return Scores(prediction, self.profile.histogram(scores, matrix, prediction, nulls, starts))

    def predict_columns(self, columns: Mapping[str, Sequence[Any]]) -> Matrix:
        """Predictions of shape (rows,) for features by name, as lists, arrays or Series.

        Args:
            columns: every feature, and every column of times from which calendar features are
                computed, or these features themselves; None, NaN and pandas' NA are nulls. What is
                no feature is ignored. Categories may be of any type that ``model.categories``
                takes, times of any that ``model.times`` reads.

        Raises:
            KeyError: if a feature is missing.
            TypeError: if a value is neither a category nor a time.
            ValueError: if a numeric feature holds text, a time cannot be read, or lengths differ.
        """
        return self.predict(self._features(columns))

    def classify_columns(self, columns: Mapping[str, Sequence[Any]]) -> Classified:
        """As ``classify``, for features by name as ``predict_columns`` takes them."""
        return self.classify(self._features(columns))

    def unknown_columns(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, int]:
        """As ``unknown``, for features by name as ``predict_columns`` takes them."""
        return self.unknown(self._features(columns))

    def _features(self, columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
        schema = self.schema
        numeric = {c: _floats(columns[c]) for c in schema.read_numeric}
        for source, features in schema.calendar.items():
            if source in columns:
                numeric |= _calendar(columns[source], features, schema)
            else:  # as a sample of a run has them
                numeric |= {f.name: _floats(columns[f.name]) for f in features}
        categorical = {c: category_array(columns[c]) for c in schema.categorical}
        return pa.record_batch({**numeric, **categorical})

    def unknown(self, batch: pa.RecordBatch) -> dict[str, int]:
        """The number of values, other than null, that the model has no column for, by feature.

        They count as ``other``, as all values but the most frequent ones do. Features without any
        are left out.

        Args:
            batch: accepted rows.
        """
        return self.encoder.unknown(batch)

    def __reduce__(self) -> tuple[Any, ...]:
        plain = self.schema.model_dump_json(), self.statistics.model_dump_json()
        trained: tuple[Any, ...] = () if self.profile is None else (self.profile_json,)
        if self.decision is not None:
            trained = (self.profile_json or None, self.decision)
        return rebuild, (*plain, self.encoder, self.estimator, *trained)

    @cached_property
    def profile_json(self) -> str:
        """The profile as JSON; "" without one."""
        return "" if self.profile is None else self.profile.model_dump_json()

    @cached_property
    def profile_with_units(self) -> str:
        """The profile as JSON, with the encoder's means and scales and the classes; "" if none."""
        if self.profile is None:
            return ""
        classes = None if self.decision is None else self.decision.classes
        return self.profile.with_units(self.encoder, classes).model_dump_json()

    def predict_season(self, batch: pa.RecordBatch) -> Matrix | None:
        """What the baseline ``season`` predicts for accepted rows, shape (rows,).

        None unless the schema names a season.
        """
        return predict_season(batch, self.schema, self.statistics.season)

    @property
    def baseline(self) -> float:
        """The baseline's prediction: the mean target of the window; 0 of a classifier."""
        if self.decision is not None:
            return 0.0
        mean = self.statistics.numeric(self.schema.target).mean
        assert mean is not None
        return mean


def rebuild(
    schema: str,
    statistics: str,
    encoder: Encoder,
    estimator: Any,
    trained: str | None = None,
    decision: Decision | None = None,
) -> Artefact:
    """Unpickles an artefact, whose schema, statistics and profile are JSON."""
    trained_on = Statistics.model_validate_json(statistics)
    return Artefact(
        Schema.model_validate_json(schema),
        trained_on,
        with_canonical_categories(encoder, trained_on),
        estimator,
        None if trained is None else Profile.model_validate_json(trained),
        decision,
    )


def with_canonical_categories(encoder: Encoder, statistics: Statistics) -> Encoder:
    """The encoder with canonical category names; itself if they are canonical already."""
    names = {
        column: rename_categories(known, statistics.categorical(column).values)
        for column, known in encoder.categories.items()
    }
    return encoder if names == encoder.categories else replace(encoder, categories=names)


def load_bytes(data: bytes) -> Artefact:
    """Unpickles an artefact. Its bytes are code: check their hash first, as ``Store.load`` does.

    Raises:
        TypeError: if they hold something else.
    """
    with import_lock():
        loaded = joblib.load(io.BytesIO(data))
    if not isinstance(loaded, Artefact):
        raise TypeError(f"holds a {type(loaded).__name__}, not an artefact")
    return loaded


def _calendar(
    values: Sequence[Any], features: Sequence[CalendarFeature], schema: Schema
) -> dict[str, Matrix]:
    """The calendar features of a column of times, by name."""
    source = features[0].source
    if isinstance(values, (list, tuple)):
        array = time_array([None if is_null(each) else each for each in values], schema.time_zone)
    else:
        array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    times = read_optional_times(array, schema)
    unread = times.is_null().to_numpy(zero_copy_only=False) & ~is_blank(array)
    if unread.any():
        value = show_value(array[int(np.flatnonzero(unread)[0])].as_py())
        raise ValueError(f"column {source!r}: {value}: {describe_times(schema)}, or null")
    names = [feature.name for feature in features]
    return dict(zip(names, derive(times, features, schema.time_zone), strict=True))


def _floats(values: Sequence[Any]) -> Matrix:
    """A numeric feature of shape (rows,), NaN for nulls."""
    try:
        return np.asarray(values, dtype=np.float64)
    except TypeError:  # pandas' NA among objects
        return np.asarray([math.nan if is_null(each) else each for each in values], np.float64)
