"""Labels of a stream of their own: files of questions, and references to them, meet by refresh.

What waits is in files, sharded by a fixed hash of the key, and only references to files travel: a
reference goes into each refresh in which its file may be needed, and meets there, by CoGroupByKey,
what else that refresh needs. No state, no timer, and nothing waits in a shuffle for a wait.

1. The questions of a refresh are written (``questions/``).
2. Labels meet the questions of their wait: for which questions each is offered is written
   (``labels/``, ``model.offers``).
3. Offers meet the questions of their wait: the label of each question is settled
   (``model.settling``), and the answered rows are read out of ``questions/`` to be learned from.
4. Answered rows meet the predictions that were made when they were asked (``predictions/``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple, TypedDict

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import FixedWindows, IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from model import files
from model.answers import Asked, Outcome, answered_columns, outcome_rows, sum_answers
from model.asof import Cadence, format_name, parse_name
from model.batch import (
    LATE,
    TIME_TYPE,
    Key,
    Tag,
    concat,
    event_times,
    label_times,
    row_ids,
)
from model.classes.columns import class_column_names
from model.cohorts import Clock, CohortPart
from model.ending import StreamEnd
from model.kept import Kept
from model.label_stream import LabelSchema
from model.labels import Ints, LabelCounts, StreamCounts
from model.last_known import answered_targets
from model.metrics import Sums
from model.offers import Labels, OfferFile, Offers, drop_offered, find_offers, read_offers
from model.questions import (
    ASKED,
    QuestionFile,
    Questions,
    add_asked,
    cut_by_key,
    horizon,
    joined_rows,
    keep_index,
    question_path,
    times_over,
    write_questions,
)
from model.schema import Schema
from model.settling import Answers, find_over, settle
from model.store import is_name
from transforms.elements import (
    AcceptedBatch,
    AnsweredRows,
    AnsweredTargets,
    FileReference,
    JoinInput,
    KeyedSums,
    LabelRows,
    OutcomeRows,
    QuestionRows,
    Rejects,
    ScoredBatch,
    WrittenFile,
)
from transforms.labels import match_predictions
from transforms.sinks.outcomes import write_outcomes
from transforms.sinks.predictions import baseline_names, prediction_layout
from transforms.stamps import STAMP, WINDOW, beam_time, last_time
from transforms.writing import WriteFn, write_file

QUESTIONS, LABELS, PREDICTIONS, ANSWERED = "questions", "labels", "predictions", "answered"
SUMS, PARTS, WRITTEN, KNOWN = "sums", "parts", "written", "known"
QUESTION_SUMS, SETTLED_SUMS, EXPIRED_SUMS, ANSWER_SUMS, LABEL_SUMS, REJECTED_SUMS = range(-6, 0)
"""Partitions of the keys of sums that are of no batch, by which they are added in a fixed order."""
KEPT_PREDICTIONS = 64 << 20
"""Maximum number of bytes of predictions that a process keeps in memory."""
Keyed = tuple[int, JoinInput]


@dataclass(frozen=True)
class Joining:
    """What the steps of the join share.

    Attributes:
        schema: of the questions, with ``labels``.
        cadence: how event time is divided.
        clock: when they can be answered.
        shards: into how many parts keys are divided.
        questions, labels, predictions: folders of the run.
        end: where the stream ends.
        since: refreshes before were reported; microseconds, or None.
    """

    schema: Schema
    cadence: Cadence
    clock: Clock
    shards: int
    questions: str
    labels: str
    predictions: str
    end: StreamEnd
    since: int | None

    @property
    def joined(self) -> Schema:
        """The schema of questions with their answers."""
        return self.schema.joined()

    @property
    def windows(self) -> FixedWindows:
        """The refreshes."""
        return FixedWindows(self.clock.every // 1_000_000, self.clock.offset // 1_000_000)

    def is_due(self, refresh: int) -> bool:
        """Whether a refresh is to be reported."""
        return self.since is None or refresh >= self.since

    def references(
        self, kind: str, refresh: int, shard: int, rows: int, window: IntervalWindow
    ) -> Iterator[TimestampedValue[Keyed]]:
        """References to a file, one into each refresh in which it may be needed."""
        found = shard, FileReference(kind, refresh, rows)
        yield TimestampedValue(found, last_time(window))
        for ahead in range(1, horizon(self.clock) + 1):
            yield TimestampedValue(found, beam_time(refresh + ahead * self.clock.every))


def shard_questions(batch: AcceptedBatch, shards: int) -> Iterator[tuple[int, QuestionRows]]:
    """The questions of an accepted batch by the shard of their key."""
    for shard, rows in cut_by_key(add_asked(batch.rows, batch.tag.at), shards):
        yield shard, QuestionRows(batch.tag, rows)


def keep_questions(
    keyed: tuple[int, Iterable[QuestionRows]], joining: Joining, window: IntervalWindow
) -> Iterator[Any]:
    """Writes the questions of a refresh and a shard; gives references to them."""
    shard, parts = keyed
    refresh = window.start.micros
    if not joining.end.includes(window.end.micros):
        return
    written = write_questions([part.rows for part in parts], joining.clock, refresh)
    names = format_name(refresh), f"{shard:05d}.parquet"
    write_file(joining.questions, names, written.data)
    keep_index(question_path(joining.questions, refresh, shard), written.keys)
    yield from joining.references(QUESTIONS, refresh, shard, written.rows, window)
    model = "" if joining.is_due(refresh) else _find_model(joining, refresh, shard)
    part = CohortPart(Key(QUESTION_SUMS, refresh, shard), written.rows, model, ())
    yield from _cohort_part(part, refresh, joining, window)


def _find_model(joining: Joining, refresh: int, shard: int) -> str:
    """The model that has scored the questions of a reported refresh; "" without one."""
    path = question_path(joining.predictions, refresh, shard)
    try:
        models = _read_table(path, ["model"]).column("model").drop_null()
    except FileNotFoundError:
        return ""
    return str(models[0].as_py()) if len(models) else ""


def name_model(
    scored: ScoredBatch, joining: Joining, at: Timestamp = STAMP
) -> Iterator[TimestampedValue[tuple[int, CohortPart]]]:
    """The model of a scored batch, for its cohort."""
    tag, model = scored.batch.tag, scored.model
    if model is not None:
        final = joining.clock.final_at(joining.clock.refresh_of(tag.at))
        part = CohortPart(tag.key, 0, model, ())
        yield TimestampedValue((0, part), max(beam_time(final), at))


def _cohort_part(
    part: CohortPart, asked: int, joining: Joining, window: IntervalWindow
) -> Iterator[TaggedOutput[str, Any]]:
    """A part of the cohort of a refresh, in the refresh in which that is final, if it is due."""
    final = joining.clock.final_at(asked)
    if joining.is_due(final):
        stamped = TimestampedValue((0, part), max(beam_time(final), last_time(window)))
        yield TaggedOutput(PARTS, stamped)


def shard_labels(batch: AcceptedBatch, joining: Joining) -> Iterator[TimestampedValue[Keyed]]:
    """The labels of an accepted batch by the shard of their key, in its refresh and the next.

    Those behind the watermark of their stream are known where that stood.
    """
    rows = batch.rows
    at = np.maximum(event_times(rows), batch.tag.at)
    rows = rows.set_column(1, rows.schema.field(1), pa.array(at).cast(TIME_TYPE))
    refresh = joining.clock.refresh_of(batch.tag.at)
    for shard, part in cut_by_key(rows, joining.shards):
        found = shard, LabelRows(batch.tag, part)
        yield TimestampedValue(found, beam_time(batch.tag.at))
        yield TimestampedValue(found, beam_time(refresh + joining.clock.every))


def count_labels(batch: AcceptedBatch) -> tuple[int, KeyedSums]:
    """How many labels a batch has, and how many are behind the watermark of their stream."""
    behind = batch.rows.column(LATE).true_count
    counts = StreamCounts(label_behind=behind, labels_read=batch.rows.num_rows)
    sums = Sums(labels=LabelCounts(stream=counts))
    return 0, KeyedSums(batch.tag.key._replace(partition=LABEL_SUMS), sums)


def count_rejected_labels(rejects: Rejects) -> tuple[int, KeyedSums]:
    """How many rows of a batch are not labels."""
    rejected = len(rejects.items)
    counts = StreamCounts(labels_rejected=rejected, labels_read=rejected)
    sums = Sums(labels=LabelCounts(stream=counts))
    return 0, KeyedSums(rejects.tag.key._replace(partition=REJECTED_SUMS), sums)


class Meeting(NamedTuple):
    """What meets in a refresh and a shard.

    Attributes:
        files: references to files, by kind and refresh.
        rows: what has travelled itself.
    """

    files: dict[str, dict[int, FileReference]]
    rows: list[Any]

    @classmethod
    def of(cls, inputs: Mapping[str, Iterable[JoinInput]]) -> Meeting:
        """What a CoGroupByKey gives."""
        found: dict[str, dict[int, FileReference]] = {}
        rows: list[Any] = []
        for each in (one for kind in inputs.values() for one in kind):
            if not isinstance(each, FileReference):
                rows.append(each)
            elif found.setdefault(each.kind, {}).setdefault(each.refresh, each) != each:
                raise ValueError(f"two files of one name: {each}")
        return cls(found, rows)

    def refreshes(self, kind: str) -> list[int]:
        """The refreshes of which there are files of a kind."""
        return sorted(self.files.get(kind, {}))


Grouped = tuple[int, Mapping[str, Iterable[JoinInput]]]


def offer_labels(
    grouped: Grouped, joining: Joining, window: IntervalWindow
) -> Iterator[TimestampedValue[Keyed]]:
    """Writes for which questions the labels of a refresh are offered; gives references to that."""
    shard, inputs = grouped
    refresh = window.start.micros
    met = Meeting.of(inputs)
    if not met.rows or not joining.end.includes(window.end.micros):
        return
    labels = Labels.of([part.rows for part in met.rows], LabelSchema.of(joining.schema))
    before = question_path(joining.labels, refresh - joining.clock.every, shard)
    labels = drop_offered(labels, OfferFile(before).recall(), refresh)
    paths = {at: question_path(joining.questions, at, shard) for at in met.refreshes(QUESTIONS)}
    found = (QuestionFile(path, at) for at, path in paths.items())
    indices = (file.index() for file in found if file.may_hold(labels.hashes))
    offers = find_offers(labels, indices, refresh, joining.clock)
    if not len(offers.at):
        return
    names = format_name(refresh), f"{shard:05d}.parquet"
    write_file(joining.labels, names, offers.as_bytes())
    OfferFile(question_path(joining.labels, refresh, shard)).keep(offers)
    yield from joining.references(LABELS, refresh, shard, len(offers.at), window)


def settle_labels(grouped: Grouped, joining: Joining, window: IntervalWindow) -> Iterator[Any]:
    """What is certain in a refresh: answered rows, and counts of what was not answered."""
    shard, inputs = grouped
    refresh, end = window.start.micros, window.end.micros
    if not joining.end.includes(end):
        return
    met = Meeting.of(inputs)
    files_of = {at: _question_file(joining, at, shard) for at in met.refreshes(QUESTIONS)}
    due = {at for at, file in files_of.items() if file.may_be_over(refresh, end)}
    offers = _read_offers(met, due, joining, shard, refresh)
    settled = settle(offers, refresh)
    fill = joining.schema.fill
    counts, missing, learned = settled.counts, 0, []
    stamp = last_time(window)
    for asked in sorted(due.union(np.unique(settled.answers.refresh).tolist())):
        questions = files_of[asked].questions()
        found = _select(settled.answers, asked)
        over = np.zeros(0, np.int64)
        if asked in due:
            ends = times_over(questions.rows, joining.clock)
            over = find_over(row_ids(questions.rows), ends, settled.known, refresh, end)
        expired = len(over) if fill is None else 0
        if expired:
            yield from _count_expired(expired, asked, shard, joining, window)
            over = over[:0]
        missing += len(over)
        if not len(found.question) and not len(over):
            continue
        rows, asked_at = _answer(questions, found, over, fill, joining)
        learned.append(rows)
        if joining.is_due(joining.clock.final_at(asked)):  # so is what is due in this refresh
            found_rows = answered_columns(rows, joining.joined).append_column(ASKED, asked_at)
            answered = shard, AnsweredRows(asked, found_rows)
            yield TaggedOutput(ANSWERED, TimestampedValue(answered, stamp))
    if learned:  # as one batch: each costs as much as some thousand rows
        rows = concat(learned)
        if (np.diff(row_ids(rows)) < 0).any():
            rows = rows.take(pa.array(np.argsort(row_ids(rows))))
        tag = Tag(Key(refresh, refresh, shard), refresh, "", 0)
        yield TimestampedValue(AcceptedBatch(tag, rows), stamp)
    if joining.is_due(refresh) and (any(counts) or missing):
        counts = counts._replace(missing=missing)
        sums = Sums(labels=LabelCounts(label_late=counts.label_late, stream=counts))
        keyed = 0, KeyedSums(Key(SETTLED_SUMS, refresh, shard), sums)
        yield TaggedOutput(SUMS, TimestampedValue(keyed, last_time(window)))


def _question_file(joining: Joining, asked: int, shard: int) -> QuestionFile:
    return QuestionFile(question_path(joining.questions, asked, shard), asked)


def _read_offers(
    met: Meeting, due: set[int], joining: Joining, shard: int, refresh: int
) -> dict[int, Offers]:
    """The offers of a refresh, and those before by which the same questions are settled.

    Args:
        met: what meets in the refresh.
        due: the refreshes of which questions may be over in this one.
        joining: what the steps share.
        shard: of the questions.
        refresh: the start of the refresh.
    """
    found = {
        at: OfferFile(question_path(joining.labels, at, shard)) for at in met.refreshes(LABELS)
    }
    mine = found.get(refresh)
    read = read_offers(found, due if mine is None else due | mine.refreshes())
    return read if mine is None else {**read, refresh: mine.read()}  # orphans have no question


def _select(answers: Answers, asked: int) -> Answers:
    """The answers of the questions of a refresh."""
    mine = answers.refresh == asked
    return Answers(*(values[mine] for values in answers))


def _count_expired(
    expired: int, asked: int, shard: int, joining: Joining, window: IntervalWindow
) -> Iterator[TaggedOutput[str, Any]]:
    """Counts of questions whose wait is over, in the refresh and in their cohort."""
    refresh = window.start.micros
    sums = Sums(labels=LabelCounts(expired=expired))
    part = CohortPart(Key(SETTLED_SUMS, refresh, shard), 0, "", (Outcome(refresh, sums),))
    yield from _cohort_part(part, asked, joining, window)
    if joining.is_due(refresh):
        keyed = 0, KeyedSums(Key(EXPIRED_SUMS, asked, shard), sums)
        yield TaggedOutput(SUMS, TimestampedValue(keyed, last_time(window)))


def _answer(
    questions: Questions, found: Answers, over: Ints, fill: float | str | None, joining: Joining
) -> tuple[pa.RecordBatch, pa.Array]:
    """Questions with their answers, in the order of their row ids, and when each was asked.

    Args:
        questions: of a refresh and shard.
        found: the answers that have come.
        over: the places of rows that are answered by ``fill``, since no label has come.
        fill: the schema's ``missing``.
        joining: what the steps share.
    """
    rows, ids = questions.rows, row_ids(questions.rows)
    places = questions.find(found.question)
    wait = np.minimum(event_times(rows)[over] + joining.clock.wait, 2**63 - 1)
    places = np.concatenate([places, over])
    kind = object if joining.schema.classifies else np.float64
    filled = np.full(len(over), 0.0 if fill is None else fill, dtype=kind)
    target = np.concatenate([found.target.astype(kind, copy=False), filled])
    # an early label counts at its question's time
    known = np.maximum(found.time, event_times(rows)[places[: len(found.time)]])
    known = np.concatenate([known, wait])
    by_id = np.argsort(ids[places])
    taken = rows.take(pa.array(places[by_id]))
    label_time = pa.array(known[by_id]).cast(TIME_TYPE)
    targets = pa.array(target[by_id])
    if joining.schema.classifies:
        targets = targets.cast(pa.string()).dictionary_encode()
    joined = joined_rows(taken, targets, label_time, joining.joined)
    return joined, taken.column(ASKED)


def refer_to_predictions(
    written: WrittenFile, joining: Joining, window: IntervalWindow = WINDOW
) -> Iterator[TimestampedValue[Keyed]]:
    """References to a file of predictions that has been written."""
    path = PurePath(written.path)
    refresh, shard = parse_name(path.parent.name), int(path.stem)
    yield from joining.references(PREDICTIONS, refresh, shard, 0, window)


class ScoreAnswersFn(beam.DoFn):
    """Answered rows with what was predicted for them when they were asked.

    Gives sums of their errors; to the output ``parts`` their part in their cohort; to ``written``
    the file of ``outcomes/``; to ``known`` their targets.

    Attributes:
        joining: what the steps share.
        outcomes: the folder of that file.
    """

    def __init__(self, joining: Joining, outcomes: str) -> None:
        self.joining = joining
        self.outcomes = outcomes

    def process(self, grouped: Grouped, window: IntervalWindow = WINDOW) -> Iterator[Any]:
        shard, inputs = grouped
        refresh, joining = window.start.micros, self.joining
        met = Meeting.of(inputs)
        parts = []
        for answered in sorted(met.rows, key=lambda each: each.asked):
            asked = self._find(answered, shard, met.refreshes(PREDICTIONS))
            sums = sum_answers(asked, joining.joined)
            key = Key(ANSWER_SUMS, refresh, shard)
            part = CohortPart(key, 0, asked.model or "", (Outcome(refresh, sums),))
            yield from _cohort_part(part, answered.asked, joining, window)
            if joining.is_due(refresh):
                key = Key(ANSWER_SUMS, answered.asked, shard)
                yield TimestampedValue((0, KeyedSums(key, sums)), last_time(window))
                tag = Tag(key, refresh, "", 0)
                parts.append(OutcomeRows(tag, outcome_rows(asked, joining.joined)))
                known = AnsweredTargets(tag, _known_targets(asked, refresh, joining))
                yield TaggedOutput(KNOWN, TimestampedValue(known, last_time(window)))
        if parts:
            for written in write_outcomes((shard, parts), self.outcomes, joining.end, window):
                yield TaggedOutput(WRITTEN, written)

    def finish_bundle(self) -> None:
        files.flush()

    def _find(self, answered: AnsweredRows, shard: int, written: list[int]) -> Asked:
        """What was predicted for answered rows."""
        asked = answered.asked
        if self.joining.is_due(asked) and asked not in written:
            raise ValueError(f"no predictions of {format_name(asked)}, whose questions have labels")
        path = question_path(self.joining.predictions, asked, shard)
        return find_predictions(answered.rows, path, self.joining.schema)


def _known_targets(asked: Asked, refresh: int, joining: Joining) -> pa.RecordBatch:
    """The targets of questions that are all answered in a refresh."""
    stamps = asked.rows.column(ASKED).to_numpy()
    known = np.maximum(np.maximum(label_times(asked.rows), stamps), refresh)
    slots = joining.cadence.serve_window_of(stamps)
    return answered_targets(asked, known, slots, np.arange(len(stamps)), joining.joined)


def find_predictions(rows: pa.RecordBatch, path: str, schema: Schema) -> Asked:
    """Answered rows with what was predicted for them.

    Args:
        rows: of one refresh and shard.
        path: of the file of their predictions.
        schema: of the rows.

    Raises:
        UserError: if a row has no prediction there.
    """
    columns = ["id", "prediction", "model", *baseline_names(schema), *class_column_names(schema)]
    try:
        table = _predictions.get(path, lambda: _read_table(path, columns))
    except FileNotFoundError:
        table = prediction_layout(schema).empty_table().select(columns)
    return match_predictions(rows, table, path, schema)


_predictions: Kept[pa.Table] = Kept(KEPT_PREDICTIONS)


def _read_table(path: str, columns: list[str]) -> pa.Table:
    # A file, not a dataset of one, which costs more than to read so little.
    file = pq.ParquetFile(pa.BufferReader(files.read_whole(path)))
    return file.read(columns=columns, use_threads=False)


class JoinInputs(TypedDict):
    """What is joined: the questions, and the labels, both as accepted rows."""

    questions: beam.PCollection[AcceptedBatch]
    labels: beam.PCollection[AcceptedBatch]


class Settlements(TypedDict):
    """What ``SettleLabels`` gives.

    Attributes:
        learned: answered rows, in the refreshes in which their labels are known.
        answered: the same, by shard, on the way to their predictions.
        sums: counts of labels and questions.
        parts: parts of cohorts.
    """

    learned: beam.PCollection[AcceptedBatch]
    answered: beam.PCollection[Keyed]
    sums: beam.PCollection[tuple[int, KeyedSums]]
    parts: beam.PCollection[tuple[int, CohortPart]]


class SettleLabels(beam.PTransform[JoinInputs, Settlements]):
    """Questions and labels in; questions with their answers out, where their labels are known.

    Attributes:
        joining: what the steps of the join share.
    """

    def __init__(self, joining: Joining) -> None:
        super().__init__()
        self.joining = joining

    def expand(self, inputs: JoinInputs) -> Settlements:
        joining, windows = self.joining, self.joining.windows
        keep = beam.ParDo(WriteFn(keep_questions, joining)).with_outputs(PARTS, main=QUESTIONS)
        kept = (
            inputs["questions"]
            | "ShardQuestions"
            >> beam.FlatMap(shard_questions, joining.shards).with_output_types(
                tuple[int, QuestionRows]
            )
            | "QuestionRefresh" >> beam.WindowInto(windows)
            | "GroupQuestions" >> beam.GroupByKey()
            | "Keep" >> keep
        )
        kept[QUESTIONS].element_type = Keyed
        kept[PARTS].element_type = tuple[int, CohortPart]
        asked = kept[QUESTIONS] | "QuestionsAhead" >> beam.WindowInto(windows)
        labels = (
            inputs["labels"]
            | "ShardLabels" >> beam.FlatMap(shard_labels, joining).with_output_types(Keyed)
            | "LabelRefresh" >> beam.WindowInto(windows)
        )
        offered = (
            {QUESTIONS: asked, LABELS: labels}
            | "MeetLabels" >> beam.CoGroupByKey()
            | "Offer" >> beam.ParDo(WriteFn(offer_labels, joining)).with_output_types(Keyed)
            | "OffersAhead" >> beam.WindowInto(windows)
        )
        settle = beam.ParDo(WriteFn(settle_labels, joining))
        settled = (
            {QUESTIONS: asked, LABELS: offered}
            | "MeetOffers" >> beam.CoGroupByKey()
            | "SettleOffers" >> settle.with_outputs(SUMS, PARTS, ANSWERED, main=LABELS)
        )
        settled[LABELS].element_type = AcceptedBatch
        settled[SUMS].element_type = tuple[int, KeyedSums]
        settled[PARTS].element_type = tuple[int, CohortPart]
        settled[ANSWERED].element_type = Keyed
        return Settlements(
            learned=settled[LABELS],
            answered=settled[ANSWERED],
            sums=settled[SUMS],
            parts=(kept[PARTS], settled[PARTS]) | "Parts" >> beam.Flatten(),
        )


class AnswerInputs(TypedDict):
    """Answered rows by shard, and files of predictions."""

    answered: beam.PCollection[Keyed]
    predictions: beam.PCollection[WrittenFile]


class Scores(TypedDict):
    """What ``ScoreAnswers`` gives: sums of errors, parts of cohorts, files, answered targets."""

    sums: beam.PCollection[tuple[int, KeyedSums]]
    parts: beam.PCollection[tuple[int, CohortPart]]
    written: beam.PCollection[WrittenFile]
    known: beam.PCollection[AnsweredTargets]


class ScoreAnswers(beam.PTransform[AnswerInputs, Scores]):
    """Answered rows meet the predictions that were made when they were asked.

    Attributes:
        joining: what the steps of the join share.
        outcomes: the folder in which both are written.
    """

    def __init__(self, joining: Joining, outcomes: str) -> None:
        super().__init__()
        self.joining = joining
        self.outcomes = outcomes

    def expand(self, inputs: AnswerInputs) -> Scores:
        windows = self.joining.windows
        refer = beam.FlatMap(refer_to_predictions, self.joining).with_output_types(Keyed)
        score = beam.ParDo(ScoreAnswersFn(self.joining, self.outcomes))
        predictions = (
            inputs["predictions"]
            | "Refer" >> refer
            | "PredictionsAhead" >> beam.WindowInto(windows)
        )
        scored = (
            {ANSWERED: inputs["answered"], PREDICTIONS: predictions}
            | "MeetPredictions" >> beam.CoGroupByKey()
            | "ScoreAnswers" >> score.with_outputs(PARTS, WRITTEN, KNOWN, main=SUMS)
        )
        scored[SUMS].element_type = tuple[int, KeyedSums]
        scored[PARTS].element_type = tuple[int, CohortPart]
        scored[WRITTEN].element_type = WrittenFile
        scored[KNOWN].element_type = AnsweredTargets
        return Scores(
            sums=scored[SUMS],
            parts=scored[PARTS],
            written=scored[WRITTEN],
            known=scored[KNOWN],
        )


def drop_questions(reported: int, folders: tuple[str, ...], clock: Clock) -> None:
    """Removes the files of questions and labels that no later refresh needs.

    Args:
        reported: the start of the newest refresh whose report is committed, microseconds.
        folders: where they are.
        clock: when questions can be answered.
    """
    drop_all_questions(folders, reported - horizon(clock) * clock.every)


def drop_all_questions(folders: tuple[str, ...], before: int = 2**63 - 1) -> None:
    """Removes the files of questions and labels of the refreshes that start before a time.

    Args:
        folders: where they are.
        before: microseconds; without it all go.
    """
    for folder in folders:
        for path in files.list_files(folder, "*/*.parquet"):
            name = PurePath(path).parent.name
            if is_name(name) and parse_name(name) < before:  # what is not a run's stays
                files.remove(path)
                files.remove_folder_if_empty(str(PurePath(path).parent))
