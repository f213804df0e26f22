"""A replay without an engine: refreshes of accepted batches in, models and predictions out.

It does what the job does, by the same functions in the same order, in one loop of one process. So
its figures, predictions and models are the job's to the last digit, which a test holds it to.
Several replays may go over the same refreshes side by side, as ``pipeline.sweep`` has them.

Use the job for what does not end, does not fit this process, or must survive it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from model import gate as gating
from model.answers import Asked
from model.arrays import Matrix
from model.artefact import Artefact, load_bytes
from model.asof import Cadence, newest_window_end
from model.baselines import Before
from model.batch import LATE, Key, Tag, column, concat, row_ids, tag_of
from model.block_sums import BlockSums, finish
from model.block_sums import join as join_sums
from model.class_sums import sum_class_batch
from model.classes.decision import Classified
from model.classes.sample import count_classes, keep_classes
from model.drift import Histogram
from model.errors import FitFailed, OneClass
from model.groups import name_rows
from model.labels import LabelTimes, cut_labelled_rows, merge_label_times
from model.learners import learners_of
from model.manifest import Learner, Manifest, Window
from model.metrics import Sums, sum_batch
from model.sample import bottom_k
from model.schema import Schema
from model.skipped import Skipped, few_rows, fit_failed, refused
from model.summaries import REDUCED_ROWS, summarize_rows
from model.training import (
    SHARES,
    Normalized,
    dump_with_manifest,
    fit_artefact,
    normalize,
    train_shares,
)

TrainsOn = Literal["window", "all", "first"]


class TrainingPart(NamedTuple):
    """The rows of one batch that are trained on.

    Attributes:
        key: the batch's.
        at: the least time at which one of their labels was known, microseconds.
        rows: labelled rows that are not late, or a sample of them.
        sums: of all of them, block by block.
        known: of their labels' times, if labels have a time of their own.
    """

    key: Key
    at: int
    rows: pa.RecordBatch
    sums: BlockSums
    known: LabelTimes | None = None


def make_training_parts(
    batch: pa.RecordBatch, schema: Schema, cadence: Cadence, reduce: bool, halves: bool = False
) -> Iterator[TrainingPart]:
    """What of an accepted batch is trained on, a part for each refresh in which labels are known.

    Args:
        batch: an accepted batch, with its tag.
        schema: what its columns mean.
        cadence: how event time is divided.
        reduce: whether moments take the place of most rows (``model.moments.suffice``).
        halves: whether they have those of a half (``model.gate``).
    """
    tag = tag_of(batch)
    if not schema.has_label_time:
        yield from _make_part(tag, batch, schema, reduce, halves)
        return
    for some in cut_labelled_rows(batch, schema, cadence.every, tag.at, cadence.offset):
        for part in _make_part(tag._replace(at=some.stamp), some.rows, schema, reduce, halves):
            yield part._replace(known=some.known)


def _make_part(
    tag: Tag, batch: pa.RecordBatch, schema: Schema, reduce: bool, halves: bool
) -> Iterator[TrainingPart]:
    found = summarize_rows(batch, schema, reduce, halves)
    if found is not None:
        yield TrainingPart(tag.key, tag.at, *found)


def join(parts: list[TrainingPart], sample_rows: int, classes: str | None = None) -> TrainingPart:
    """A window's parts as one, rows in the order of their keys, then of their times.

    Args:
        parts: one at least.
        sample_rows: maximum number of rows that are kept.
        classes: the column of their classes, of which the rare ones are kept; None: there is none.
    """
    parts = sorted(parts, key=lambda part: (part.key, part.at))
    known = [part.known for part in parts if part.known is not None]
    rows = [part.rows for part in parts]
    if classes is None:
        kept = bottom_k(rows, sample_rows)
    else:
        counts = count_classes(part.sums.categorical(classes) for part in parts)
        kept = keep_classes(rows, classes, counts, sample_rows)
    return TrainingPart(
        parts[0].key,
        min(part.at for part in parts),
        concat(kept),
        join_sums([part.sums for part in parts]),
        merge_label_times(known) if known else None,
    )


@dataclass
class Refresh:
    """The rows of one refresh.

    Attributes:
        start: its first microsecond.
        batches: accepted batches in the order of their keys, none straddling an edge.
        rejected: rows that broke the schema, by the key of their batch.
    """

    start: int
    batches: list[pa.RecordBatch] = field(default_factory=list)
    rejected: list[tuple[Key, int]] = field(default_factory=list)
    _parts: dict[tuple[bool, bool], list[TrainingPart]] = field(default_factory=dict, repr=False)

    def parts(
        self, schema: Schema, cadence: Cadence, reduce: bool, halves: bool = False
    ) -> list[TrainingPart]:
        """What of it is trained on; made once, for all replays that ask: they share refreshes."""
        how = reduce, halves
        if how not in self._parts:
            found = (make_training_parts(batch, schema, cadence, *how) for batch in self.batches)
            self._parts[how] = [part for parts in found for part in parts]
        return self._parts[how]


class Model(NamedTuple):
    """A model that a replay has trained.

    Attributes:
        window: of the rows that it was trained on.
        data: its joblib bytes, as ``model.joblib`` of a run has them.
        manifest: what is known of it.
        artefact: the model itself.
        seconds: how long the fit took.
    """

    window: Window
    data: bytes
    manifest: Manifest
    artefact: Artefact
    seconds: float


class Scored(NamedTuple):
    """A batch with what the model of its refresh predicts; None without one.

    Attributes:
        batch: as accepted.
        model: which predicted.
        prediction: shape (rows,).
        histogram: how the rows lie in the bins of the model's profile, if that was asked for.
        classified: of a classifier the classes and probabilities.
    """

    batch: pa.RecordBatch
    model: Model | None = None
    prediction: Matrix | None = None
    histogram: Histogram | None = None
    classified: Classified | None = None

    def asked(self) -> Asked:
        """The batch as questions, with what was predicted for them."""
        if self.model is None:
            return Asked(self.batch, None, 0.0, None)
        artefact, name = self.model.artefact, self.model.window.name
        season = artefact.predict_season(self.batch)
        return Asked(self.batch, self.prediction, artefact.baseline, name, self.classified, season)

    def sums(self, schema: Schema, cadence: Cadence) -> Sums:
        """What the refresh's figures are made of."""
        tag = tag_of(self.batch)
        by, split = schema.baseline.by, schema.figures.by
        entities = name_rows(self.batch, by) if by else None
        place = Before(cadence.serve_window_of(tag.at), tag.key, entities)
        before = None if schema.has_label_time else place
        if schema.classifies:
            return self._sum_classes(schema, before)
        target, late_rows = column(self.batch, schema.target), self.batch.column(LATE).true_count
        if self.model is None:
            ids = row_ids(self.batch)
            return sum_batch(target, late_rows, None, 0.0, None, before=before, ids=ids)
        artefact = self.model.artefact
        return sum_batch(
            target,
            late_rows,
            self.prediction,
            artefact.baseline,
            self.model.window.name,
            self.histogram,
            artefact.profile_with_units,
            season=artefact.predict_season(self.batch),
            before=before,
            named=None if split is None else name_rows(self.batch, [split]),
            ids=row_ids(self.batch),
        )

    def _sum_classes(self, schema: Schema, before: Before | None) -> Sums:
        model = self.model
        return sum_class_batch(
            self.batch.column(schema.target),
            self.batch.column(LATE).true_count,
            self.classified,
            None if model is None else model.window.name,
            self.histogram,
            "" if model is None else model.artefact.profile_json,
            before,
        )


@dataclass
class Replay:
    """Trains on refreshes, and scores each before it is trained on.

    Attributes:
        schema: what the columns mean.
        learner: what is trained.
        cadence: how event time is divided.
        trains_on: what a model is trained on: its window, all rows so far, or, once and for all,
            the first whole window.
        min_rows: with fewer labelled rows a window makes no model.
        sample_rows: maximum number of rows that a window trains on.
        reduce: whether moments take the place of most rows.
        gate: which models may serve.
        strict: whether a fit that fails is raised.
        keep: how many old models are kept; 0 keeps all.
        histograms: whether it is found out how scored rows lie in their model's profile.
        models: those that are kept, oldest first.
        skipped: the windows that made no model.
        trained: how many models there were.
        fit_seconds, score_seconds: how long all fits, and all predictions, took.
    """

    schema: Schema
    learner: Learner
    cadence: Cadence
    trains_on: TrainsOn = "window"
    min_rows: int = 1
    sample_rows: int = 1_000_000
    reduce: bool = False
    gate: gating.Kind = "none"
    strict: bool = False
    keep: int = 3
    histograms: bool = True
    models: list[Model] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    trained: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    _held: list[TrainingPart] = field(default_factory=list, repr=False)
    _first: int | None = None
    _last: int = -(2**63)
    _next: int = 0

    def step(self, refresh: Refresh) -> list[Scored]:
        """Trains all windows that end by a refresh's start, scores its rows, and takes them in.

        Args:
            refresh: later than all before.
        """
        self.finish(refresh.start)
        model = self._serving(refresh.start)
        began = time.perf_counter()
        scored = [self._score(batch, model) for batch in refresh.batches]
        self.score_seconds += time.perf_counter() - began
        self.prune(refresh.start)
        if refresh.batches and not self._is_fixed:
            self._hold(refresh)
        return scored

    def _hold(self, refresh: Refresh) -> None:
        """Keeps what of a refresh is trained on until all windows that it lies in have ended."""
        parts = refresh.parts(self.schema, self.cadence, self.reduce, self._halves)
        at = [refresh.start]
        if self.schema.has_label_time:  # a label may be the first, or the last, of a later refresh
            at = [self.cadence.refresh_of(part.at) for part in parts]
        if at:
            self._first = min(at) if self._first is None else min(self._first, *at)
            self._last = max(self._last, *at)
        self._next = refresh.start + self.cadence.every
        self._held += parts

    def finish(self, end: int) -> None:
        """Trains all windows that end by a time, microseconds, and hold any row."""
        if self._first is None:
            return
        window, every = self.cadence.window, self.cadence.every
        reach = self._last + (every if self.trains_on == "all" else window)
        for window_end in range(self._next, min(end, reach) + 1, every):
            self._train(window_end)
        self._next = max(self._next, end + every)

    def _score(self, batch: pa.RecordBatch, model: Model | None) -> Scored:
        if model is None:
            return Scored(batch)
        if not self.histograms:
            return self._score_alone(batch, model)
        return Scored(batch, model, *model.artefact.score(batch))

    def _score_alone(self, batch: pa.RecordBatch, model: Model) -> Scored:
        if not self.schema.classifies:
            return Scored(batch, model, model.artefact.predict(batch))
        classified = model.artefact.classify(batch)
        return Scored(batch, model, classified.predicted.astype(np.float64), None, classified)

    def _serving(self, refresh: int) -> Model | None:
        latest = newest_window_end(refresh, self.cadence.every, self.cadence.lag)
        allowed = (model for model in reversed(self.models) if model.window.end <= latest)
        return next(allowed, None)

    def prune(self, refresh: int) -> None:
        """Lets the models go that are too old to serve after a refresh, as the job does."""
        if not self.keep:
            return
        old = [model for model in self.models if model.window.end <= refresh]
        del self.models[: max(0, len(old) - max(self.keep, self.cadence.lag))]

    def _train(self, end: int) -> None:
        assert self._first is not None
        start = self._first if self.trains_on == "all" else end - self.cadence.window
        if self._is_fixed or (self.trains_on == "first" and start < self._first):
            return
        if self.trains_on != "all":
            self._held = [part for part in self._held if part.at >= start]
        parts = [part for part in self._held if part.at < end]
        if not parts:
            return
        classes = self.schema.target if self.schema.classifies else None
        whole = join(parts, self._sample_rows, classes)
        if self.trains_on == "all":  # else each refresh would merge all before it again
            self._held = [whole, *(part for part in self._held if part.at >= end)]
        window, (found, moments) = Window(start, end), finish([whole.sums], self.schema)
        found = found.cut(self.schema.max_categories)
        model = self._fit(normalize(whole.rows, found, self.schema, window, moments, whole.known))
        if model is not None:
            self.models.append(model)
            self.trained += 1
            self.fit_seconds += model.seconds
            if self._is_fixed:
                self._held = []

    @property
    def _has_learned(self) -> bool:
        """Whether any model predicts more than the class shares of a window of one class."""
        return any(model.manifest.learner != SHARES for model in self.models)

    @property
    def _is_fixed(self) -> bool:
        """Whether the one model is there that serves for ever."""
        return self.trains_on == "first" and self._has_learned

    @property
    def _halves(self) -> bool:
        return self.reduce and gating.runs_trial(self.gate, self.learner.name)

    @property
    def _sample_rows(self) -> int:
        return min(self.sample_rows, REDUCED_ROWS) if self.reduce else self.sample_rows

    def _fit(self, data: Normalized) -> Model | None:
        start, end = data.window
        if data.rows < self.min_rows:
            self.skipped.append(few_rows(start, end, data.rows, self.min_rows))
            return None
        began = time.perf_counter()
        try:
            # scikit-learn's threads set the process's filters of warnings, and may leave none
            with warnings.catch_warnings():
                artefact, report = fit_artefact(data, self.schema, self.learner)
        except FitFailed as error:
            if isinstance(error, OneClass) and not self._has_learned:
                dumped, manifest = train_shares(data, self.schema, self.learner)
                seconds = time.perf_counter() - began
                return Model(data.window, dumped, manifest, load_bytes(dumped), seconds)
            if self.strict and not isinstance(error, OneClass):
                raise
            self.skipped.append(fit_failed(start, end, data.rows, error))
            return None
        verdict = gating.judge(artefact.estimator, data, self.schema, self.learner, self.gate)
        if verdict is not None and not verdict.accepted:
            self.skipped.append(refused(start, end, data.rows, verdict))
            return None
        dumped, manifest = dump_with_manifest(artefact, report, data, self.learner, verdict)
        # what comes out of another may not be what went in
        if self.learner.name not in learners_of(self.schema.task):
            artefact = load_bytes(dumped)
        return Model(data.window, dumped, manifest, artefact, time.perf_counter() - began)


def pool_sums(
    refresh: Refresh, scored: list[Scored], schema: Schema, cadence: Cadence
) -> Iterator[tuple[Key, Sums]]:
    """The sums of a refresh's batches and rejects, by the keys of the batches."""
    for one in scored:
        yield tag_of(one.batch).key, one.sums(schema, cadence)
    for key, rows in refresh.rejected:
        yield key, Sums(rejected=rows)
