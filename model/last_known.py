"""The baseline ``last`` where labels come later: the newest target that was known when one asked.

A question is predicted by the newest target that was known when its serve window began, of its own
entity if ``[baseline] by`` names one. Whether that was right is known when its label is, some
refreshes later. So each refresh leaves the targets that became known in it, the newest one of each
serve window and entity, in a file of ``known/``; a question finds in these what was known when it
was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model import files
from model.answers import Asked
from model.arrays import Matrix
from model.asof import Cadence, format_name
from model.baselines import Chain, Link, Tally
from model.batch import ID, Key, column
from model.classes.figures import ClassSums
from model.cohorts import Clock
from model.groups import Named, name_rows
from model.labels import Ints, find_events, group_by_refresh
from model.metrics import Sums
from model.regression import RegressionSums
from model.remembered import list_names
from model.schema import Schema

SUFFIX = "parquet"
LAST_SUMS = -7
"""The partition of the key of a refresh's sums, which are of no batch; the join of labels has those
from -6 on (``transforms.join``)."""
ANSWERED = pa.schema(
    [
        ("known", pa.int64()),
        ("id", pa.int64()),
        ("asked", pa.int64()),
        ("scored", pa.bool_()),
        ("target", pa.float64()),
        ("entity", pa.string()),
    ]
)
"""Questions whose labels became known: when, the row's id, the start of the serve window in which
it was asked, whether a model predicted it, its target and its entity; times in microseconds."""
KNOWN = pa.schema([("known", pa.int64()), ("entity", pa.string()), ("target", pa.float64())])
"""The columns of a file of ``known/``; ``known`` is the start of a serve window."""


def use_classes(layout: pa.Schema) -> pa.Schema:
    """``ANSWERED`` or ``KNOWN`` where targets are classes: by name."""
    return layout.set(layout.get_field_index("target"), pa.field("target", pa.string()))


def known_layout(schema: Schema) -> pa.Schema:
    """The columns of the files of ``known/`` of a run."""
    return use_classes(KNOWN) if schema.classifies else KNOWN


def answered_targets(
    asked: Asked, known: Ints, slots: Ints, places: Ints, schema: Schema
) -> pa.RecordBatch:
    """Answered questions as ``ANSWERED`` has them; classes by name.

    Args:
        asked: questions of a batch.
        known: when each one's label became known, microseconds, shape (rows,).
        slots: the start of the serve window in which each was asked, shape (rows,).
        places: where the answered ones stand.
        schema: of the rows.
    """
    rows, by = asked.rows, schema.baseline.by
    count = len(places)
    entity = pa.repeat(pa.scalar("", pa.string()), count)
    if by:
        entity = _texts(name_rows(rows, by).take(places))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(known[places]),
            rows.column(ID).take(pa.array(places)),
            pa.array(slots[places]),
            pa.repeat(pa.scalar(asked.prediction is not None), count),
            _targets(rows, places, schema),
            entity,
        ],
        schema=use_classes(ANSWERED) if schema.classifies else ANSWERED,
    )


def _targets(rows: pa.RecordBatch, places: Ints, schema: Schema) -> pa.Array:
    if schema.classifies:
        return rows.column(schema.target).take(pa.array(places)).cast(pa.string())
    return pa.array(column(rows, schema.target)[places])


def cut_targets(
    asked: Asked, schema: Schema, clock: Clock, stamp: int, slot: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The answered questions of a batch, by the start of the refresh in which that is known.

    Args:
        asked: the questions and their predictions.
        schema: of them, with ``label_time``.
        clock: when they can be answered.
        stamp: the batch's, microseconds.
        slot: the start of its serve window.
    """
    events = find_events(asked.rows, schema, stamp)
    slots = np.full(asked.rows.num_rows, slot)
    by_refresh = group_by_refresh(events.at, events.answered, clock.every, clock.offset)
    for refresh, places in by_refresh:
        yield refresh, answered_targets(asked, events.at, slots, places, schema)


def _texts(named: Named) -> pa.Array:
    """Entities as texts; null where there is none."""
    codes = pa.array(named.codes, mask=named.codes < 0)
    return pa.array(named.names, pa.string()).take(codes)


def sort_answered(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Answered questions of a refresh in the order of (label time, row id)."""
    table = pa.Table.from_batches([part.replace_schema_metadata(None) for part in parts])
    ordered = table.sort_by([("known", "ascending"), ("id", "ascending")]).combine_chunks()
    return ordered.to_batches()[0]


def newest_targets(answered: pa.RecordBatch, cadence: Cadence) -> pa.Table:
    """The newest target of each serve window and entity, as ``KNOWN`` has them.

    Args:
        answered: as ``sort_answered`` gives them.
        cadence: how event time is divided.

    Example:
        >>> rows = [(5, 0, 0, True, 1.0, "a"), (6, 1, 0, True, 2.0, "a"), (19, 2, 0, True, 3.0, "")]
        >>> batch = pa.record_batch([*map(pa.array, zip(*rows))], schema=ANSWERED)
        >>> newest_targets(batch, Cadence(window=60, every=60, latency=10)).to_pydict()
        {'known': [0, 10], 'entity': ['a', ''], 'target': [2.0, 3.0]}
    """
    known = answered.filter(pc.is_valid(answered.column("entity")))
    times = known.column("known").to_numpy()
    columns = [
        pa.array(cadence.serve_window_of(times)),
        known.column("entity"),
        known.column("target"),
    ]
    targets = answered.schema.field("target").type
    layout = KNOWN if targets == pa.float64() else use_classes(KNOWN)
    table = pa.Table.from_arrays(columns, schema=layout)
    return _newest(table, table.column("known").to_numpy())


def _newest(table: pa.Table, slots: Ints) -> pa.Table:
    """The last row of each entity and slot, in the order in which they stand."""
    codes = table.column("entity").combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.lexsort((np.arange(len(codes)), slots, codes))
    same = (codes[order][1:] == codes[order][:-1]) & (slots[order][1:] == slots[order][:-1])
    ends = np.sort(order[np.append(~same, True)]) if len(order) else order
    return table.take(pa.array(ends))


class Question(NamedTuple):
    """Questions that are compared with what was known.

    Attributes:
        slots: the start of the serve window in which each was asked.
        entities: of each.
    """

    slots: Ints
    entities: pa.Array


def find_last(known: pa.Table, questions: Question) -> Matrix:
    """The newest target that was known when each question's serve window began; NaN without one.

    Args:
        known: as ``KNOWN`` has them, numbers.
        questions: whose entities may be null: these have none.
    """
    targets = np.append(known.column("target").to_numpy(), np.nan)
    return np.asarray(targets[_find_places(known, questions)])


def find_last_classes(known: pa.Table, questions: Question) -> pa.Array:
    """As ``find_last``, but the names of classes; null without one.

    Example:
        >>> known = pa.table([[0, 10], ["", ""], ["no", "yes"]], schema=use_classes(KNOWN))
        >>> asked = Question(np.array([0, 10, 20]), pa.array(["", "", ""]))
        >>> find_last_classes(known, asked).to_pylist()
        [None, 'no', 'yes']
    """
    places = _find_places(known, questions)
    targets = known.column("target").combine_chunks()
    return targets.take(pa.array(places, mask=places < 0))


def _find_places(known: pa.Table, questions: Question) -> Ints:
    """The place in ``known`` of what was known last when each question was asked; -1 without."""
    count = known.num_rows
    entities = pa.chunked_array([*known.column("entity").chunks, questions.entities], pa.string())
    codes = entities.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()
    asks = np.append(np.zeros(count, np.bool_), np.ones(len(questions.slots), np.bool_))
    times = np.append(known.column("known").to_numpy(), questions.slots)
    # at the same time a question stands before a target: what its own serve window brings is new
    order = np.lexsort((np.arange(len(times)), ~asks, times, codes))
    places = np.maximum.accumulate(np.where(asks[order], -1, np.arange(len(order))))
    before = order[np.maximum(places, 0)]
    found = (places >= 0) & (codes[before] == codes[order]) & (codes[order] >= 0)
    last = np.full(len(order), -1)
    last[order] = np.where(found, before, -1)
    return np.asarray(last[count:])


def file_name(start: int) -> str:
    """The name of the file of the refresh that starts at a time, microseconds."""
    return f"{format_name(start)}.{SUFFIX}"


def merge_known(tables: list[pa.Table], refresh: int, clock: Clock) -> pa.Table:
    """What is known at the end of a refresh, without what no open question was asked before.

    Args:
        tables: as ``KNOWN`` has them, one after another.
        refresh: its start, microseconds.
        clock: when questions can be answered.
    """
    whole = pa.concat_tables(tables).combine_chunks()
    oldest = refresh - clock.wait - clock.every
    return _newest(whole, np.maximum(whole.column("known").to_numpy(), oldest))


class KnownTargets:
    """The targets that became known up to a refresh, each file read once if these come in order.

    Of what was known before the oldest question that may still be answered, the newest target of
    each entity is kept.

    Attributes:
        folder: ``known/`` of a run's folder.
        clock: when questions can be answered.
        layout: the columns of its files.
    """

    def __init__(self, folder: str, clock: Clock, layout: pa.Schema = KNOWN) -> None:
        self.folder = folder
        self.clock = clock
        self.layout = layout
        self._known = layout.empty_table()
        self._until: int | None = None

    def until(self, refresh: int) -> pa.Table:
        """What is known at the end of the refresh that starts at a time, microseconds."""
        end = refresh + self.clock.every
        if self._until is None or end < self._until:
            self._known, self._until = self.layout.empty_table(), None
        tables = [self._known]
        for name in list_names(self.folder, SUFFIX, self._until, end, self.clock.every):
            try:
                data = files.read_whole(files.join(self.folder, name))
            except FileNotFoundError:  # nothing became known in it
                continue
            tables.append(pq.read_table(pa.BufferReader(data), schema=self.layout))
        self._known, self._until = merge_known(tables, refresh, self.clock), end
        return self._known


def sums_key(refresh: int) -> Key:
    """The key by which the sums of a refresh are added to those of its batches."""
    return Key(LAST_SUMS, refresh, 0)


def sum_last(answered: pa.RecordBatch, known: pa.Table, refresh: int) -> Sums:
    """The error of the baseline ``last`` over the questions that a refresh has answered.

    Of classes it is how many are missed, as everywhere (``model.baselines.miss``).

    Args:
        answered: as ``sort_answered`` gives them.
        known: what was known at the refresh's end.
        refresh: its start, microseconds.
    """
    scored = answered.filter(answered.column("scored"))
    questions = Question(scored.column("asked").to_numpy(), scored.column("entity"))
    place = (refresh, *sums_key(refresh))
    if known.schema.field("target").type == pa.string():
        missed = pc.not_equal(scored.column("target"), find_last_classes(known, questions))
        tally = Tally(len(missed) - missed.null_count, float(missed.true_count))
        return Sums(figures=ClassSums(links=(Link(place, Chain(inner=tally)),)))
    errors = np.abs(scored.column("target").to_numpy() - find_last(known, questions))
    there: npt.NDArray[np.bool_] = ~np.isnan(errors)
    tally = Tally(int(np.count_nonzero(there)), float(errors[there].sum()))
    return Sums(figures=RegressionSums(links=(Link(place, Chain(inner=tally)),)))
