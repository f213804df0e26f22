"""What flows: the types of the elements of every PCollection, in the order of the graph.

| element | is given by | and taken by |
|---|---|---|
| ``WorkItem`` | ``sources.planner`` | ``sources.read`` |
| ``RawBatch`` | a source | ``Validate`` |
| ``AcceptedBatch`` | ``Validate`` | ``CollectWindows``, ``AssignModels``, ``TrackQuestions`` |
| ``Rejects`` | ``Validate`` | ``WriteRejects``, ``Evaluate`` |
| ``Summary`` | each batch in ``CollectWindows`` | its combiner |
| ``WindowData`` | ``CollectWindows`` | ``Normalize`` |
| ``model.training.Normalized`` | ``Normalize`` | ``Train`` |
| ``FitResult`` | ``Train`` | ``Commit`` |
| ``SharesModel`` | ``CommitClasses`` | its step behind the older models |
| ``Committed`` | ``Commit``, ``CommitClasses`` | ``AssignModels`` |
| ``ServeInput`` | the two inputs of ``AssignModels`` | its CoGroupByKey |
| ``ScoringBatch`` | ``AssignModels`` | ``Predict`` |
| ``ScoredBatch`` | ``Predict`` | ``Evaluate``, ``TrackQuestions``, two sinks |
| ``PredictionRows``, ``SampleRows`` | each scored batch in those | their shuffles |
| ``WrittenFile`` | the writing transforms | ``Evaluate`` |
| ``KeyedSums`` | each batch in ``Evaluate``, ``TrackQuestions`` | the combiner of ``Evaluate`` |
| ``AskedBatch`` | each batch in ``TrackQuestions`` | what follows its questions |
| ``QuestionRows`` | each accepted batch in ``SettleLabels`` | the files of ``questions/`` |
| ``FileReference``, ``LabelRows`` | the steps of ``SettleLabels`` | their CoGroupByKeys |
| ``AnsweredRows``, all three a ``JoinInput`` | ``SettleLabels`` | ``ScoreAnswers`` |
| ``OutcomeRows`` | ``TrackQuestions`` | ``WriteOutcomes`` |
| ``AnsweredTargets`` | ``TrackQuestions``, ``ScoreAnswers`` | ``CompareLast`` |
| ``model.cohorts.CohortPart`` | ``TrackQuestions`` | ``WriteCohorts`` |
| ``tuple[int, Metrics]``, by a refresh's start | ``Evaluate`` | ``WriteAlerts``, reports |

``transforms.coders`` has how they are written as bytes. An element is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from model.answers import Asked
from model.arrays import Matrix
from model.artefact import Artefact
from model.batch import Key, Tag
from model.block_sums import BlockSums
from model.classes.decision import Classified
from model.drift import Histogram
from model.labels import LabelTimes
from model.manifest import Manifest, Reference, Window
from model.metrics import Sums
from model.moments import Moments
from model.skipped import Skipped
from model.statistics import Statistics
from model.validation import Reject

RawBatch: TypeAlias = pa.RecordBatch
"""A source's batch, whose schema's metadata has its tag (``model.batch.with_tag``). Only this
element is a plain RecordBatch: sources of one's own give it (``docs/design.md``, *source*)."""


OPEN = 2**63 - 1
"""The end of a work item, or of what is read, that has none."""


class WorkItem(NamedTuple):
    """Which rows a source's next batches are made of.

    Attributes:
        partition, start, stop: what the source reads (its own units).
        first: the id of the first row.
        rows: how many there are.
        line: where the first row stands, from 1.
        at: no row of it is stamped before; microseconds.
        until: rows that are stamped from here on are left out; microseconds.
    """

    partition: int
    start: int
    stop: int
    first: int
    rows: int
    line: int
    at: int
    until: int = OPEN


@dataclass(frozen=True, slots=True)
class Tagged:
    """Rows and where they came from.

    Attributes:
        tag: the key, the stamp and the place of the batch that they are of.
        rows: a batch; its schema has no metadata.
    """

    tag: Tag
    rows: pa.RecordBatch


class ServeInput:
    """What meets in a serve window: ``AcceptedBatch``, ``RowReference`` or ``ModelReference``.

    It is one type to Beam, since what meets in a CoGroupByKey is written by one coder.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AcceptedBatch(Tagged, ServeInput):
    """The rows of a raw batch that fit the schema, in the columns of ``accepted_schema``."""


@dataclass(frozen=True, slots=True)
class RowReference(ServeInput):
    """What travels in the place of an accepted batch whose rows can be read again.

    Attributes:
        tag: that batch's, by which its rows are found.
        count: how many rows it has. A raw batch of as many rows has no rejects.
    """

    tag: Tag
    count: int


@dataclass(frozen=True, slots=True)
class ModelReference(ServeInput):
    """A committed model on its way into a serve window."""

    reference: Reference


class Rejects(NamedTuple):
    """The rows of one batch that do not fit the schema."""

    tag: Tag
    items: list[Reject]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch brings into its windows.

    Attributes:
        tag: the batch's.
        rows: those that are trained on, or a sample of them.
        sums: of all rows that are trained on, block by block.
        known: of the times of their labels, if these are known later.
    """

    tag: Tag
    rows: pa.RecordBatch
    sums: BlockSums
    known: LabelTimes | None = None


@dataclass(frozen=True, slots=True)
class WindowData:
    """What a model is trained on.

    Attributes:
        window: the window's bounds; ``NOWHERE`` before these are known.
        rows: its labelled rows, or a sample of them, in the order of their batches.
        statistics: of all its labelled rows.
        moments: of the same rows, where the learner is fitted by them.
        known: of the times of their labels, if these are known later.
    """

    window: Window
    rows: pa.RecordBatch
    statistics: Statistics
    moments: Moments | None = None
    known: LabelTimes | None = None


NOWHERE = Window(0, 0)
"""The window of data whose bounds are not known yet."""


class Trained(NamedTuple):
    """A window's model on its way into the store.

    Attributes:
        window: its bounds.
        model: the artefact's bytes, or None if the store has it.
        manifest: what is known of it.
        seconds: how long the fit took.
        artefact: what the bytes hold, if that is sure (``transforms.train.FAITHFUL``).
    """

    window: Window
    model: bytes | None
    manifest: Manifest
    seconds: float
    artefact: Artefact | None = None


class FitResult(NamedTuple):
    """What became of a window.

    Attributes:
        trained: its model; None if nothing was fitted. Of a window of one class the model of its
            shares, which serves where there is no other.
        skipped: why no model of it serves; None if its model does.
    """

    trained: Trained | None
    skipped: Skipped | None = None


class SharesModel(NamedTuple):
    """The model of the class shares of a window of one class, which serves if there is no other.

    Attributes:
        window: its bounds.
        model: the artefact's bytes.
        manifest: what is known of it.
        seconds: how long the fit took.
        skipped: what is written in its place if an older model serves.
    """

    window: Window
    model: bytes
    manifest: Manifest
    seconds: float
    skipped: Skipped


class Committed(NamedTuple):
    """A window whose artefact is in the store."""

    window: Window
    reference: Reference


class ScoringTask(NamedTuple):
    """A batch, or a reference to its rows, and the model that scores it; None if there is none."""

    model: Reference | None
    batch: AcceptedBatch | RowReference


class ScoringBatch(list[ScoringTask]):
    """A serve window's batches of one shard, which are scored together, in their order."""


class Inference(NamedTuple):
    """What a model predicted for a batch.

    Attributes:
        prediction: shape (rows,); of a classifier the places of the predicted classes.
        baseline: the mean target of the model's window; 0 of a classifier.
        reference: the model.
        histogram: how the rows lie in the bins of the model's profile; None if it has none.
        profile: that profile, as JSON, or "".
        classified: of a classifier the classes and probabilities.
        season: what the baseline of that name predicts, shape (rows,); None if it is not asked for.
    """

    prediction: Matrix
    baseline: float
    reference: Reference
    histogram: Histogram | None = None
    profile: str = ""
    classified: Classified | None = None
    season: Matrix | None = None


class ScoredBatch(NamedTuple):
    """A batch and what was predicted for it.

    Attributes:
        batch: the rows.
        inference: None if there was no model.
    """

    batch: AcceptedBatch
    inference: Inference | None

    @property
    def model(self) -> str | None:
        """The model's name."""
        return None if self.inference is None else self.inference.reference.name

    def asked(self) -> Asked:
        """The rows as questions, with what was predicted for them."""
        rows, found = self.batch.rows, self.inference
        if found is None:
            return Asked(rows, None, 0.0, None)
        predicted = found.prediction, found.baseline, self.model
        return Asked(rows, *predicted, found.classified, found.season)


class AskedBatch(NamedTuple):
    """A batch's questions and what was predicted for them, which wait for their labels."""

    tag: Tag
    asked: Asked


@dataclass(frozen=True, slots=True)
class OutcomeRows(Tagged):
    """A batch's answered questions as they stand in outcomes/."""


@dataclass(frozen=True, slots=True)
class AnsweredTargets(Tagged):
    """Answered questions as ``model.last_known.ANSWERED`` has them, for the baseline ``last``."""


@dataclass(frozen=True, slots=True)
class QuestionRows(Tagged):
    """The questions of an accepted batch and a shard, which wait for labels in a file."""


class JoinInput:
    """What meets where labels are a stream: ``FileReference``, ``LabelRows``, ``AnsweredRows``.

    It is one type to Beam, since what meets in a CoGroupByKey is written by one coder.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FileReference(JoinInput):
    """A file of a refresh and a shard, in a refresh in which it may be needed.

    Attributes:
        kind: the folder that it is in.
        refresh: the start of its refresh, microseconds.
        rows: how many it has, if that is known; else 0.
    """

    kind: str
    refresh: int
    rows: int


@dataclass(frozen=True, slots=True)
class LabelRows(Tagged, JoinInput):
    """The labels of an accepted batch of their stream, and of a shard."""


@dataclass(frozen=True, slots=True)
class AnsweredRows(JoinInput):
    """Answered questions of a shard, on the way to what was predicted for them.

    Attributes:
        asked: the start of the refresh in which they were asked, microseconds.
        rows: ``model.answers.answered_columns`` of them.
    """

    asked: int
    rows: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class PredictionRows(Tagged):
    """A scored batch's rows as they stand in predictions/."""


@dataclass(frozen=True, slots=True)
class SampleRows(Tagged):
    """The rows of scored batches that may be in their refresh's sample, raw and normalised."""


class WrittenFile(NamedTuple):
    """A file that was written below the run's folder.

    Attributes:
        path: relative to the run's folder, as ``predictions/20261123T070100Z/00000.parquet``.
        size: bytes.
    """

    path: str
    size: int


class KeyedSums(NamedTuple):
    """A batch's key and sums: what is merged into its refresh's."""

    key: Key
    sums: Sums
