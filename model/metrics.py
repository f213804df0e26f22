"""Prequential figures of a refresh, from sums that merge.

Every batch is scored before it is trained on (Dawid 1984, "Present position and potential
developments: the prequential approach"); its sums merge, in whatever order and cut, into
those of its refresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model.arrays import Matrix
from model.asof import format_iso
from model.baselines import Before, Past
from model.batch import Key
from model.classes.figures import FIGURES
from model.drift import Drift, Histogram, Profile, measure_drift
from model.exact import Exact
from model.groups import Named
from model.labels import LabelCounts, StreamCounts
from model.regression import RegressionSums, sum_errors
from model.tasks import TaskSums, no_sums


class Sums(NamedTuple):
    """Sums over a batch's rows, or several batches', from which a refresh's figures follow.

    Attributes:
        rows, scored, unlabelled, late: counts of accepted rows.
        rejected: rows that do not fit the schema.
        model: the name of the artefact that scored them, or "".
        bins, sums: the ``model.drift.Histogram`` of the scored rows in the bins of the
            artefact's profile; empty without one.
        profile: that profile, as JSON, or "".
        files: the files written for the refresh, as (path, bytes).
        labels: what became of questions in it; None unless labels have a time of their own.
        figures: the task's own sums over scored rows with a target; None without an accepted row.
    """

    rows: int = 0
    scored: int = 0
    unlabelled: int = 0
    late: int = 0
    rejected: int = 0
    model: str = ""
    bins: tuple[int, ...] = ()
    sums: tuple[float | Exact, ...] = ()
    profile: str = ""
    files: tuple[tuple[str, int], ...] = ()
    labels: LabelCounts | None = None
    figures: TaskSums | None = None

    @property
    def labelled(self) -> int:
        """Scored rows with a target; the figures are over these."""
        return 0 if self.figures is None else self.figures.labelled


class Baselines(BaseModel):
    """The mean absolute error of each baseline; null where it has no meaning."""

    model_config = ConfigDict(frozen=True)

    mean: float | None = None
    last: float | None = None
    season: float | None = None


class BaselineRows(BaseModel):
    """For how many of the labelled rows each baseline predicts anything."""

    model_config = ConfigDict(frozen=True)

    mean: int = 0
    last: int = 0
    season: int = 0


class ClassBaselines(BaseModel):
    """A figure of each baseline of classes; null where it has no meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: float | None = None
    last: float | None = None


class ClassBaselineRows(BaseModel):
    """For how many of the labelled rows each baseline of classes predicts anything."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: int = 0
    last: int = 0


class GroupFigures(BaseModel):
    """The figures of the rows of one value of a column, or of several values."""

    model_config = ConfigDict(frozen=True)

    labelled: int
    mae: float | None
    baseline_mae: float | None
    skill: float | None


class ValueFigures(GroupFigures):
    """The figures of the rows of one value; null is a value."""

    value: str | None


class GroupedFigures(BaseModel):
    """Figures by the values of a column that have the most rows.

    Attributes:
        values: those with the most rows first, ten at the most.
        others: how many other values there are.
        other: the figures of these together; null without any.
    """

    model_config = ConfigDict(frozen=True)

    values: tuple[ValueFigures, ...]
    others: int
    other: GroupFigures | None


class ErrorQuantiles(BaseModel):
    """Half, and nine tenths, of the absolute errors are no greater than these.

    They come from counts in bins, 64 an octave: they are at most 1/64 too great.
    """

    model_config = ConfigDict(frozen=True)

    p50: float | None = None
    p90: float | None = None


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
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    baseline_mae: float | None = None
    skill: float | None = None
    labelled: int | None = None
    """Scored rows with a target: the figures of error are of these."""
    target_mean: float | None = None
    """The mean of their targets."""
    target_squares: float | None = None
    """The sum of these targets' squared deviations from that mean; R2 is pooled with it."""
    bias: float | None = None
    """The mean error, prediction - target."""
    slope: float | None = None
    """The slope of a line through the targets over their predictions: 1 if these are right in the
    mean, below 0 if they go the other way. Of several models, as labels that come later may have,
    both are taken as distances from the mean target of each model's window."""
    absolute_error: ErrorQuantiles | None = None
    baselines: Baselines | ClassBaselines | None = None
    """Of classes log losses."""
    baseline_rows: BaselineRows | ClassBaselineRows | None = None
    best_baseline: str | None = None
    """The baseline that had the least error over the 20 refreshes before."""
    skill_best: float | None = None
    """1 - ``mae``, of classes ``log_loss``, / the error of that baseline in this refresh."""
    baseline_accuracy: ClassBaselines | None = None
    """The share of right predictions of the most frequent class of the model's window, and of the
    class of the row before."""
    log_loss: float | None = None
    """This and the figures to ``raw`` are of classification (``model.classes.figures``)."""
    brier: float | None = None
    accuracy: float | None = None
    f1: float | None = None
    precision: float | None = None
    recall: float | None = None
    roc_auc: float | None = None
    roc_auc_bound: float | None = None
    average_precision: float | None = None
    average_precision_bound: float | None = None
    calibration_error: float | None = None
    baseline_log_loss: float | None = None
    unseen: int | None = None
    positive: str | None = None
    confusion: dict[str, dict[str, int]] | None = None
    confusion_left_out: int | None = None
    """Labelled rows that are not in ``confusion``, which has the 50 most frequent classes."""
    reliability: dict[str, list[int | float | None]] | None = None
    scores: dict[str, list[int]] | None = None
    raw: dict[str, float | None] | None = None
    groups: GroupedFigures | None = None
    """By the values of the column that the schema names in ``[figures] by``; only then."""
    drift: Drift | None = None
    files: dict[str, int] | None = None
    """The files that belong to the refresh, by their path in the run's folder: bytes of each."""
    answered: int | None = None
    """Labels that became known in it, also of questions that no model scored. This and the counts
    below are there only if labels have a time of their own: the figures of error are then of the
    labels that became known in the refresh, whenever their questions were asked."""
    expired: int | None = None
    """Questions whose wait was over in it without a label."""
    label_late: int | None = None
    """Of the expired, those whose label came later."""
    duplicates: int | None = None
    """Further labels of an answered question, with the same target. This and the counts below are
    there only if labels are a stream of their own."""
    conflicts: int | None = None
    """Further labels of an answered question, with another target: the first label stays."""
    orphans: int | None = None
    """Labels of no question."""
    id_reused: int | None = None
    """Open questions, when a newer one of their id took a label."""
    label_behind: int | None = None
    """Labels whose time was behind the watermark of their stream."""
    labels_rejected: int | None = None
    """Rows of the stream of labels that are no label."""
    missing: int | None = None
    """Of the answered, those that the schema's ``missing`` has answered, since no label came."""
    labels_read: int | None = None
    """Rows of the stream of labels, also those that are no label."""
    early: int | None = None
    """Of the answered, those whose label came before them. Runs of an older version lack it."""

    @model_serializer(mode="wrap")
    def _leave_out_others(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out the fields of other tasks, and those that were added later, if not given."""
        written: dict[str, Any] = serialize(self)
        for name in SPARSE - self.model_fields_set:
            written.pop(name, None)
        return written

    @property
    def classifies(self) -> bool:
        """Whether they are the figures of classification."""
        return "log_loss" in self.model_fields_set

    def with_files(self, written: Iterable[tuple[str, int]]) -> Metrics:
        """The figures with more files that belong to the refresh."""
        return self.model_copy(
            update={"files": dict(sorted({**(self.files or {}), **dict(written)}.items()))}
        )

    def as_json(self) -> bytes:
        """The metrics file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


LABEL_COUNTS = ("answered", "expired", "label_late")
"""The figures of a refresh that are there only if labels have a time of their own."""
STREAM_COUNTS = tuple(
    name for name in StreamCounts._fields if name not in ("label_late", "labels_read")
)
"""Further figures of it that are there only if labels are a stream of their own."""
OF_REGRESSION = frozenset(
    {
        *("mae", "rmse", "r2", "baseline_mae", "skill", "target_mean", "target_squares"),
        *("bias", "slope", "absolute_error", "baselines", "baseline_rows"),
        *("best_baseline", "skill_best"),
        "groups",
    }
)
"""The figures of regression, which other tasks do not have."""
SPARSE = OF_REGRESSION | {
    *("labelled", "labels_read", "baseline_accuracy"),
    *LABEL_COUNTS,
    *STREAM_COUNTS,
    *FIGURES,
}
"""The fields that are written only if they were given."""


def sum_batch(
    target: Matrix,
    late: int,
    prediction: Matrix | None,
    baseline: float,
    model: str | None,
    histogram: Histogram | None = None,
    profile: str = "",
    season: Matrix | None = None,
    before: Before | None = None,
    named: Named | None = None,
    ids: npt.NDArray[np.int64] | None = None,
) -> Sums:
    """The sums of a batch.

    Args:
        target: shape (rows,); NaN where a row has none.
        late: how many of the rows are late.
        prediction: shape (rows,), or None if no model scored them.
        baseline: what the baseline ``mean`` predicts for each row.
        model: the name of the artefact that predicted.
        histogram: counts of the rows in the bins of the artefact's profile, if it has one.
        profile: that profile, as JSON.
        season: what the baseline ``season`` predicts for each row, if that is asked for.
        before: where the batch stands, for the baseline ``last``; None: it has none.
        named: the value of each row by which errors are split, if that is asked for.
        ids: of the rows, by which they lie in blocks (``model.blocks``); None: they are one block.
    """
    rows = len(target)
    labelled = ~np.isnan(target)
    unlabelled = rows - int(np.count_nonzero(labelled))
    if unlabelled:
        target, ids = target[labelled], None if ids is None else ids[labelled]
    links = () if before is None else before.links(target, labelled, prediction is not None, ids)
    if prediction is None:
        figures = RegressionSums(links=links)
        return Sums(rows=rows, unlabelled=unlabelled, late=late, figures=figures)
    if unlabelled:
        prediction = prediction[labelled]
        season = None if season is None else season[labelled]
        named = None if named is None else named.take(labelled)
    return Sums(
        rows=rows,
        scored=rows,
        unlabelled=unlabelled,
        late=late,
        model=model or "",
        bins=() if histogram is None else histogram.bins,
        sums=() if histogram is None else histogram.sums,
        profile=profile,
        figures=sum_errors(target, prediction, baseline, season, named, ids)._replace(links=links),
    )


def merge_two(a: Sums, b: Sums) -> Sums:
    """The sums of both parts.

    Raises:
        ValueError: if two models scored them: a refresh has one.
    """
    if a.model and b.model and a.model != b.model:
        raise ValueError(f"two models in one refresh: {a.model} and {b.model}")
    return Sums(
        rows=a.rows + b.rows,
        scored=a.scored + b.scored,
        unlabelled=a.unlabelled + b.unlabelled,
        late=a.late + b.late,
        rejected=a.rejected + b.rejected,
        model=a.model or b.model,
        bins=tuple(map(add, a.bins, b.bins)) if a.bins and b.bins else a.bins or b.bins,
        sums=tuple(map(add, a.sums, b.sums)) if a.sums and b.sums else a.sums or b.sums,
        profile=a.profile or b.profile,
        files=a.files + b.files,
        labels=a.labels.merge(b.labels) if a.labels and b.labels else a.labels or b.labels,
        figures=a.figures.merge(b.figures) if a.figures and b.figures else a.figures or b.figures,
    )


def order_sums(key: Key, sums: Sums) -> tuple[object, ...]:
    """What sums are ordered by before they are merged: their batch's key, then what they are of."""
    return (key, sums.rows, sums.rejected, sums.labels is not None, sums.files)


def merge(parts: Iterable[Sums]) -> Sums:
    """The sums of all parts, merged from left to right; of none, zeros."""
    return reduce(merge_two, parts, Sums())


def compute_metrics(
    sums: Sums,
    start: int,
    end: int,
    by_label: bool = False,
    past: Past | None = None,
    task: str = "regression",
    apart: bool = False,
) -> Metrics:
    """A refresh's figures.

    Args:
        sums: of all its rows.
        start: the refresh's first microsecond.
        end: the first microsecond after it.
        by_label: whether labels have a time of their own: figures of error are then of the labels
            that became known in the refresh.
        past: what is known of the refreshes before; None: nothing.
        task: whose figures a refresh without a row has.
        apart: whether they are a stream of their own, which has counts of its own.

    Returns:
        The figures; null where there is nothing to divide by: without a labelled, scored
        row; R2 under two rows or for a constant target; skill if the baseline is exact;
        drift without a model, or if its artefact has no profile.
    """
    labels = sums.labels or LabelCounts()
    counts = (labels.answered, labels.expired, labels.label_late)
    known: dict[str, Any] = dict(zip(LABEL_COUNTS, counts, strict=True)) if by_label else {}
    if apart:
        stream = labels.stream or StreamCounts()
        known |= {name: getattr(stream, name) for name in (*STREAM_COUNTS, "labels_read")}
    of_task = no_sums(task) if sums.figures is None else sums.figures
    return Metrics(
        refresh_start=format_iso(start),
        refresh_end=format_iso(end),
        model=sums.model or None,
        rows=sums.rows,
        scored=sums.scored,
        unlabelled=sums.unlabelled,
        late=sums.late,
        rejected=sums.rejected,
        **of_task.figures(past or Past()),
        drift=compute_drift(sums),
        files=dict(sorted(sums.files)),
        **known,
    )


def compute_errors(sums: Sums, task: str = "regression") -> dict[str, Any]:
    """The figures of a cohort, as ``mae``, ``rmse``, ``r2``, ``baseline_mae`` and ``skill``."""
    return (no_sums(task) if sums.figures is None else sums.figures).errors()


def compute_drift(sums: Sums) -> Drift | None:
    """How far a refresh's scored rows have drifted; None if there is nothing to compare."""
    if not sums.bins:
        return None
    return measure_drift(Histogram(sums.bins, sums.sums), Profile.model_validate_json(sums.profile))
