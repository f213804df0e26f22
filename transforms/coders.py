"""How elements are written as bytes. Importing this registers the coders, each for its own type.

What crosses a shuffle lies in a runner's savepoint too, from which a changed program may be
started. So each coder's bytes begin with a header: what they are, and in which version
(``transforms.versions``). Bytes of another version are refused (``OtherVersion``), never misread.

A change of what a coder's bytes mean, be it of a field's order or of a batch's columns and
metadata, raises the version in its header; ``tests/pipeline/test_upgrade.py`` has the bytes of
each version and says so. What is pickled (``FusedCoder``) stays within a bundle.

In Beam's Python SDK a PCollection's coder follows from its type (``with_output_types``), and a
type's coder from Beam's registry. So each element has a type of our own: registering a coder for
it changes nothing for other code in the process. ``RawBatch`` alone is another's type, since it is
what sources of one's own declare.
"""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pyarrow as pa
from apache_beam import coders

from model.answers import Outcome
from model.batch import Key, Tag, decode, encode, tag_of, with_tag
from model.block_sums import as_bytes
from model.block_sums import from_bytes as blocks_of_bytes
from model.cohorts import CohortPart
from model.exact import Exact
from model.labels import LabelCounts, LabelTimes
from model.manifest import Manifest, Reference, Window
from model.metrics import Metrics, Sums
from model.moments import Moments, from_bytes
from model.regression import RegressionSums
from model.skipped import Skipped
from model.statistics import Statistics
from model.tasks import TASKS, TaskSums
from model.training import Normalized
from transforms import object_store
from transforms.elements import (
    AcceptedBatch,
    AnsweredRows,
    AnsweredTargets,
    AskedBatch,
    Committed,
    FileReference,
    FitResult,
    JoinInput,
    KeyedSums,
    LabelRows,
    ModelReference,
    OutcomeRows,
    PredictionRows,
    QuestionRows,
    RawBatch,
    Rejects,
    RowReference,
    SampleRows,
    ScoredBatch,
    ScoringBatch,
    ServeInput,
    SharesModel,
    Summary,
    Tagged,
    WindowData,
    WorkItem,
    WrittenFile,
)
from transforms.versions import header, strip_header

ASKED = b"asked"
"""The key of the refresh in which answered rows were asked, in their metadata."""
STATISTICS, MOMENTS, WINDOW, KNOWN = b"statistics", b"moments", b"window", b"known"
HALF, BLOCKS = b"half", b"blocks"
"""Keys of what a summary and a window's data have beside their rows, in the metadata of the stream:
statistics (JSON), moments and those of a half, the window's bounds, what is known of the labels'
times (JSON), and the sums of blocks."""
PADDING = bytes(4)
"""What fills a header up to eight bytes, to which Arrow aligns columns: they are read where they
lie."""


class InProcessCoder(coders.Coder):
    """Passes an element by reference where it can be (``object_store``), else as bytes."""

    def encode(self, value: Any) -> bytes:
        reference = object_store.put(value)
        return self.write(value) if reference is None else reference

    def decode(self, encoded: bytes) -> Any:
        kept = object_store.get(encoded)
        if kept is None:
            return self.read(encoded)
        if self.is_read_once(kept):
            object_store.drop(encoded)
        return kept

    def is_read_once(self, value: Any) -> bool:
        """Whether a single step reads an element: one that groups it, or what follows that."""
        return False

    def is_deterministic(self) -> bool:
        return True

    def write(self, value: Any) -> bytes:
        """The value as bytes."""
        raise NotImplementedError

    def read(self, encoded: bytes) -> Any:
        """The value of those bytes."""
        raise NotImplementedError


def estimate_bytes(batch: pa.RecordBatch) -> int:
    """About how many bytes a batch has: eight a value (to ask Arrow takes as long as to encode)."""
    return batch.num_rows * batch.num_columns * 8


class RecordBatchCoder(InProcessCoder):
    """A RecordBatch with its metadata, as an Arrow IPC stream."""

    head = header(b"B", 1) + PADDING

    def write(self, value: pa.RecordBatch) -> bytes:
        return encode(value, self.head)

    def read(self, encoded: bytes) -> pa.RecordBatch:
        if not encoded.startswith(self.head):
            strip_header(self.head, encoded)
        return decode(pa.py_buffer(encoded).slice(len(self.head)))

    def estimate_size(self, value: pa.RecordBatch) -> int:
        return estimate_bytes(value)

    def to_type_hint(self) -> type:
        return pa.RecordBatch


READ_ONCE = AnsweredTargets, OutcomeRows, PredictionRows, QuestionRows
"""What goes nowhere but to where it is written."""


class TaggedCoder(RecordBatchCoder):
    """Rows with their tag, which lies in the metadata of the Arrow stream.

    Attributes:
        kind: which ``Tagged`` they are.
    """

    def __init__(self, kind: type[Tagged] = Tagged) -> None:
        self.kind = kind

    @classmethod
    def from_type_hint(cls, typehint: Any, registry: Any) -> Any:
        return cls(typehint)

    def is_read_once(self, value: Any) -> bool:
        return self.kind in READ_ONCE

    def write(self, value: Tagged) -> bytes:
        return super().write(with_tag(value.rows, value.tag))

    def read(self, encoded: bytes) -> Tagged:
        batch = super().read(encoded)
        return self.kind(tag_of(batch), batch.replace_schema_metadata(None))

    def estimate_size(self, value: Tagged) -> int:
        return estimate_bytes(value.rows)

    def to_type_hint(self) -> type:
        return self.kind


class RowReferenceCoder(coders.Coder):
    """A reference to rows, as JSON. Version 1 was a batch without columns: it is read too."""

    before, head = RecordBatchCoder.head, header(b"R", 2)

    def is_deterministic(self) -> bool:
        return True

    def encode(self, value: RowReference) -> bytes:
        return self.head + json.dumps([value.tag, value.count]).encode()

    def decode(self, encoded: bytes) -> RowReference:
        if encoded.startswith(self.before):
            batch = RecordBatchCoder().read(encoded)
            return RowReference(tag_of(batch), int(batch.schema.metadata[b"rows"]))
        (key, *rest), count = json.loads(strip_header(self.head, encoded))
        return RowReference(Tag(Key(*key), *rest), count)


class ModelReferenceCoder(coders.Coder):
    """A model's reference, as JSON. Version 1 was a batch without columns: it is read too."""

    before, head = RecordBatchCoder.head, header(b"N", 2)

    def is_deterministic(self) -> bool:
        return True

    def encode(self, value: ModelReference) -> bytes:
        return self.head + json.dumps(value.reference).encode()

    def decode(self, encoded: bytes) -> ModelReference:
        if encoded.startswith(self.before):
            found = RecordBatchCoder().read(encoded).schema.metadata
            return ModelReference(Reference(found[b"name"].decode(), found[b"sha256"].decode()))
        return ModelReference(Reference(*json.loads(strip_header(self.head, encoded))))


class ServeInputCoder(InProcessCoder):
    """What meets in a serve window, each by its own coder."""

    batches, rows, models = TaggedCoder(AcceptedBatch), RowReferenceCoder(), ModelReferenceCoder()

    def write(self, value: ServeInput) -> bytes:
        if isinstance(value, AcceptedBatch):
            return self.batches.write(value)
        if isinstance(value, RowReference):
            return self.rows.encode(value)
        if isinstance(value, ModelReference):
            return self.models.encode(value)
        raise TypeError(f"a {type(value).__name__} does not meet in a serve window")

    def read(self, encoded: bytes) -> ServeInput:
        if encoded.startswith(self.rows.head):
            return self.rows.decode(encoded)
        if encoded.startswith(self.models.head):
            return self.models.decode(encoded)
        batch = RecordBatchCoder().read(encoded)
        if batch.num_columns:
            return AcceptedBatch(tag_of(batch), batch.replace_schema_metadata(None))
        # A savepoint of version 0.1 has both references as batches without columns.
        older: coders.Coder = self.models if b"sha256" in batch.schema.metadata else self.rows
        return older.decode(encoded)

    def estimate_size(self, value: ServeInput) -> int:
        return estimate_bytes(value.rows) if isinstance(value, AcceptedBatch) else 100

    def to_type_hint(self) -> type:
        return ServeInput


class FileReferenceCoder(coders.Coder):
    """A reference to a file, as JSON."""

    head = header(b"F", 1)

    def is_deterministic(self) -> bool:
        return True

    def encode(self, value: FileReference) -> bytes:
        return self.head + json.dumps([value.kind, value.refresh, value.rows]).encode()

    def decode(self, encoded: bytes) -> FileReference:
        return FileReference(*json.loads(strip_header(self.head, encoded)))


class AnsweredRowsCoder(RecordBatchCoder):
    """Answered rows, with the refresh in which they were asked in the Arrow stream's metadata."""

    head = header(b"A", 1) + PADDING

    def write(self, value: AnsweredRows) -> bytes:
        return super().write(value.rows.replace_schema_metadata({ASKED: str(value.asked)}))

    def read(self, encoded: bytes) -> AnsweredRows:
        batch = super().read(encoded)
        asked = int(batch.schema.metadata[ASKED])
        return AnsweredRows(asked, batch.replace_schema_metadata(None))


class JoinInputCoder(InProcessCoder):
    """What meets where labels are a stream of their own, each by its own coder."""

    files, labels, answered = FileReferenceCoder(), TaggedCoder(LabelRows), AnsweredRowsCoder()

    def write(self, value: JoinInput) -> bytes:
        if isinstance(value, FileReference):
            return self.files.encode(value)
        if isinstance(value, LabelRows):
            return self.labels.write(value)
        if isinstance(value, AnsweredRows):
            return self.answered.write(value)
        raise TypeError(f"a {type(value).__name__} meets nothing")

    def read(self, encoded: bytes) -> JoinInput:
        if encoded.startswith(self.files.head):
            return self.files.decode(encoded)
        if encoded.startswith(self.answered.head):
            return self.answered.read(encoded)
        found = self.labels.read(encoded)
        assert isinstance(found, LabelRows)
        return found

    def is_read_once(self, value: Any) -> bool:
        return not isinstance(value, FileReference)

    def estimate_size(self, value: JoinInput) -> int:
        return 100 if isinstance(value, FileReference) else estimate_bytes(value.rows)  # type: ignore[attr-defined]

    def to_type_hint(self) -> type:
        return JoinInput


class SummaryCoder(RecordBatchCoder):
    """A batch's summary: its rows, with the rest in the metadata of the Arrow stream.

    Version 1 was written as a batch, with sums of all of its rows: these cannot be added
    to those of blocks, and are refused.
    """

    head = header(b"U", 2) + PADDING

    def write(self, value: Summary) -> bytes:
        batch = with_tag(value.rows, value.tag)
        metadata = {**batch.schema.metadata, BLOCKS: as_bytes(value.sums), **_known_metadata(value)}
        return super().write(batch.replace_schema_metadata(metadata))

    def read(self, encoded: bytes) -> Summary:
        batch = super().read(encoded)
        rows = batch.replace_schema_metadata(None)
        sums = blocks_of_bytes(batch.schema.metadata[BLOCKS])
        return Summary(tag_of(batch), rows, sums, _known_of(batch))

    def estimate_size(self, value: Summary) -> int:
        return estimate_bytes(value.rows)

    def to_type_hint(self) -> type:
        return Summary


class WindowDataCoder(InProcessCoder):
    """A window's data: its rows, with the rest in the metadata of the Arrow stream.

    Version 1 was a batch with a tag: it is read too.
    """

    before, head = RecordBatchCoder.head, header(b"W", 2) + PADDING

    def write(self, value: WindowData) -> bytes:
        metadata = {**_statistics_metadata(value), WINDOW: b"%d/%d" % value.window}
        return encode(value.rows.replace_schema_metadata(metadata), self.head)

    def read(self, encoded: bytes) -> WindowData:
        if not encoded.startswith((self.head, self.before)):
            strip_header(self.head, encoded)
        batch = decode(pa.py_buffer(encoded).slice(len(self.head)))
        start, end = batch.schema.metadata[WINDOW].split(b"/")
        rows = batch.replace_schema_metadata(None)
        return WindowData(Window(int(start), int(end)), rows, *_statistics_of(batch))

    def estimate_size(self, value: WindowData) -> int:
        return estimate_bytes(value.rows)

    def to_type_hint(self) -> type:
        return WindowData


def _known_metadata(value: Summary | WindowData) -> dict[bytes, bytes]:
    return {} if value.known is None else {KNOWN: json.dumps(value.known).encode()}


def _known_of(batch: pa.RecordBatch) -> LabelTimes | None:
    known = batch.schema.metadata.get(KNOWN)
    return None if known is None else LabelTimes.of(json.loads(known))


def _statistics_metadata(value: WindowData) -> dict[bytes, bytes]:
    metadata = {STATISTICS: value.statistics.model_dump_json().encode()}
    if value.moments is not None:
        metadata[MOMENTS] = value.moments.as_bytes()
        if value.moments.half is not None:
            metadata[HALF] = value.moments.half.as_bytes()
    return metadata | _known_metadata(value)


def _statistics_of(batch: pa.RecordBatch) -> tuple[Statistics, Moments | None, LabelTimes | None]:
    metadata = batch.schema.metadata
    moments, half = metadata.get(MOMENTS), metadata.get(HALF)
    part = None if half is None else from_bytes(half)
    return (
        Statistics.model_validate_json(metadata[STATISTICS]),
        None if moments is None else from_bytes(moments)._replace(half=part),
        _known_of(batch),
    )


class SharesModelCoder(coders.Coder):
    """A model of class shares: JSON of what is known of it, then the artefact's bytes."""

    head = header(b"O", 1)
    length = struct.Struct(">I")

    def encode(self, value: SharesModel) -> bytes:
        known = [*value.window, value.seconds, value.manifest.as_json().decode()]
        text = json.dumps([*known, value.skipped.as_json().decode()]).encode()
        return self.head + self.length.pack(len(text)) + text + value.model

    def decode(self, encoded: bytes) -> SharesModel:
        body = strip_header(self.head, encoded)
        start = self.length.size
        end = start + self.length.unpack_from(body)[0]
        *window, seconds, manifest, skipped = json.loads(body[start:end])
        return SharesModel(
            Window(*window),
            body[end:],
            Manifest.model_validate_json(manifest),
            seconds,
            Skipped.model_validate_json(skipped),
        )

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return SharesModel


class MetricsCoder(coders.Coder):
    """A refresh's figures, as the JSON of its report, which keeps every digit.

    Version 2 lacked the files, version 3 the figures that pool: they are read too.
    """

    older, head = (header(b"M", 2), header(b"M", 3)), header(b"M", 4)

    def encode(self, value: Metrics) -> bytes:
        return self.head + value.as_json()

    def decode(self, encoded: bytes) -> Metrics:
        first = next((each for each in self.older if encoded.startswith(each)), self.head)
        return Metrics.model_validate_json(strip_header(first, encoded))

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Metrics


class FusedCoder(coders.Coder):
    """For what is passed on within a bundle: pickled where a runner insists.

    Beam samples the sizes of what flows; without a size of its own it would pickle whole
    windows for that.
    """

    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def decode(self, encoded: bytes) -> Any:
        return pickle.loads(encoded)

    def estimate_size(self, value: Any) -> int:
        return 0

    def to_type_hint(self) -> type:
        return object


class WorkItemCoder(coders.Coder):
    """A work item: its whole numbers, eight bytes each."""

    head = header(b"T", 1)
    layout = struct.Struct(f">4s{len(WorkItem._fields)}q")

    def encode(self, value: WorkItem) -> bytes:
        return self.layout.pack(self.head, *value)

    def decode(self, encoded: bytes) -> WorkItem:
        strip_header(self.head, encoded)
        return WorkItem(*self.layout.unpack(encoded)[1:])

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return WorkItem


def dump_sums(sums: Sums) -> list[Any]:
    """The fields of sums, for JSON, which keeps every digit."""
    *common, task = sums
    if sums.labels is not None and sums.labels.stream is None:  # as they were before
        common[Sums._fields.index("labels")] = sums.labels[:-1]
    common[Sums._fields.index("sums")] = [(Exact() + one).field() for one in sums.sums]
    return [*common, None if task is None else [task.task, task.fields()]]


def load_sums(fields: list[Any], tasks: Mapping[str, Callable[[Any], TaskSums]] = TASKS) -> Sums:
    """The sums of their fields, as JSON has them.

    Args:
        fields: what ``dump_sums`` gave.
        tasks: what makes a task's sums of their fields.
    """
    rows, scored, unlabelled, late, rejected, model, bins, sums, profile, files, labels, task = (
        fields
    )
    return Sums(
        rows,
        scored,
        unlabelled,
        late,
        rejected,
        model,
        tuple(bins),
        tuple(map(Exact.of_field, sums)),
        profile,
        tuple((path, size) for path, size in files),
        None if labels is None else LabelCounts.of(labels),
        None if task is None else tasks[task[0]](task[1]),
    )


def load_rounded_sums(fields: list[Any]) -> Sums:
    """The sums of their fields as they were before they were exact."""
    return load_sums(fields, {**TASKS, "regression": RegressionSums.of_older_fields})


def load_older_sums(fields: list[Any]) -> Sums:
    """The sums of their fields as they were before there were several tasks."""
    counts, errors, others = fields[:5], fields[5:13], fields[13:]
    absent: list[Any] = [[], None][len(others) - 4 :]  # files and labels, which came later
    return load_rounded_sums([*counts, *others, *absent, ["regression", errors]])


class SumsCoder(InProcessCoder):
    """A batch's key and sums, as JSON, which keeps every digit.

    Versions 2 to 4 had the sums of regression among the others: 2 lacked files, 3 what became of
    questions. Up to 5 sums were rounded. They are read too.
    """

    older: ClassVar = {
        header(b"S", 2): load_older_sums,
        header(b"S", 3): load_older_sums,
        header(b"S", 4): load_older_sums,
        header(b"S", 5): load_rounded_sums,
    }
    head = header(b"S", 6)

    def write(self, value: KeyedSums) -> bytes:
        return self.head + json.dumps((value.key, dump_sums(value.sums))).encode()

    def read(self, encoded: bytes) -> KeyedSums:
        before = next((each for each in self.older if encoded.startswith(each)), None)
        key, fields = json.loads(strip_header(before or self.head, encoded))
        return KeyedSums(Key(*key), self.older[before](fields) if before else load_sums(fields))

    def to_type_hint(self) -> type:
        return KeyedSums


class PartCoder(InProcessCoder):
    """A batch's part in its cohort, as JSON, which keeps every digit.

    Versions 1 and 2 had older sums (``load_older_sums``, ``load_rounded_sums``): they are read too.
    """

    older: ClassVar = {header(b"P", 1): load_older_sums, header(b"P", 2): load_rounded_sums}
    head = header(b"P", 3)

    def write(self, value: CohortPart) -> bytes:
        outcomes = [(each.refresh, dump_sums(each.sums)) for each in value.outcomes]
        return self.head + json.dumps((value.key, value.rows, value.model, outcomes)).encode()

    def read(self, encoded: bytes) -> CohortPart:
        before = next((each for each in self.older if encoded.startswith(each)), None)
        load = self.older[before] if before else load_sums
        body = strip_header(before or self.head, encoded)
        key, rows, model, found = json.loads(body)
        outcomes = tuple(Outcome(refresh, load(fields)) for refresh, fields in found)
        return CohortPart(Key(*key), rows, model, outcomes)

    def to_type_hint(self) -> type:
        return CohortPart


SUMMARIES = coders.IterableCoder(SummaryCoder())
SAMPLES = coders.IterableCoder(TaggedCoder(SampleRows))
SUMS = coders.IterableCoder(SumsCoder())

for element, coder in {
    RawBatch: RecordBatchCoder,
    AcceptedBatch: TaggedCoder,
    AnsweredTargets: TaggedCoder,
    OutcomeRows: TaggedCoder,
    QuestionRows: TaggedCoder,
    JoinInput: JoinInputCoder,
    PredictionRows: TaggedCoder,
    SampleRows: TaggedCoder,
    ServeInput: ServeInputCoder,
    Summary: SummaryCoder,
    WindowData: WindowDataCoder,
    WorkItem: WorkItemCoder,
    KeyedSums: SumsCoder,
    SharesModel: SharesModelCoder,
    CohortPart: PartCoder,
    Metrics: MetricsCoder,
}.items():
    coders.registry.register_coder(element, coder)
for fused in (
    Rejects,
    Normalized,
    FitResult,
    Committed,
    ScoringBatch,
    ScoredBatch,
    AskedBatch,
    WrittenFile,
):
    coders.registry.register_coder(fused, FusedCoder)
