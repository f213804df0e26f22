"""Prequential figures of a refresh, from sums that merge.

Every batch is scored before it is trained on (Dawid 1984, "Present position and potential
developments: the prequential approach"); its sums merge, in the order of batch keys, into
those of its refresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model.arrays import Matrix
from model.asof import format_iso
from model.drift import Drift, Histogram, Profile, measure_drift
from model.labels import LabelCounts


class Sums(NamedTuple):
    """Sums over a batch's rows, or several batches', from which a refresh's figures follow.

    Attributes:
        rows, scored, unlabelled, late: counts of accepted rows.
        rejected: rows that do not fit the schema.
        labelled: scored rows with a target; the sums below are over these.
        absolute, squares: sums of |error| and of error squared.
        mean, m2: the targets' mean, and their sum of squared deviations from it.
        low, high: the least and the greatest target.
        baseline: sum of |target - the mean target of the model's window|.
        model: the name of the artefact that scored them, or "".
        bins, sums: the ``model.drift.Histogram`` of the scored rows in the bins of the
            artefact's profile; empty without one.
        profile: that profile, as JSON, or "".
        files: the files written for the refresh, as (path, bytes).
        labels: what became of questions in it; None unless labels have a time of their own.
    """

    rows: int = 0
    scored: int = 0
    unlabelled: int = 0
    late: int = 0
    rejected: int = 0
    labelled: int = 0
    absolute: float = 0.0
    squares: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    baseline: float = 0.0
    model: str = ""
    bins: tuple[int, ...] = ()
    sums: tuple[float, ...] = ()
    profile: str = ""
    files: tuple[tuple[str, int], ...] = ()
    labels: LabelCounts | None = None


class Metrics(BaseModel):
    """The figures of a refresh; the fields of ``metrics/<refresh start>.json``, a contract."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    refresh_start: str
    refresh_end: str
    model: str | None
    rows: int
    scored: int
    unlabelled: int
    late: int
    rejected: int
    mae: float | None
    rmse: float | None
    r2: float | None
    baseline_mae: float | None
    skill: float | None
    drift: Drift | None = None
    files: dict[str, int] | None = None
    """The files that belong to the refresh, by their path in the run's folder: bytes of each."""
    labelled: int | None = None
    """Labels that became known in it, of scored questions, whenever these were asked: the figures
    of error are of these. This and the counts below are there only if labels have a time."""
    answered: int | None = None
    """Labels that became known in it, also of questions that no model scored."""
    expired: int | None = None
    """Questions whose wait was over in it without a label."""
    label_late: int | None = None
    """Of the expired, those whose label came later."""

    @model_serializer(mode="wrap")
    def _leave_out_labels(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.answered is None:
            for name in LABEL_COUNTS:
                written.pop(name, None)
        return written

    def with_files(self, written: Iterable[tuple[str, int]]) -> Metrics:
        """The figures with more files that belong to the refresh."""
        return self.model_copy(
            update={"files": dict(sorted({**(self.files or {}), **dict(written)}.items()))}
        )

    def as_json(self) -> bytes:
        """The metrics file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


LABEL_COUNTS = ("labelled", "answered", "expired", "label_late")
"""The figures of a refresh that are there only if labels have a time of their own."""


def sum_batch(
    target: Matrix,
    late: int,
    prediction: Matrix | None,
    baseline: float,
    model: str | None,
    histogram: Histogram | None = None,
    profile: str = "",
) -> Sums:
    """The sums of a batch.

    Args:
        target: shape (rows,); NaN where a row has none.
        late: how many of the rows are late.
        prediction: shape (rows,), or None if no model scored them.
        baseline: what the baseline predicts for each row.
        model: the name of the artefact that predicted.
        histogram: counts of the rows in the bins of the artefact's profile, if it has one.
        profile: that profile, as JSON.
    """
    labelled = ~np.isnan(target)
    count = int(np.count_nonzero(labelled))
    unlabelled = len(target) - count
    if prediction is None:
        return Sums(rows=len(target), unlabelled=unlabelled, late=late)
    if unlabelled:
        target, prediction = target[labelled], prediction[labelled]
    errors = prediction - target
    mean = float(target.mean()) if count else 0.0
    centred = target - mean
    return Sums(
        rows=len(labelled),
        scored=len(labelled),
        unlabelled=unlabelled,
        late=late,
        labelled=count,
        absolute=float(np.abs(errors).sum()),
        squares=float(np.square(errors).sum()),
        mean=mean,
        m2=float(np.square(centred).sum()),
        low=float(target.min(initial=np.inf)),
        high=float(target.max(initial=-np.inf)),
        baseline=float(np.abs(target - baseline).sum()),
        model=model or "",
        bins=() if histogram is None else histogram.bins,
        sums=() if histogram is None else histogram.sums,
        profile=profile,
    )


def merge_two(a: Sums, b: Sums) -> Sums:
    """The sums of both parts, ``m2`` by Chan's formula.

    Raises:
        ValueError: if two models scored them: a refresh has one.
    """
    if a.model and b.model and a.model != b.model:
        raise ValueError(f"two models in one refresh: {a.model} and {b.model}")
    labelled = a.labelled + b.labelled
    mean, between = a.mean if a.labelled else b.mean, 0.0
    if a.labelled and b.labelled:
        delta = b.mean - a.mean
        mean = a.mean + delta * b.labelled / labelled
        between = delta * delta * (a.labelled * b.labelled / labelled)
    return Sums(
        rows=a.rows + b.rows,
        scored=a.scored + b.scored,
        unlabelled=a.unlabelled + b.unlabelled,
        late=a.late + b.late,
        rejected=a.rejected + b.rejected,
        labelled=labelled,
        absolute=a.absolute + b.absolute,
        squares=a.squares + b.squares,
        mean=mean,
        m2=a.m2 + b.m2 + between,
        low=min(a.low, b.low),
        high=max(a.high, b.high),
        baseline=a.baseline + b.baseline,
        model=a.model or b.model,
        bins=tuple(map(add, a.bins, b.bins)) if a.bins and b.bins else a.bins or b.bins,
        sums=tuple(map(add, a.sums, b.sums)) if a.sums and b.sums else a.sums or b.sums,
        profile=a.profile or b.profile,
        files=a.files + b.files,
        labels=a.labels.merge(b.labels) if a.labels and b.labels else a.labels or b.labels,
    )


def merge(parts: Iterable[Sums]) -> Sums:
    """The sums of all parts, merged from left to right; of none, zeros."""
    return reduce(merge_two, parts, Sums())


def compute_metrics(sums: Sums, start: int, end: int, by_label: bool = False) -> Metrics:
    """A refresh's figures.

    Args:
        sums: of all its rows.
        start: the refresh's first microsecond.
        end: the first microsecond after it.
        by_label: whether labels have a time of their own: figures of error are then of the labels
            that became known in the refresh.

    Returns:
        The figures; null where there is nothing to divide by: without a labelled, scored
        row; R2 under two rows or for a constant target; skill if the baseline is exact;
        drift without a model, or if its artefact has no profile.
    """
    labels = sums.labels or LabelCounts()
    counts = (sums.labelled, labels.answered, labels.expired, labels.label_late)
    known: dict[str, Any] = dict(zip(LABEL_COUNTS, counts, strict=True)) if by_label else {}
    return Metrics(
        refresh_start=format_iso(start),
        refresh_end=format_iso(end),
        model=sums.model or None,
        rows=sums.rows,
        scored=sums.scored,
        unlabelled=sums.unlabelled,
        late=sums.late,
        rejected=sums.rejected,
        **compute_errors(sums),
        drift=compute_drift(sums),
        files=dict(sorted(sums.files)),
        **known,
    )


def compute_errors(sums: Sums) -> dict[str, Any]:
    """The figures of error: ``mae``, ``rmse``, ``r2``, ``baseline_mae`` and ``skill``."""
    n = sums.labelled
    mae = sums.absolute / n if n else None
    baseline = sums.baseline / n if n else None
    return {
        "mae": mae,
        "rmse": float(np.sqrt(sums.squares / n)) if n else None,
        "r2": 1 - sums.squares / sums.m2 if sums.low < sums.high and sums.m2 else None,
        "baseline_mae": baseline,
        "skill": 1 - mae / baseline if mae is not None and baseline else None,
    }


def compute_drift(sums: Sums) -> Drift | None:
    """How far a refresh's scored rows have drifted; None if there is nothing to compare."""
    if not sums.bins:
        return None
    return measure_drift(Histogram(sums.bins, sums.sums), Profile.model_validate_json(sums.profile))
