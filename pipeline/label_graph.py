"""The part of the job that is there where labels come later.

Where a row has its label's time (``track_labels``), predictions wait for it. Where labels are a
stream of their own (``read_labels``, ``score_labels``), they meet their questions, and the answered
rows go two ways: back into the job, to be learned from, and on to what was predicted for them
(``transforms.join``).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PBegin

from model.cohorts import Clock, CohortPart
from model.ending import StreamEnd
from model.label_stream import REJECTS, LabelSchema
from model.runs import RunFolder
from pipeline.settings import Settings
from transforms.elements import AcceptedBatch, KeyedSums, Rejects, ScoredBatch, WrittenFile
from transforms.join import (
    AnswerInputs,
    Joining,
    JoinInputs,
    ScoreAnswers,
    SettleLabels,
    Settlements,
    count_labels,
    count_rejected_labels,
    drop_questions,
    name_model,
)
from transforms.labels import TrackQuestions
from transforms.last import CompareLast
from transforms.resume import is_unreported
from transforms.sinks.outcomes import WriteOutcomes
from transforms.sinks.rejects import WriteRejects
from transforms.validate import Validate
from transforms.windows import refreshes

Sums = beam.PCollection[tuple[int, KeyedSums]]
Written = beam.PCollection[WrittenFile]
LABELS = "labels"
"""The attribute of a source that has the source of its labels."""


class LabelStream(NamedTuple):
    """Labels on their way through the job.

    Attributes:
        joining: what the steps of the join share.
        settled: what came of the labels.
        counts: of the labels that were read.
        rejects: the files of those that are none.
    """

    joining: Joining
    settled: Settlements
    counts: Sums
    rejects: Written


class LabelFigures(NamedTuple):
    """What is known of the questions of a refresh.

    Attributes:
        errors: sums of errors and counts.
        parts: parts of cohorts.
        written: files that must be there before the report is.
    """

    errors: Sums
    parts: beam.PCollection[tuple[int, CohortPart]]
    written: list[Written]


def read_labels(
    root: beam.Pipeline | PBegin,
    source: beam.PTransform[PBegin, beam.PCollection[AcceptedBatch]],
    accepted: beam.PCollection[AcceptedBatch],
    settings: Settings,
    folder: RunFolder,
    end: StreamEnd,
    since: int | None,
) -> LabelStream:
    """Labels, joined with their questions.

    Args:
        root: a pipeline, or what ``source`` expands on.
        source: of the labels.
        accepted: the questions.
        settings: all options.
        folder: the run's folder.
        end: where the stream ends.
        since: the first refresh that is to report, microseconds; None: all are.
    """
    schema, keyed = settings.row_schema, tuple[int, KeyedSums]
    joining = Joining(
        schema,
        settings.cadence,
        settings.clock,
        settings.shards,
        folder.questions,
        folder.labels,
        folder.predictions,
        end,
        since,
    )
    validate = Validate(LabelSchema.of(schema))
    labels, broken = root | "LabelSource" >> source | "ValidateLabels" >> validate
    found = JoinInputs(questions=accepted, labels=labels)
    settled = found | "Join" >> SettleLabels(joining)
    rejected = broken | "UnreportedLabelRejects" >> beam.Filter(is_unreported, since)
    unreported = beam.Filter(is_unreported, since).with_output_types(AcceptedBatch)
    counts = (
        labels
        | "UnreportedLabels" >> unreported
        | "CountLabels" >> beam.Map(count_labels).with_output_types(keyed),
        rejected | "CountRejects" >> beam.Map(count_rejected_labels).with_output_types(keyed),
    )
    rejects = rejected | "LabelRejects" >> WriteRejects(
        folder.rejected, settings.cadence, prefix=REJECTS
    )
    counted = counts | "Counts" >> beam.Flatten()
    in_refresh = counted | "CountRefresh" >> beam.WindowInto(refreshes(settings.cadence))
    return LabelStream(joining, settled, in_refresh, rejects)


def score_labels(
    labels: LabelStream,
    scored: beam.PCollection[ScoredBatch],
    predictions: Written,
    folder: RunFolder,
) -> LabelFigures:
    """The errors of the questions whose labels have come.

    Args:
        labels: what ``read_labels`` gave.
        scored: all scored batches, whose models their cohorts name.
        predictions: the files of all predictions.
        folder: the run's folder.
    """
    inputs = AnswerInputs(answered=labels.settled["answered"], predictions=predictions)
    answers = inputs | "Answers" >> ScoreAnswers(labels.joining, folder.outcomes)
    windows = labels.joining.windows
    joining = labels.joining
    known = answers["known"] | "KnownRefresh" >> beam.WindowInto(windows)
    compare = CompareLast(
        *(folder.known, joining.cadence, joining.clock, joining.end, joining.schema)
    )
    errors = [labels.settled["sums"], answers["sums"], labels.counts, known | "Last" >> compare]
    errors = errors | "Errors" >> beam.Flatten()
    name = beam.FlatMap(name_model, labels.joining).with_output_types(tuple[int, CohortPart])
    models = scored | "NameModel" >> name
    parts = (labels.settled["parts"], answers["parts"], models) | "AllParts" >> beam.Flatten()
    return LabelFigures(
        errors | "ErrorRefresh" >> beam.WindowInto(windows),
        parts | "PartRefresh" >> beam.WindowInto(windows),
        [answers["written"] | "OutcomeRefresh" >> beam.WindowInto(windows), labels.rejects],
    )


def track_labels(
    scored: beam.PCollection[ScoredBatch],
    accepted: beam.PCollection[AcceptedBatch],
    settings: Settings,
    folder: RunFolder,
    end: StreamEnd,
    since: int | None,
) -> LabelFigures:
    """The errors of the questions whose own rows have their labels.

    Args:
        scored: all scored batches.
        accepted: all accepted batches; those that were reported before are asked again.
        settings: all options.
        folder: the run's folder.
        end: where the stream ends.
        since: the first refresh that is to report, microseconds; None: all are.
    """
    schema, rows = settings.row_schema, settings.predictions == "parquet"
    cadence, clock = settings.cadence, settings.clock
    track = TrackQuestions(schema, cadence, clock, folder.predictions, since, rows)
    known = {"scored": scored, "accepted": accepted} | "Labels" >> track
    compare = CompareLast(folder.known, cadence, clock, end, schema)
    errors = (known["errors"], known["known"] | "Last" >> compare) | "Errors" >> beam.Flatten()
    written = []
    if rows:
        outcomes = WriteOutcomes(folder.outcomes, settings.shards, end)
        written.append(known["answered"] | "Outcomes" >> outcomes)
    return LabelFigures(errors, known["parts"], written)


def is_within(element: ScoredBatch | Rejects, end: StreamEnd, clock: Clock) -> bool:
    """Whether a batch is in the stream; one clock may have been read beyond where it ends."""
    tag = element.batch.tag if isinstance(element, ScoredBatch) else element.tag
    return end.includes(clock.refresh_of(tag.at) + clock.every)


def drop_waited(folder: RunFolder, clock: Clock) -> partial[None]:
    """What removes the files of questions that no refresh behind a reported one needs."""
    return partial(drop_questions, folders=(folder.questions, folder.labels), clock=clock)
