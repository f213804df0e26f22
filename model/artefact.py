"""The artefact: a model trained on one window. Raw rows go in, predictions come out.

It holds all that scoring needs (schema, statistics, encoder, estimator), so rows are normalised
in training and in scoring by the same code with the same statistics: there can be no skew.
"""

from __future__ import annotations

import builtins
import hashlib
import io
import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from joblib.numpy_pickle import NumpyPickler
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model import learners
from model.asof import format_iso, format_name
from model.batch import column, event_times, row_ids, sort_by_time
from model.categories import category_array, is_null, rename_categories
from model.drift import Histogram, Profile, make_profile
from model.encoder import Encoder, codes, count_unknown, fit_encoder
from model.errors import FitFailed
from model.labels import Delay, Known
from model.learners import Matrix
from model.loading import import_lock
from model.moments import Moments, fit_ridge
from model.schema import Schema
from model.statistics import Categorical, Numeric, Statistics

PACKAGES = ("scikit-learn", "numpy", "joblib", "pyarrow", "apache-beam")


class Window(NamedTuple):
    """The bounds of a training window, in microseconds: start included, end not."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """The name of its artefact's folder."""
        return format_name(self.end)


class Reference(NamedTuple):
    """An artefact's name and hash: they travel through the job in place of the model."""

    name: str
    sha256: str


class Learner(NamedTuple):
    """The regressor to train, its parameters and its seed."""

    name: str
    parameters: dict[str, Any]
    seed: int


class Fit(BaseModel):
    """Errors of predictions on the rows trained on; null where undefined."""

    model_config = ConfigDict(frozen=True)

    mae: float | None
    rmse: float | None
    r2: float | None


class Manifest(BaseModel):
    """The description of an artefact, read without opening it; its fields are a contract."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    window_start: str
    window_end: str
    rows: int
    learner: str
    parameters: dict[str, Any]
    features: list[str]
    statistics: dict[str, Numeric | Categorical]
    training: Fit
    profile: Profile | None = None
    fingerprint: str
    versions: dict[str, str]
    sha256: str
    bytes: int
    newest_label_time: str | None = None
    """The newest of its labels' times, before ``window_end``; there only if labels have a time."""
    label_delay: Delay | None = None
    """How long its labels took, from question to label; likewise."""

    @model_serializer(mode="wrap")
    def _leave_out_labels(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.newest_label_time is None:
            del written["newest_label_time"], written["label_delay"]
        return written

    def as_json(self) -> builtins.bytes:
        """The manifest file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


class Scores(NamedTuple):
    """An artefact's predictions for some rows.

    Attributes:
        prediction: shape (rows,).
        histogram: counts of the rows in the bins of its profile; None if it has no profile.
    """

    prediction: Matrix
    histogram: Histogram | None


@dataclass(frozen=True)
class Artefact:
    """A trained model with everything that scoring needs.

    Attributes:
        schema: of the rows.
        statistics: of the window's labelled rows.
        encoder: from raw columns to a matrix.
        estimator: a fitted scikit-learn regressor.
        profile: the distribution of the rows that it was trained on; None in artefacts made
            before there were profiles.
    """

    schema: Schema
    statistics: Statistics
    encoder: Encoder
    estimator: Any
    profile: Profile | None = None

    def predict(self, batch: pa.RecordBatch) -> Matrix:
        """Predictions of shape (rows,) for an accepted batch's raw rows."""
        if batch.num_rows == 0:
            return np.empty(0)
        return learners.predict(self.estimator, self.encoder.transform(batch))

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Predictions for an accepted batch's raw rows, and the rows' counts in the bins."""
        if self.profile is None or batch.num_rows == 0:
            return Scores(self.predict(batch), None)
        scores = self.encoder.scores(batch)
        matrix = self.encoder.matrix(scores, batch)
        prediction = learners.predict(self.estimator, matrix)
        return Scores(prediction, self.profile.histogram(scores, matrix, prediction))

    def predict_columns(self, columns: Mapping[str, Sequence[Any]]) -> Matrix:
        """Predictions of shape (rows,) for features by name, as lists, arrays or Series.

        Args:
            columns: every feature; None, NaN and pandas' NA are nulls. What is no feature is
                ignored. Categories may be of any type that ``model.categories`` takes.

        Raises:
            KeyError: if a feature is missing.
            TypeError: if a value is no category.
            ValueError: if a numeric feature holds text, or lengths differ.
        """
        return self.predict(self._features(columns))

    def unknown_columns(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, int]:
        """As ``unknown``, for features by name as ``predict_columns`` takes them."""
        return self.unknown(self._features(columns))

    def _features(self, columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
        numeric = {c: _floats(columns[c]) for c in self.schema.numeric}
        categorical = {c: category_array(columns[c]) for c in self.schema.categorical}
        return pa.record_batch({**numeric, **categorical})

    def unknown(self, batch: pa.RecordBatch) -> dict[str, int]:
        """The number of values, other than null, that the model has no column for, by feature.

        They count as ``other``, as all values but the most frequent ones do. Features without any
        are left out.

        Args:
            batch: accepted rows.
        """
        counts = {
            name: count_unknown(batch.column(name), known)
            for name, known in self.encoder.categories.items()
        }
        return {name: count for name, count in counts.items() if count}

    def __reduce__(self) -> tuple[Any, ...]:
        plain = self.schema.model_dump_json(), self.statistics.model_dump_json()
        trained = () if self.profile is None else (self.profile_json,)
        return rebuild, (*plain, self.encoder, self.estimator, *trained)

    @cached_property
    def profile_json(self) -> str:
        """The profile as JSON; "" without one."""
        return "" if self.profile is None else self.profile.model_dump_json()

    @property
    def baseline(self) -> float:
        """The baseline's prediction: the mean target of the window."""
        mean = self.statistics.numeric(self.schema.target).mean
        assert mean is not None
        return mean


class Normalized(NamedTuple):
    """A window's data, ready to train on.

    Attributes:
        window: its bounds.
        rows: the number of labelled rows in the window.
        statistics: of all the window's labelled rows.
        encoder: made from the statistics.
        matrix: the normalised features, shape (sampled rows, features), float64, C order,
            in the order of (event time, row id).
        target: shape (sampled rows,).
        fingerprint: a hash of the data: the same for the same rows and statistics.
        moments: of all the window's labelled rows, where the learner is fitted by them.
        known: of the times of these rows' labels, if they have any of their own.
    """

    window: Window
    rows: int
    statistics: Statistics
    encoder: Encoder
    matrix: Matrix
    target: Matrix
    fingerprint: str
    moments: Moments | None = None
    known: Known | None = None


def normalize(
    rows: pa.RecordBatch,
    statistics: Statistics,
    schema: Schema,
    window: Window,
    moments: Moments | None = None,
    known: Known | None = None,
) -> Normalized:
    """Applies a window's statistics to its rows.

    Args:
        rows: labelled rows of an accepted batch, in any order.
        statistics: of the window; over more rows than these if these are a sample.
        schema: of the rows.
        window: its bounds.
        moments: of the rows that the statistics are over.
        known: of the times of these rows' labels, if they have any of their own.

    Raises:
        ValueError: if a label was not known when the window ended. Here that is made sure of: no
            artefact is made of a window in another way.
    """
    if schema.has_label_time:
        if known is None:
            raise ValueError("a window of labels without their times")
        known.check(window.end)
    rows = sort_by_time(rows)
    encoder = fit_encoder(statistics, schema)
    return Normalized(
        window=window,
        rows=statistics.numeric(schema.target).count,
        statistics=statistics,
        encoder=encoder,
        matrix=encoder.transform(rows),
        target=column(rows, schema.target),
        fingerprint=fingerprint(rows, statistics, schema, moments, known),
        moments=moments,
        known=known,
    )


def fingerprint(
    rows: pa.RecordBatch,
    statistics: Statistics,
    schema: Schema,
    moments: Moments | None = None,
    known: Known | None = None,
) -> str:
    """SHA-256 of rows, in order, with their statistics, moments, schema and labels' times: hex."""
    digest = hashlib.sha256(schema.model_dump_json().encode())
    digest.update(statistics.model_dump_json().encode())
    if moments is not None:
        digest.update(moments.as_bytes())
    if known is not None:
        digest.update(json.dumps(known).encode())
    digest.update(row_ids(rows).data)
    digest.update(event_times(rows).data)
    for name in (schema.target, *schema.numeric):
        digest.update(column(rows, name).data)
    for name in schema.categorical:
        values = tuple(statistics.categorical(name).values)
        digest.update(codes(rows.column(name), values).astype(np.int32).data)
    return digest.hexdigest()


def train(data: Normalized, schema: Schema, learner: Learner) -> tuple[bytes, Manifest]:
    """Fits a learner to a window.

    Args:
        data: what ``normalize`` returned.
        schema: of the rows.
        learner: which regressor, with which parameters.

    Returns:
        The artefact as joblib bytes, and its manifest.
    """
    artefact, report = fit_artefact(data, schema, learner)
    return dump_with_manifest(artefact, report, data, learner)


def fit_artefact(data: Normalized, schema: Schema, learner: Learner) -> tuple[Artefact, Fit]:
    """As ``train``, but the artefact itself, and its errors on its window."""
    estimator = learners.make(*learner, rows=len(data.target))
    prediction, report = fit(estimator, data)
    trained = make_profile(data.matrix, prediction, data.encoder)
    return Artefact(schema, data.statistics, data.encoder, estimator, trained), report


def dump_with_manifest(
    artefact: Artefact, report: Fit, data: Normalized, learner: Learner
) -> tuple[bytes, Manifest]:
    """The artefact as joblib bytes, and its manifest."""
    dumped = dump(artefact)
    return dumped, Manifest(
        window_start=format_iso(data.window.start),
        window_end=format_iso(data.window.end),
        rows=data.rows,
        learner=learner.name,
        parameters=to_printable(learners.params_of(artefact.estimator)),
        features=data.encoder.names,
        statistics=data.statistics.columns,
        training=report,
        profile=artefact.profile,
        fingerprint=training_fingerprint(data, learner),
        versions=versions(),
        sha256=hashlib.sha256(dumped).hexdigest(),
        bytes=len(dumped),
        newest_label_time=None if data.known is None else format_iso(data.known.newest),
        label_delay=None if data.known is None else data.known.delays.summary(),
    )


def fit(estimator: Any, data: Normalized) -> tuple[Matrix, Fit]:
    """Fits a regressor to a window.

    Returns:
        Its predictions of the (sampled) rows, shape (rows,), and their errors. Where only a
        sample of the rows is there, it is fitted by moments, and the MAE is the sample's.

    Raises:
        FitFailed: if the estimator cannot be fitted to the window, cannot predict the rows that
            it was fitted to (k neighbours of fewer than k rows), or predicts NaN or infinity.
    """
    fitted = None
    with learners.fit_failures():
        if data.moments is None or len(data.target) == data.rows:
            learners.fit(estimator, data.matrix, data.target)
        else:
            fitted = fit_ridge(estimator, data.moments, data.encoder.scales)
        prediction = learners.predict(estimator, data.matrix)
    if not np.isfinite(prediction).all():
        raise FitFailed("its predictions of the rows that it was fitted to are not finite")
    report = evaluate(data.target, prediction)
    if fitted is not None:
        report = Fit(mae=report.mae, rmse=fitted.rmse, r2=fitted.r2)
    return prediction, report


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of ``PACKAGES`` in this process."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def training_fingerprint(data: Normalized, learner: Learner) -> str:
    """SHA-256 of a window's data and of its learner.

    A retried bundle that finds an artefact with the same fingerprint does not fit again.
    """
    inputs = json.dumps([data.fingerprint, *learner], sort_keys=True, default=str)
    return hashlib.sha256(inputs.encode()).hexdigest()


def evaluate(target: Matrix, prediction: Matrix) -> Fit:
    """MAE, RMSE and R2 of predictions of shape (rows,); R2 is null for a constant target."""
    if len(target) == 0:
        return Fit(mae=None, rmse=None, r2=None)
    errors = prediction - target
    squares = float(np.square(errors).sum())
    total = float(np.square(target - target.mean()).sum())
    return Fit(
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt(squares / len(target))),
        r2=1 - squares / total if np.ptp(target) > 0 and total else None,
    )


def dump(artefact: Artefact) -> bytes:
    """The artefact as joblib bytes: the same ones for the same artefact, in any process."""
    buffer = io.BytesIO()
    SteadyPickler(buffer).dump(artefact)
    return buffer.getvalue()


class SteadyPickler(NumpyPickler):
    """joblib's pickler, made deterministic: equal artefacts give equal bytes.

    It writes zeros for the padding between the fields of structured arrays: each node of a
    scikit-learn tree has seven such bytes, with whatever the memory held. And it makes equal
    texts, and equal dtypes, one object: a pickler writes an object that it has seen before as
    a reference, and whether two equal ones are the same object depends on what the process
    did before (an array that was unpickled has a dtype of its own).
    """

    def save(self, value: Any) -> None:
        """Writes a part of what is dumped."""
        if isinstance(value, np.ndarray) and value.dtype.names:
            value = without_gaps(value)
            # The pickler's memo goes by id(): a copy that was freed could give its id to another.
            self.kept.append(value)
        elif type(value) is str:
            value = sys.intern(value)
        elif isinstance(value, np.dtype):
            value = self.dtypes.setdefault(value, value)
        super().save(value)

    def dump(self, value: Any) -> None:
        """Writes the whole."""
        self.kept: list[Any] = []
        self.dtypes: dict[np.dtype[Any], np.dtype[Any]] = {}
        super().dump(value)


def without_gaps(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of a structured array with zeros as padding between the fields."""
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names or ():
        clean[name] = records[name]
    return clean


def rebuild(
    schema: str, statistics: str, encoder: Encoder, estimator: Any, trained: str | None = None
) -> Artefact:
    """Unpickles an artefact, whose schema, statistics and profile are JSON."""
    trained_on = Statistics.model_validate_json(statistics)
    return Artefact(
        Schema.model_validate_json(schema),
        trained_on,
        with_canonical_categories(encoder, trained_on),
        estimator,
        None if trained is None else Profile.model_validate_json(trained),
    )


def with_canonical_categories(encoder: Encoder, statistics: Statistics) -> Encoder:
    """The encoder with canonical category names; itself if they are canonical already."""
    names = {
        column: rename_categories(known, statistics.categorical(column).values)
        for column, known in encoder.categories.items()
    }
    return encoder if names == encoder.categories else replace(encoder, categories=names)


def to_printable(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON values; what JSON has no type for as ``str`` of it."""
    return {
        name: value if isinstance(value, str | int | float | bool | None) else str(value)
        for name, value in sorted(parameters.items())
    }


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


def _floats(values: Sequence[Any]) -> Matrix:
    """A numeric feature of shape (rows,), NaN for nulls."""
    try:
        return np.asarray(values, dtype=np.float64)
    except TypeError:  # pandas' NA among objects
        return np.asarray([math.nan if is_null(each) else each for each in values], np.float64)
