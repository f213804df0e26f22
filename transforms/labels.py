"""Labels that come later: predictions wait, as they were made, for the refresh of their labels.

Each scored batch is cut by the refreshes in which its questions are answered or expire, and its
pieces are stamped forward to these. There they meet nothing: a row has its label with it. So no
join, state or timer is needed; what waits, waits in a shuffle.

A run that is resumed takes predictions that it has reported before from ``predictions/``, and
follows only what becomes of their questions in the refreshes that are still to report.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam import coders
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from model import files
from model.answers import Asked, Outcome, cut_answered, find_outcomes
from model.asof import format_name
from model.batch import ID, SECOND, Key, row_ids, tag_of
from model.cohorts import Clock, Part, file_name, merge_cohort
from model.ending import StreamEnd
from model.errors import UserError
from model.schema import Schema
from transforms.coders import FusedCoder, KeyedSums, behind, dump_sums, head, load_sums
from transforms.handover import sharded
from transforms.sinks import parquet_bytes
from transforms.sources.planner import beam_time, last_time
from transforms.writing import WriteFn, WrittenFile, write_file

ERRORS, PARTS, ANSWERED = "errors", "parts", "answered"
RECALLED = 64
"""Maximum number of refreshes whose predictions a resumed run holds at a time."""


class PartCoder(coders.Coder):
    """A batch's part in its cohort, as JSON, which keeps every digit."""

    head = head(b"P", 1)

    def encode(self, value: Part) -> bytes:
        outcomes = [(each.refresh, dump_sums(each.sums)) for each in value.outcomes]
        return self.head + json.dumps((value.key, value.rows, value.model, outcomes)).encode()

    def decode(self, encoded: bytes) -> Part:
        key, rows, model, found = json.loads(behind(self.head, encoded))
        outcomes = tuple(Outcome(refresh, load_sums(fields)) for refresh, fields in found)
        return Part(Key(*key), rows, model, outcomes)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Part


def as_asked(result: Any) -> Asked:
    """A scored batch as questions and what was predicted for them."""
    inference = result.inference
    if inference is None:
        return Asked(result.example, None, 0.0, None)
    return Asked(result.example, inference.prediction, inference.baseline, result.model_id)


class FollowFn(beam.DoFn):
    """What becomes of scored questions, each thing stamped into the refresh in which it is certain.

    Gives errors and counts (``KeyedSums``); to the output ``parts`` the batch's part in its cohort,
    in the refresh in which the cohort is final; to ``answered`` its answered rows.

    Attributes:
        schema: of the rows, with ``label_time``.
        clock: when questions can be answered.
        since: what was certain in an earlier refresh has been reported; microseconds, or None.
    """

    def __init__(self, schema: Schema, clock: Clock, since: int | None) -> None:
        self.schema = schema
        self.clock = clock
        self.since = since

    def process(self, asked: Asked, at: Any = beam.DoFn.TimestampParam) -> Iterator[Any]:
        tag, (every, _, offset) = tag_of(asked.rows), self.clock
        outcomes = tuple(find_outcomes(asked, self.schema, every, tag.at, offset))
        for outcome in outcomes:
            if self._is_due(outcome.refresh):
                sums = 0, KeyedSums(tag.key, outcome.sums)
                yield self._stamped(sums, outcome.refresh, at)
        final = self.clock.final_at(self.clock.refresh_of(tag.at))
        if self._is_due(final):
            part = Part(tag.key, asked.rows.num_rows, asked.model or "", outcomes)
            yield TaggedOutput(PARTS, self._stamped((0, part), final, at))
        for refresh, rows in cut_answered(asked, self.schema, every, tag.at, offset):
            if self._is_due(refresh):
                yield TaggedOutput(ANSWERED, self._stamped(rows, refresh, at))

    def _is_due(self, refresh: int) -> bool:
        return self.since is None or refresh >= self.since

    def _stamped(self, value: Any, refresh: int, at: Any) -> Any:
        # never before the batch's own stamp: the watermark may be there already
        return TimestampedValue(value, max(beam_time(refresh), at))


class Recalled:
    """Predictions of reported refreshes, read from ``predictions/`` as they are needed.

    Attributes:
        folder: ``predictions/`` of the run's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._read: OrderedDict[int, pa.Table] = OrderedDict()

    def recall(self, rows: pa.RecordBatch, refresh: int) -> Asked:
        """An accepted batch with what was predicted for it in the refresh in which it was asked.

        Raises:
            UserError: if a row has no prediction there.
        """
        table = self._table(refresh)
        places = pc.index_in(rows.column(ID), value_set=table.column("id").combine_chunks())
        if places.null_count:
            name = format_name(refresh)
            raise UserError(
                f"{self.folder}/{name}: has no prediction of the row {row_ids(rows)[0]}, which is "
                "still open: the run was changed, or its rows are not those that it had"
            )
        found = table.take(places)
        models = found.column("model").unique().to_pylist()
        if models == [None]:
            return Asked(rows, None, 0.0, None)
        prediction = found.column("prediction").to_numpy()
        baseline = found.column("baseline")[0].as_py()
        return Asked(rows, prediction.astype(np.float64), baseline, models[0])

    def _table(self, refresh: int) -> pa.Table:
        if refresh not in self._read:
            folder = files.join(self.folder, format_name(refresh))
            shards = [files.read_whole(path) for path in files.list_files(folder, "*.parquet")]
            columns = ["id", "prediction", "model", "baseline"]
            read = [pq.read_table(pa.BufferReader(data), columns=columns) for data in shards]
            self._read[refresh] = pa.concat_tables(read) if read else _NO_PREDICTIONS
            if len(self._read) > RECALLED:
                self._read.popitem(last=False)
        self._read.move_to_end(refresh)
        return self._read[refresh]


_NO_PREDICTIONS = pa.table(
    {
        "id": pa.array([], pa.int64()),
        "prediction": pa.array([], pa.float64()),
        "model": pa.array([], pa.string()),
        "baseline": pa.array([], pa.float64()),
    }
)


class RecallFn(beam.DoFn):
    """Accepted batches of refreshes that were reported, with what was predicted for them then.

    Attributes:
        folder: ``predictions/`` of the run's folder.
        clock: when questions can be answered.
        since: the start of the first refresh that is to report, microseconds.
    """

    def __init__(self, folder: str, clock: Clock, since: int) -> None:
        self.folder = folder
        self.clock = clock
        self.since = since

    def setup(self) -> None:
        self.recalled = Recalled(self.folder)

    def process(self, batch: pa.RecordBatch) -> Iterator[Asked]:
        refresh = self.clock.refresh_of(tag_of(batch).at)
        if self.clock.needed_from(self.since) <= refresh < self.since:
            yield self.recalled.recall(batch, refresh)


class Follow(beam.PTransform[Any, Any]):
    """What becomes of questions: ``{scored, accepted}`` in, ``{errors, parts, answered}`` out.

    Attributes:
        schema: of the rows, with ``label_time``.
        clock: when questions can be answered.
        folder: ``predictions/``, where those of a resumed run's reported refreshes are.
        since: the start of the first refresh that is to report, microseconds; None: all are.
    """

    def __init__(self, schema: Schema, clock: Clock, folder: str, since: int | None) -> None:
        super().__init__()
        self.schema = schema
        self.clock = clock
        self.folder = folder
        self.since = since

    def expand(self, inputs: dict[str, Any]) -> dict[str, Any]:
        asked = [inputs["scored"] | "Asked" >> beam.Map(as_asked).with_output_types(Asked)]
        if self.since is not None:
            recall = beam.ParDo(RecallFn(self.folder, self.clock, self.since))
            asked.append(inputs["accepted"] | "Recall" >> recall.with_output_types(Asked))
        refreshes = FixedWindows(self.clock.every // SECOND, self.clock.offset // SECOND)
        found: dict[str, list[Any]] = {ERRORS: [], PARTS: [], ANSWERED: []}
        for number, questions in enumerate(asked):
            name = ("Follow", "FollowRecalled")[number]
            follow = beam.ParDo(FollowFn(self.schema, self.clock, self.since))
            outputs = questions | name >> follow.with_outputs(PARTS, ANSWERED, main=ERRORS)
            for kind, type_ in _TYPES.items():
                outputs[kind].element_type = type_
                placed = outputs[kind] | f"{name}{kind.title()}" >> beam.WindowInto(refreshes)
                found[kind].append(placed)
        return {
            kind: parts | f"All{kind.title()}" >> beam.Flatten() for kind, parts in found.items()
        }


_TYPES = {ERRORS: tuple[int, KeyedSums], PARTS: tuple[int, Part], ANSWERED: pa.RecordBatch}


class WriteOutcomes(beam.PTransform[Any, Any]):
    """Answered rows in; ``<refresh start of the label>/<shard>.parquet`` out (``WrittenFile``).

    Rows are in the order of (label time, row id).

    Attributes:
        folder: where.
        shards: how many files a refresh has at the most.
        end: where the stream ends: what is answered from there on is left out.
    """

    def __init__(self, folder: str, shards: int, end: StreamEnd) -> None:
        super().__init__()
        self.folder = folder
        self.shards = shards
        self.end = end

    def expand(self, answered: Any) -> Any:
        keyed = tuple[int, pa.RecordBatch]
        write = beam.ParDo(WriteFn(write_outcomes, self.folder, self.end))
        return (
            answered
            | "Shard" >> beam.Map(sharded, self.shards).with_output_types(keyed)
            | "Group" >> beam.GroupByKey()
            | "Write" >> write.with_output_types(WrittenFile)
        )


def write_outcomes(
    keyed: tuple[int, Iterable[pa.RecordBatch]], folder: str, end: StreamEnd, window: Any
) -> Iterator[Any]:
    """Writes a shard of what was answered in a refresh; gives the file, stamped."""
    if not end.includes(window.end.micros):
        return
    shard, batches = keyed
    names = format_name(window.start.micros), f"{shard:05d}.parquet"
    table = pa.Table.from_batches([b.replace_schema_metadata(None) for b in batches])
    ordered = table.sort_by([("label_time", "ascending"), ("id", "ascending")])
    yield TimestampedValue(write_file(folder, names, parquet_bytes(ordered)), last_time(window))


class WriteCohorts(beam.PTransform[Any, Any]):
    """Batches' parts in; ``<refresh start>.json`` below a folder out (``WrittenFile``).

    A cohort is written in the refresh in which it is final, or when the stream has ended.

    Attributes:
        folder: where.
        clock: when questions can be answered.
        end: where the stream ends.
    """

    def __init__(self, folder: str, clock: Clock, end: StreamEnd) -> None:
        super().__init__()
        self.folder = folder
        self.clock = clock
        self.end = end

    def expand(self, parts: Any) -> Any:
        write = beam.ParDo(WriteFn(write_cohort, self.folder, self.clock, self.end))
        return (
            parts | "Cohort" >> beam.GroupByKey() | "Write" >> write.with_output_types(WrittenFile)
        )


def write_cohort(
    keyed: tuple[int, Iterable[Part]], folder: str, clock: Clock, end: StreamEnd, window: Any
) -> Iterator[Any]:
    """Writes a cohort; gives the file, stamped, if the cohort is final."""
    start = clock.start_of(window.start.micros)
    cohort = merge_cohort(keyed[1], start, clock, end.find())
    written = write_file(folder, (file_name(start),), cohort.as_json())
    if cohort.final:
        yield TimestampedValue(written, last_time(window))


coders.registry.register_coder(Part, PartCoder)
coders.registry.register_coder(Asked, FusedCoder)
