"""Evaluate: prequential figures of every refresh, from mergeable sums.

A refresh's figures come out when all of it has been scored and what is to be written of it
has been written: who sees a report may rely on the files that belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from model.answers import keep_question_sums
from model.asof import Cadence
from model.batch import LATE, Key, column, tag_of
from model.ending import NO_END, StreamEnd
from model.metrics import Metrics, Sums, compute_metrics, merge, sum_batch
from model.schema import Schema
from transforms.coders import SUMS, KeyedSums
from transforms.validate import Rejects
from transforms.windows import refreshes
from transforms.writing import WrittenFile

Keyed = list[KeyedSums]


def scored_sums(result: Any, schema: Schema) -> tuple[int, KeyedSums]:
    """The sums of a scored batch."""
    batch, said = result.example, result.inference
    sums = sum_batch(
        target=column(batch, schema.target),
        late=batch.column(LATE).true_count,
        prediction=None if said is None else said.prediction,
        baseline=0.0 if said is None else said.baseline,
        model=result.model_id,
        histogram=None if said is None else said.histogram,
        profile="" if said is None else said.profile,
    )
    if schema.has_label_time:
        sums = keep_question_sums(sums)
    return 0, KeyedSums(tag_of(batch).key, sums)


def rejected_sums(rejects: Rejects) -> tuple[int, KeyedSums]:
    """The sums of a batch's rejects."""
    return 0, KeyedSums(rejects.tag.key, Sums(rejected=len(rejects.items)))


def written_sums(written: WrittenFile) -> tuple[int, KeyedSums]:
    """Sums that count nothing: a file of the refresh, for which its figures wait."""
    return 0, KeyedSums(Key(0, 0, 0), Sums(files=(written,)))


class MergeSums(beam.CombineFn):
    """Merges sums in the order of batch keys, so that bundling changes no digit."""

    def create_accumulator(self) -> Keyed:
        return []

    def add_input(self, accumulator: Keyed, keyed: KeyedSums) -> Keyed:
        accumulator.append(keyed)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Keyed]) -> Keyed:
        return [keyed for accumulator in accumulators for keyed in accumulator]

    def extract_output(self, accumulator: Keyed) -> Sums:
        return merge(sums for _, sums in sorted(accumulator))

    def get_accumulator_coder(self) -> Any:
        return SUMS


def answered_figures(
    keyed: tuple[int, Sums], end: StreamEnd, window: Any = beam.DoFn.WindowParam
) -> Iterator[tuple[int, Metrics]]:
    """The figures of a refresh whose labels have a time, unless the stream ends before it does."""
    start, stop = window.start.micros, window.end.micros
    if end.includes(stop):
        yield start, compute_metrics(keyed[1], start, stop, by_label=True)


def refresh_figures(
    keyed: tuple[int, Sums], window: Any = beam.DoFn.WindowParam
) -> tuple[int, Metrics]:
    """The figures of a refresh, with its start in microseconds."""
    start, end = window.start.micros, window.end.micros
    return start, compute_metrics(keyed[1], start, end)


class Evaluate(beam.PTransform[Any, Any]):
    """For each refresh its start and its figures (``Metrics``), from three inputs.

    ``scored`` are scored batches, ``rejected`` batches' rejects, and ``written`` files, each
    stamped within the refresh to which it belongs.

    A refresh that held any row has figures, be they null. Where labels have a time of their own,
    a fourth input, ``errors``, has the errors of the questions that are answered in a refresh, and
    a refresh has figures if any question was asked, answered or over in it.

    Attributes:
        schema: the meaning of the columns.
        cadence: how event time is divided.
        end: where the stream ends: no refresh that ends later has figures, if labels have a time.
    """

    def __init__(self, schema: Schema, cadence: Cadence, end: StreamEnd = NO_END) -> None:
        super().__init__()
        self.schema = schema
        self.cadence = cadence
        self.end = end

    def expand(self, inputs: dict[str, Any]) -> Any:
        keyed = tuple[int, KeyedSums]
        refresh = refreshes(self.cadence)
        scored = (
            inputs["scored"]
            | "Score" >> beam.Map(scored_sums, self.schema).with_output_types(keyed)
            | "ScoredRefresh" >> beam.WindowInto(refresh)
        )
        rejected = (
            inputs["rejected"]
            | "Count" >> beam.Map(rejected_sums).with_output_types(keyed)
            | "RejectedRefresh" >> beam.WindowInto(refresh)
        )
        written = (
            inputs["written"]
            | "Nothing" >> beam.Map(written_sums).with_output_types(keyed)
            | "WrittenRefresh" >> beam.WindowInto(refresh)
        )
        errors = (inputs["errors"],) if self.schema.has_label_time else ()
        merged = (
            (scored, rejected, written, *errors)
            | "All" >> beam.Flatten()
            | "Merge" >> beam.CombinePerKey(MergeSums())
        )
        figures = (
            beam.FlatMap(answered_figures, self.end)
            if self.schema.has_label_time
            else beam.Map(refresh_figures)
        )
        return merged | "Figures" >> figures.with_output_types(tuple[int, Metrics])
