"""Training: a window's rows and statistics in, an artefact and its manifest out."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model import fitting, learners
from model.arrays import Matrix
from model.artefact import Artefact
from model.asof import format_iso
from model.batch import column, event_times, row_ids, sort_by_time
from model.classes.figures import compute_class_figures, sum_classes
from model.classes.fit import FittedClassifier, fit_classifier, fit_shares
from model.drift import make_class_profile, make_profile
from model.encoder import Encoder, codes
from model.encoders import encode_window
from model.errors import FitFailed
from model.labels import LabelTimes
from model.manifest import (
    CLASS_FIT,
    Fit,
    Gate,
    Learner,
    Manifest,
    Other,
    Window,
    to_printable,
    versions,
)
from model.moments import Moments, fit_ridge
from model.pickling import dump
from model.sample import splitmix64
from model.schema import Schema
from model.statistics import Statistics

SHARES = "shares"
"""The learner in the manifest of a model that predicts the class shares of its window."""


class Normalized(NamedTuple):
    """A window's data, ready to train on.

    Attributes:
        window: its bounds.
        rows: the number of labelled rows in the window.
        statistics: of all the window's labelled rows.
        encoder: made from the statistics.
        matrix: the normalised features, shape (sampled rows, features), float64, C order,
            in the order of (event time, row id).
        target: shape (sampled rows,); classes as dictionary<int32, string>.
        fingerprint: a hash of the data: the same for the same rows and statistics.
        scored: the same rows' features as scoring has them, where that differs; else None.
        moments: of all the window's labelled rows, where the learner is fitted by them.
        known: of the times of these rows' labels, if they have any of their own.
        hashes: of the ids of the matrix's rows, by which a trial halves them.
    """

    window: Window
    rows: int
    statistics: Statistics
    encoder: Encoder
    matrix: Matrix
    target: Any
    fingerprint: str
    moments: Moments | None = None
    known: LabelTimes | None = None
    scored: Matrix | None = None
    hashes: npt.NDArray[np.uint64] | None = None


def normalize(
    rows: pa.RecordBatch,
    statistics: Statistics,
    schema: Schema,
    window: Window,
    moments: Moments | None = None,
    known: LabelTimes | None = None,
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
    encoder, matrix, scored = encode_window(rows, statistics, schema)
    return Normalized(
        window=window,
        rows=statistics.columns[schema.target].count,
        statistics=statistics,
        encoder=encoder,
        matrix=matrix,
        target=rows.column(schema.target) if schema.classifies else column(rows, schema.target),
        fingerprint=fingerprint(rows, statistics, schema, moments, known),
        moments=moments,
        known=known,
        scored=scored,
        hashes=splitmix64(row_ids(rows)),
    )


def fingerprint(
    rows: pa.RecordBatch,
    statistics: Statistics,
    schema: Schema,
    moments: Moments | None = None,
    known: LabelTimes | None = None,
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
    target, numbers = ([schema.target], []) if schema.classifies else ([], [schema.target])
    for name in (*numbers, *schema.numeric):
        digest.update(column(rows, name).data)
    for name in (*target, *schema.categorical):
        values = tuple(statistics.categorical(name).values)
        if name in schema.encoders:  # which may tell more values apart than statistics list
            found = rows.column(name).drop_null().unique().to_pylist()
            values = tuple(sorted(found))
            digest.update(json.dumps(values).encode())
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
    if schema.classifies:
        return _fit_classes(data, schema, learner)
    estimator = learners.make(*learner, rows=len(data.target))
    prediction, report = fit(estimator, data)
    matrix = data.matrix
    if data.scored is not None:  # the rows to come are not cross-fitted
        matrix, prediction = data.scored, fitting.predict(estimator, data.scored)
    trained = make_profile(matrix, prediction, data.encoder)
    return Artefact(schema, data.statistics, data.encoder, estimator, trained), report


def _fit_classes(data: Normalized, schema: Schema, learner: Learner) -> tuple[Artefact, Fit]:
    def make() -> Any:
        return learners.make(*learner, rows=len(data.target), task=schema.task)

    counts = data.statistics.categorical(schema.target)
    fitted = fit_classifier(make, data.matrix, data.target, counts, schema)
    return _describe_classes(fitted, data, schema)


def train_shares(data: Normalized, schema: Schema, learner: Learner) -> tuple[bytes, Manifest]:
    """As ``train``, but a model of the class shares of a window of one class.

    Its manifest has the learner ``shares``. It has the fingerprint of what the learner would have
    been fitted to, so that a retry finds it.
    """
    counts = data.statistics.categorical(schema.target)
    fitted = fit_shares(data.matrix, data.target, counts, schema)
    artefact, report = _describe_classes(fitted, data, schema)
    dumped, manifest = dump_with_manifest(artefact, report, data, learner)
    return dumped, manifest.model_copy(update={"learner": SHARES})


def _describe_classes(
    fitted: FittedClassifier, data: Normalized, schema: Schema
) -> tuple[Artefact, Fit]:
    estimator, decision, classified = fitted
    figures = compute_class_figures(sum_classes(data.target, classified))
    report = Fit(**{name: figures[name] for name in CLASS_FIT})
    trained = make_class_profile(
        data.matrix, classified.predicted, len(decision.classes), data.encoder
    )
    return Artefact(schema, data.statistics, data.encoder, estimator, trained, decision), report


def dump_with_manifest(
    artefact: Artefact,
    report: Fit,
    data: Normalized,
    learner: Learner,
    gate: Gate | None = None,
) -> tuple[bytes, Manifest]:
    """The artefact as joblib bytes, and its manifest, with the gate's verdict."""
    dumped, decision = dump(artefact), artefact.decision
    classes: dict[str, Any] = {}
    if decision is not None:
        calibrator = decision.calibrator
        classes = {
            "task": "classification",
            "classes": decision.classes,
            "threshold": decision.threshold,
            "calibration": "none" if calibrator is None else calibrator.method,
        }
    return dumped, Manifest(
        window_start=format_iso(data.window.start),
        window_end=format_iso(data.window.end),
        rows=data.rows,
        learner=learner.name,
        parameters=to_printable(fitting.params_of(artefact.estimator)),
        features=data.encoder.names,
        other=find_other(data.encoder, data.statistics),
        statistics=data.statistics.columns,
        training=report,
        profile=artefact.profile,
        fingerprint=training_fingerprint(data, learner),
        versions=versions(),
        sha256=hashlib.sha256(dumped).hexdigest(),
        bytes=len(dumped),
        newest_label_time=None if data.known is None else format_iso(data.known.newest),
        label_delay=None if data.known is None else data.known.delays.summary(),
        **classes,
        gate=gate,
    )


def find_other(encoder: Encoder, statistics: Statistics) -> dict[str, Other]:
    """What of each categorical feature has no column of its own, where anything has none.

    Example:
        >>> from model.statistics import Categorical
        >>> column = Categorical(count=10, nulls=0, values={"a": 7, "b": 2, "c": 1})
        >>> encoder = Encoder((), np.zeros(0), np.ones(0), {"k": ("a",)})
        >>> find_other(encoder, Statistics(columns={"k": column}))
        {'k': Other(rows=3, values=2)}
    """
    found = {}
    for name, known in encoder.categories.items():
        column = statistics.categorical(name)
        distinct = column.distinct or len(column.values)
        if distinct > len(known):
            rows = column.count - sum(column.values[value] for value in known)
            found[name] = Other(rows=rows, values=distinct - len(known))
    return found


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
    with fitting.fit_failures():
        if data.moments is None or len(data.target) == data.rows:
            fitting.fit(estimator, data.matrix, data.target)
        else:
            fitted = fit_ridge(estimator, data.moments, data.encoder.scales)
        prediction = fitting.predict(estimator, data.matrix)
    if not np.isfinite(prediction).all():
        raise FitFailed("its predictions of the rows that it was fitted to are not finite")
    report = evaluate(data.target, prediction)
    if fitted is not None:
        report = Fit(mae=report.mae, rmse=fitted.rmse, r2=fitted.r2)
    return prediction, report


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
