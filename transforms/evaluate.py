"""Evaluate: prequential figures of every refresh, from mergeable sums.

A refresh's figures come out when all of it has been scored and what is to be written of it
has been written: who sees a report may rely on the files that belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.windowed_value import WindowedValue
from typing_extensions import NotRequired

from model.answers import keep_question_sums
from model.asof import Cadence
from model.baselines import Before, RefreshSummary
from model.batch import LATE, Key, column, row_ids
from model.class_sums import sum_class_batch
from model.ending import NO_END, StreamEnd
from model.groups import name_rows
from model.memory import remember
from model.metrics import Metrics, Sums, compute_metrics, merge, order_sums, sum_batch
from model.remembered import Remembered, as_json, file_name
from model.schema import Schema
from transforms.coders import SUMS
from transforms.elements import KeyedSums, Rejects, ScoredBatch, WrittenFile
from transforms.stamps import WINDOW, last_time
from transforms.windows import refreshes
from transforms.writing import WriteFn, write_file


class Evaluated(TypedDict):
    """What a refresh's figures are made of; each is stamped within its refresh.

    Attributes:
        scored: all scored batches.
        rejected: all rejects.
        written: all files that must be there before the report is.
        errors: of the questions that are answered, if labels have a time of their own.
    """

    scored: beam.PCollection[ScoredBatch]
    rejected: beam.PCollection[Rejects]
    written: beam.PCollection[WrittenFile]
    errors: NotRequired[beam.PCollection[tuple[int, KeyedSums]]]


def sum_scored(scored: ScoredBatch, schema: Schema, cadence: Cadence) -> tuple[int, KeyedSums]:
    """The sums of a scored batch."""
    tag, rows, inference = scored.batch.tag, scored.batch.rows, scored.inference
    by, split = schema.baseline.by, schema.figures.by
    entities = name_rows(rows, by) if by else None
    before = Before(cadence.serve_window_of(tag.at), tag.key, entities)
    if schema.classifies:
        return 0, KeyedSums(tag.key, _sum_classes(scored, schema, before))
    sums = sum_batch(
        target=column(rows, schema.target),
        late=rows.column(LATE).true_count,
        prediction=None if inference is None else inference.prediction,
        baseline=0.0 if inference is None else inference.baseline,
        model=scored.model,
        histogram=None if inference is None else inference.histogram,
        profile="" if inference is None else inference.profile,
        season=None if inference is None else inference.season,
        before=None if schema.has_later_labels else before,
        named=None if split is None else name_rows(rows, [split]),
        ids=row_ids(rows),
    )
    if schema.has_later_labels:
        sums = keep_question_sums(sums)
    if schema.labels is not None:  # of a row alone nothing says whether it has a label
        sums = sums._replace(unlabelled=0)
    return 0, KeyedSums(tag.key, sums)


def _sum_classes(scored: ScoredBatch, schema: Schema, before: Before) -> Sums:
    rows, inference = scored.batch.rows, scored.inference
    sums = sum_class_batch(
        target=rows.column(schema.target),
        late=rows.column(LATE).true_count,
        classified=None if inference is None else inference.classified,
        model=scored.model,
        histogram=None if inference is None else inference.histogram,
        profile="" if inference is None else inference.profile,
        before=None if schema.has_later_labels else before,
    )
    if schema.has_later_labels:
        sums = keep_question_sums(sums)
    if schema.labels is not None:  # as above
        sums = sums._replace(unlabelled=0)
    return sums


def sum_rejected(rejects: Rejects) -> tuple[int, KeyedSums]:
    """The sums of a batch's rejects."""
    return 0, KeyedSums(rejects.tag.key, Sums(rejected=len(rejects.items)))


def sum_written(written: WrittenFile) -> tuple[int, KeyedSums]:
    """Sums that count nothing: a file of the refresh, for which its figures wait."""
    return 0, KeyedSums(Key(0, 0, 0), Sums(files=(written,)))


class MergeSums(beam.CombineFn):
    """Merges sums, which neither order nor bundling nor the cut into batches changes.

    The accumulator is a list of sums. The profile of a model, which is the same in all sums of
    the batches that it scored, is kept in the first alone: so it is shuffled once.
    """

    def create_accumulator(self) -> list[KeyedSums]:
        return []

    def add_input(self, accumulator: list[KeyedSums], keyed: KeyedSums) -> list[KeyedSums]:
        sums = keyed.sums
        if not sums.profile:
            accumulator.append(keyed)
        elif accumulator and accumulator[0].sums.profile == sums.profile:
            accumulator.append(keyed._replace(sums=sums._replace(profile="")))
        else:
            accumulator.insert(0, keyed)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[list[KeyedSums]]) -> list[KeyedSums]:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for keyed in accumulator:
                self.add_input(merged, keyed)
        return merged

    def extract_output(self, accumulator: list[KeyedSums]) -> Sums:
        ordered = sorted(accumulator, key=lambda keyed: order_sums(*keyed))
        return merge(keyed.sums for keyed in ordered)

    def get_accumulator_coder(self) -> beam.coders.Coder:
        return SUMS


def write_summary(
    keyed: tuple[int, Sums], folder: str | None, end: StreamEnd, window: IntervalWindow
) -> Iterator[tuple[int, KeyedSums]]:
    """Writes what later refreshes need of one, and passes its sums on.

    Args:
        keyed: the sums of a refresh.
        folder: ``summaries/`` of the run's folder; None: nothing is written.
        end: where the stream ends: of a refresh that ends later nothing is passed on.
        window: the refresh.
    """
    _, sums = keyed
    start = window.start.micros
    if not end.includes(window.end.micros):
        return
    if folder is not None:
        # One without a label has figures of its columns, beside which later ones' alerts are.
        summary = None if sums.figures is None else sums.figures.summary()
        metrics = compute_metrics(sums, start, window.end.micros)
        data = as_json(summary or RefreshSummary(), start, remember(metrics).as_fields())
        written = write_file(folder, (file_name(start),), data)
        sums = sums._replace(files=(*sums.files, (written.path, written.size)))
    yield 0, KeyedSums(Key(0, 0, 0), sums)


class ComputeFiguresFn(beam.DoFn):
    """The figures of refreshes from their sums, and from what is known of the refreshes before.

    The shuffle before this step gives a refresh when all that stood before it has been written.
    The refreshes of a bundle are computed at its end, in their order, so that each summary is read
    once.

    Attributes:
        folder: ``summaries/`` of the run's folder; None: nothing is known of refreshes before.
        every: a refresh's length, microseconds.
        schema: of the rows.
    """

    def __init__(self, folder: str | None, every: int, schema: Schema) -> None:
        self.folder = folder
        self.every = every
        self.schema = schema

    def setup(self) -> None:
        self.remembered = None if self.folder is None else Remembered(self.folder, self.every)

    def start_bundle(self) -> None:
        self.waiting: list[tuple[IntervalWindow, Sums]] = []

    def process(
        self, grouped: tuple[int, Iterable[KeyedSums]], window: IntervalWindow = WINDOW
    ) -> None:
        [keyed] = grouped[1]
        self.waiting.append((window, keyed.sums))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for window, sums in sorted(self.waiting, key=lambda one: one[0].start):
            start, end = window.start.micros, window.end.micros
            past = None if self.remembered is None else self.remembered.before(start)
            metrics = compute_metrics(
                sums,
                start,
                end,
                self.schema.has_later_labels,
                past,
                self.schema.task,
                self.schema.labels is not None,
            )
            yield WindowedValue((start, metrics), last_time(window), (window,))
        self.waiting = []


class Evaluate(beam.PTransform[Evaluated, beam.PCollection[tuple[int, Metrics]]]):
    """The figures of each refresh, by its start, from what was scored, rejected and written.

    A refresh that held any row has figures, be they null. Where labels have a time of their own,
    it has figures if any question was asked, answered or over in it.

    Attributes:
        schema: the meaning of the columns.
        cadence: how event time is divided.
        end: where the stream ends: no refresh that ends later has figures, if labels have a time.
        folder: ``summaries/`` of the run's folder, where each refresh leaves what later ones need;
            None: each has the figures that need nothing of others.
    """

    def __init__(
        self,
        schema: Schema,
        cadence: Cadence,
        end: StreamEnd = NO_END,
        folder: str | None = None,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.cadence = cadence
        self.end = end
        self.folder = folder

    def expand(self, inputs: Evaluated) -> beam.PCollection[tuple[int, Metrics]]:
        keyed = tuple[int, KeyedSums]
        refresh = refreshes(self.cadence)
        scored = (
            inputs["scored"]
            | "Score" >> beam.Map(sum_scored, self.schema, self.cadence).with_output_types(keyed)
            | "ScoredRefresh" >> beam.WindowInto(refresh)
        )
        rejected = (
            inputs["rejected"]
            | "Count" >> beam.Map(sum_rejected).with_output_types(keyed)
            | "RejectedRefresh" >> beam.WindowInto(refresh)
        )
        written = (
            inputs["written"]
            | "Nothing" >> beam.Map(sum_written).with_output_types(keyed)
            | "WrittenRefresh" >> beam.WindowInto(refresh)
        )
        errors: tuple[beam.PCollection[tuple[int, KeyedSums]], ...] = ()
        if self.schema.has_later_labels:
            errors = (inputs["errors"],)
        end = self.end if self.schema.has_later_labels else NO_END
        remembering = beam.ParDo(WriteFn(write_summary, self.folder, end))
        figures = ComputeFiguresFn(self.folder, self.cadence.every, self.schema)
        return (
            (scored, rejected, written, *errors)
            | "All" >> beam.Flatten()
            | "Merge" >> beam.CombinePerKey(MergeSums())
            | "Remember" >> remembering.with_output_types(keyed)
            | "Past" >> beam.GroupByKey()
            | "Figures" >> beam.ParDo(figures).with_output_types(tuple[int, Metrics])
        )
