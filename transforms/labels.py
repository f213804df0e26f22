"""Labels that come later: predictions wait, as they were made, for the refresh of their labels.

Each scored batch is cut by the refreshes in which its questions are answered or expire, and its
pieces are stamped forward to these. There they meet nothing: a row has its label with it. So no
join, state or timer is needed; what waits, waits in a shuffle.

A run that is resumed takes predictions that it has reported before from ``predictions/``, and
follows only what becomes of their questions in the refreshes that are still to report.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, TypedDict, TypeVar

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from model import files
from model.answers import Asked, cut_answered, find_outcomes
from model.asof import Cadence, format_name
from model.batch import SECOND, row_ids
from model.classes.columns import class_column_names, restore
from model.cohorts import Clock, CohortPart
from model.errors import UserError
from model.labels import Ints
from model.last_known import cut_targets
from model.membership import find_places
from model.schema import Schema
from transforms.elements import (
    AcceptedBatch,
    AnsweredTargets,
    AskedBatch,
    KeyedSums,
    OutcomeRows,
    ScoredBatch,
)
from transforms.sinks.predictions import SEASON, baseline_names, prediction_layout
from transforms.stamps import STAMP, beam_time

Element = TypeVar("Element")
ERRORS, PARTS, ANSWERED, KNOWN = "errors", "parts", "answered", "known"
REFRESHES_HELD = 64
"""Maximum number of refreshes whose predictions a resumed run holds at a time."""


def as_asked(scored: ScoredBatch) -> AskedBatch:
    """A scored batch as questions and what was predicted for them."""
    return AskedBatch(scored.batch.tag, scored.asked())


class TrackQuestionsFn(beam.DoFn):
    """What becomes of scored questions, each thing stamped into the refresh in which it is certain.

    Gives errors and counts (``KeyedSums``); to the output ``parts`` the batch's part in its cohort,
    in the refresh in which the cohort is final; to ``answered`` its answered rows, and
    to ``known`` their targets.

    Attributes:
        schema: of the rows, with ``label_time``.
        cadence: how event time is divided.
        clock: when questions can be answered.
        since: what was certain in an earlier refresh has been reported; microseconds, or None.
        rows: whether answered rows are needed.
    """

    def __init__(
        self,
        schema: Schema,
        cadence: Cadence,
        clock: Clock,
        since: int | None,
        rows: bool = True,
    ) -> None:
        self.schema = schema
        self.cadence = cadence
        self.clock = clock
        self.since = since
        self.rows = rows

    def default_label(self) -> str:
        return "FollowFn"  # the name of its step in savepoints

    def process(
        self, batch: AskedBatch, at: Timestamp = STAMP
    ) -> Iterator[TimestampedValue[tuple[int, KeyedSums]] | TaggedOutput[str, object]]:
        tag, asked = batch
        every, _, offset = self.clock
        outcomes = tuple(find_outcomes(asked, self.schema, every, tag.at, offset))
        for outcome in outcomes:
            if self._is_due(outcome.refresh):
                sums = 0, KeyedSums(tag.key, outcome.sums)
                yield self._stamp(sums, outcome.refresh, at)
        final = self.clock.final_at(self.clock.refresh_of(tag.at))
        if self._is_due(final):
            part = CohortPart(tag.key, asked.rows.num_rows, asked.model or "", outcomes)
            yield TaggedOutput(PARTS, self._stamp((0, part), final, at))
        for refresh, targets in self._known(batch):
            known = AnsweredTargets(tag, targets)
            yield TaggedOutput(KNOWN, self._stamp(known, refresh, at))
        if not self.rows:
            return
        for refresh, rows in cut_answered(asked, self.schema, every, tag.at, offset):
            if self._is_due(refresh):
                answered = OutcomeRows(tag, rows)
                yield TaggedOutput(ANSWERED, self._stamp(answered, refresh, at))

    def _known(self, batch: AskedBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The targets of a batch's answered questions, by the refresh in which that is known."""
        tag, asked = batch
        slot = self.cadence.serve_window_of(tag.at)
        for refresh, rows in cut_targets(asked, self.schema, self.clock, tag.at, slot):
            if self._is_due(refresh):
                yield refresh, rows

    def _is_due(self, refresh: int) -> bool:
        return self.since is None or refresh >= self.since

    def _stamp(self, value: Element, refresh: int, at: Timestamp) -> TimestampedValue[Element]:
        # never before the batch's own stamp: the watermark may be there already
        return TimestampedValue(value, max(beam_time(refresh), at))


class ReportedPredictions:
    """Predictions of reported refreshes, read from ``predictions/`` as they are needed.

    Attributes:
        folder: ``predictions/`` of the run's folder.
        schema: of its rows.
    """

    def __init__(self, folder: str, schema: Schema) -> None:
        self.folder = folder
        self.schema = schema
        self._read: OrderedDict[int, pa.Table] = OrderedDict()

    def find(self, rows: pa.RecordBatch, refresh: int) -> Asked:
        """An accepted batch with what was predicted for it in the refresh in which it was asked.

        Raises:
            UserError: if a row has no prediction there.
        """
        where = f"{self.folder}/{format_name(refresh)}"
        return match_predictions(rows, self._table(refresh), where, self.schema)

    def _table(self, refresh: int) -> pa.Table:
        if refresh not in self._read:
            folder = files.join(self.folder, format_name(refresh))
            shards = [files.read_whole(path) for path in files.list_files(folder, "*.parquet")]
            columns = ["id", "prediction", "model", *baseline_names(self.schema)]
            columns += class_column_names(self.schema)
            read = [pq.read_table(pa.BufferReader(data), columns=columns) for data in shards]
            nothing = prediction_layout(self.schema).empty_table().select(columns)
            self._read[refresh] = pa.concat_tables(read) if read else nothing
            if len(self._read) > REFRESHES_HELD:
                self._read.popitem(last=False)
        self._read.move_to_end(refresh)
        return self._read[refresh]


def match_predictions(rows: pa.RecordBatch, table: pa.Table, where: str, schema: Schema) -> Asked:
    """Rows with what was predicted for them.

    Args:
        rows: of one refresh.
        table: the predictions of the refresh, or of a part of it that has the rows.
        where: what holds the table, for the message.
        schema: of the rows.

    Raises:
        UserError: if a row has no prediction there.
    """
    places = _find_places(row_ids(rows), table.column("id").to_numpy())
    if places is None:
        raise UserError(
            f"{where}: has no prediction of the row {row_ids(rows)[0]}, which is "
            "still open: the run was changed, or its rows are not those that it had"
        )
    found = table.take(pa.array(places))
    models = found.column("model").unique().to_pylist()
    if models == [None]:
        return Asked(rows, None, 0.0, None)
    if schema.classifies:
        classified = restore(found, schema)
        predicted = classified.predicted.astype(np.float64)
        return Asked(rows, predicted, 0.0, models[0], classified)
    prediction = found.column("prediction").to_numpy()
    baseline = found.column("baseline")[0].as_py()
    season = found.column(SEASON).to_numpy() if schema.baseline.season else None
    return Asked(rows, prediction.astype(np.float64), baseline, models[0], None, season)


def _find_places(ids: Ints, among: Ints) -> Ints | None:
    """Where row ids stand among others, each there once; None if one is missing."""
    order = None
    if (np.diff(among) < 0).any():  # else they are sorted, as those of files are
        order = np.argsort(among)
        among = among[order]
    places = find_places(ids, among)
    return places if order is None or places is None else order[places]


class FindReportedFn(beam.DoFn):
    """Accepted batches of refreshes that were reported, with what was predicted for them then.

    Attributes:
        folder: ``predictions/`` of the run's folder.
        clock: when questions can be answered.
        since: the start of the first refresh that is to report, microseconds.
        schema: of the rows.
    """

    def __init__(self, folder: str, clock: Clock, since: int, schema: Schema) -> None:
        self.schema = schema
        self.folder = folder
        self.clock = clock
        self.since = since

    def setup(self) -> None:
        self.reported = ReportedPredictions(self.folder, self.schema)

    def default_label(self) -> str:
        return "RecallFn"  # the name of its step in savepoints

    def process(self, batch: AcceptedBatch) -> Iterator[AskedBatch]:
        refresh = self.clock.refresh_of(batch.tag.at)
        if self.clock.start_of(self.since) <= refresh < self.since:
            yield AskedBatch(batch.tag, self.reported.find(batch.rows, refresh))


class QuestionBatches(TypedDict):
    """What ``TrackQuestions`` takes; of ``accepted`` only what a resumed run has reported."""

    scored: beam.PCollection[ScoredBatch]
    accepted: beam.PCollection[AcceptedBatch]


class TrackedQuestions(TypedDict):
    """What becomes of questions, each in the refresh in which it is certain.

    Attributes:
        errors: sums of errors and counts.
        parts: batches' parts in their cohorts.
        answered: answered questions.
        known: their targets.
    """

    errors: beam.PCollection[tuple[int, KeyedSums]]
    parts: beam.PCollection[tuple[int, CohortPart]]
    answered: beam.PCollection[OutcomeRows]
    known: beam.PCollection[AnsweredTargets]


class TrackQuestions(beam.PTransform[QuestionBatches, TrackedQuestions]):
    """What becomes of questions.

    Attributes:
        schema: of the rows, with ``label_time``.
        cadence: how event time is divided.
        clock: when questions can be answered.
        folder: ``predictions/``, where those of a resumed run's reported refreshes are.
        since: the start of the first refresh that is to report, microseconds; None: all are.
        rows: whether answered rows are needed.
    """

    def __init__(
        self,
        schema: Schema,
        cadence: Cadence,
        clock: Clock,
        folder: str,
        since: int | None,
        rows: bool = True,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.cadence = cadence
        self.clock = clock
        self.folder = folder
        self.since = since
        self.rows = rows

    def expand(self, inputs: QuestionBatches) -> TrackedQuestions:
        asked = [inputs["scored"] | "Asked" >> beam.Map(as_asked).with_output_types(AskedBatch)]
        if self.since is not None:
            recall = beam.ParDo(FindReportedFn(self.folder, self.clock, self.since, self.schema))
            asked.append(inputs["accepted"] | "Recall" >> recall.with_output_types(AskedBatch))
        refreshes = FixedWindows(self.clock.every // SECOND, self.clock.offset // SECOND)
        found: dict[str, list[beam.PCollection[Any]]] = {kind: [] for kind in _TYPES}
        for number, questions in enumerate(asked):
            name = ("Follow", "FollowRecalled")[number]
            track = TrackQuestionsFn(self.schema, self.cadence, self.clock, self.since, self.rows)
            follow = beam.ParDo(track).with_outputs(
                *(kind for kind in _TYPES if kind != ERRORS), main=ERRORS
            )
            outputs = questions | name >> follow
            for kind, type_ in _TYPES.items():
                outputs[kind].element_type = type_
                placed = outputs[kind] | f"{name}{kind.title()}" >> beam.WindowInto(refreshes)
                found[kind].append(placed)
        flat = {
            kind: parts | f"All{kind.title()}" >> beam.Flatten() for kind, parts in found.items()
        }
        return TrackedQuestions(
            errors=flat[ERRORS],
            parts=flat[PARTS],
            answered=flat[ANSWERED],
            known=flat[KNOWN],
        )


_TYPES = {
    ERRORS: tuple[int, KeyedSums],
    PARTS: tuple[int, CohortPart],
    ANSWERED: OutcomeRows,
    KNOWN: AnsweredTargets,
}
