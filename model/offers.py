"""Offers: for which questions the labels of a refresh may be the answer.

A question is *open to* a label if it was asked at or before the label's time, and its wait was not
over then. A label for which none is may come early: for the first question of its key that is
asked within one refresh. So what a label is offered for is certain one refresh after its own at
the latest. Whether the question takes it, or was answered before, is settled later
(``model.settling``), by numbers alone: keys are compared here, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model import files
from model.batch import ID, KEY, TIME, column, concat, event_times, row_ids
from model.classes.decision import class_names
from model.cohorts import Clock
from model.kept import Kept
from model.labels import Ints, Mask
from model.membership import is_in
from model.questions import Hashes, Index, hash_keys
from model.schema import Schema

OPEN, EARLY, OVER, ORPHAN = range(4)  # the first two are offers of an answer
"""Kinds of offers: of a label that a question is open to; of one that came before its question; of
one that came when the question's wait was over; of one for which there is no question."""
Targets: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.object_]
"""Numbers, or names of classes."""
REFRESHES = b"refreshes"
"""The key of a file's metadata with the refreshes of the questions, as JSON."""
KEPT_OFFERS = 64 << 20
"""Maximum number of bytes of offers that a process keeps in memory, 64 each."""


class Labels(NamedTuple):
    """Labels in the order of (label time, row id), which is that in which they are offered.

    Attributes:
        keys: of the questions that they answer.
        hashes: of the keys.
        times: when they were known, microseconds.
        ids: of their rows.
        targets: what they say.
    """

    keys: pa.Array
    hashes: Hashes
    times: Ints
    ids: Ints
    targets: Targets

    @classmethod
    def of(cls, parts: list[pa.RecordBatch], schema: Schema) -> Labels:
        """Labels of accepted rows of their stream, in any order.

        Args:
            parts: of the stream, whose times are never before where its watermark stood.
            schema: of the stream (``model.label_stream``).
        """
        if not parts:
            none = np.zeros(0, np.int64)
            return cls(pa.array([], pa.string()), none.view(np.uint64), none, none, np.zeros(0))
        rows = concat([part.select([ID, TIME, KEY, schema.target]) for part in parts])
        rows = rows.take(pa.array(np.lexsort((row_ids(rows), event_times(rows)))))
        keys = rows.column(KEY)
        targets = _targets(rows, schema)
        return cls(keys, hash_keys(keys), event_times(rows), row_ids(rows), targets)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Mask) -> Labels:
        """Those that are chosen."""
        keys, rest = self.keys.filter(pa.array(chosen)), self[1:]
        columns: Any = (values[chosen] for values in rest)
        return Labels(keys, *columns)


def _targets(rows: pa.RecordBatch, schema: Schema) -> Targets:
    """What labels say: numbers, or the names of classes as Python strings."""
    if not schema.classifies:
        return column(rows, schema.target)
    return class_names(rows.column(schema.target))


class Offers(NamedTuple):
    """Labels and the questions that they are offered for, in columns; a row a question.

    The rows of a label lie together, that of the newest question first.

    Attributes:
        at: when the label counts: at its own time, or at that of the question that it was early
            for, or when it is certain that there is none; microseconds.
        time, label, target: the label's time, row id and target.
        kind: which kind of offer.
        question, refresh: the row id of the question, and the start of the refresh in which it
            was asked; -1 and 0 without one.
        choices: how many questions the label is offered for.
    """

    at: Ints
    time: Ints
    label: Ints
    target: Targets
    kind: Ints
    question: Ints
    refresh: Ints
    choices: Ints

    @classmethod
    def none(cls) -> Offers:
        """No offers."""
        numbers = np.zeros(0, np.int64)
        empty: dict[str, Any] = dict.fromkeys(cls._fields, numbers)
        return cls(**{**empty, "target": np.zeros(0)})

    @classmethod
    def concat(cls, parts: Iterable[Offers]) -> Offers:
        """The offers of all parts."""
        columns: Any = zip(cls.none(), *parts, strict=True)
        return cls(*map(np.concatenate, columns))

    def take(self, places: Ints | Mask) -> Offers:
        """Those at some places."""
        columns: Any = (values[places] for values in self)
        return Offers(*columns)

    def as_bytes(self) -> bytes:
        """As a Parquet file, whose metadata has the refreshes of the questions."""
        with_question = self.refresh[self.kind != ORPHAN]
        refreshes = json.dumps(np.unique(with_question).tolist()).encode()
        table = pa.table(self._asdict()).replace_schema_metadata({REFRESHES: refreshes})
        sink = pa.BufferOutputStream()
        # What repeats shrinks to nothing; of the rest too little goes for the time that it takes
        packed = ("kind", "refresh", "choices")
        codecs = {name: "lz4" if name in packed else "none" for name in self._fields}
        layout = {"use_dictionary": False, "write_statistics": False}
        pq.write_table(table, sink, compression=codecs, **layout)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def shared_refreshes(self) -> set[int]:
        """The refreshes of the questions of labels that are offered for several."""
        return set(np.unique(self.refresh[self.choices > 1]).tolist())

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(values.nbytes for values in self)


class OfferFile:
    """A file of the offers of a refresh and a shard.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def refreshes(self) -> frozenset[int]:
        """The refreshes of the questions that labels are offered for."""
        return _refreshes.get(self.path, self._read_refreshes)

    def read(self) -> Offers:
        """The offers, from memory if they were needed lately."""
        return _offers.get(self.path, self._read)

    def recall(self) -> Offers | None:
        """The offers, if they have been written and are in memory."""
        return _offers.look(self.path)

    def keep(self, offers: Offers) -> None:
        """Keeps what was just written, so that this process need not read it."""
        _offers.put(self.path, offers)

    def _read_refreshes(self) -> frozenset[int]:
        metadata = pq.read_schema(pa.BufferReader(files.read_whole(self.path))).metadata or {}
        if REFRESHES in metadata:
            return frozenset(json.loads(metadata[REFRESHES]))
        return frozenset(self.read().refresh.tolist())  # of a job of an older version

    def _read(self) -> Offers:
        file = pq.ParquetFile(pa.BufferReader(files.read_whole(self.path)))
        table = file.read(use_threads=False)
        return Offers(*(table.column(name).to_numpy() for name in Offers._fields))


_offers: Kept[Offers] = Kept(KEPT_OFFERS)
_refreshes: Kept[frozenset[int]] = Kept(1 << 20)


def read_offers(found: Mapping[int, OfferFile], wanted: set[int]) -> dict[int, Offers]:
    """The offers by which the questions of some refreshes are settled, by their own refresh.

    Most files need not be read: labels come soon, and questions wait long. Where a label is offered
    for several questions, it is all of them that count, and what was offered for those.

    Args:
        found: all files of the horizon.
        wanted: the refreshes of the questions.
    """
    read: dict[int, Offers] = {}
    while True:
        needed = [at for at, file in found.items() if at not in read and file.refreshes() & wanted]
        if not needed:
            return read
        for at in needed:
            read[at] = found[at].read()
            wanted = wanted | read[at].shared_refreshes()


class _Pairs(NamedTuple):
    """Labels, by their places, and the questions with the same key."""

    label: Ints
    question: Ints
    refresh: Ints
    time: Ints
    asked: Ints

    def take(self, places: Ints | Mask) -> _Pairs:
        return _Pairs(*(values[places] for values in self))


def find_offers(labels: Labels, questions: Iterable[Index], start: int, clock: Clock) -> Offers:
    """The offers that are certain in a refresh.

    Args:
        labels: of the refresh and of the one before; of the latter, those to which a question was
            open may be left out (``drop_offered``).
        questions: of the refresh, and of those before it that count still (``horizon``).
        start: of the refresh, microseconds.
        clock: when questions can be answered.
    """
    pairs = _find_pairs(labels, questions, start, clock)
    times = labels.times[pairs.label]
    before = pairs.asked <= times
    within = times <= pairs.time + clock.wait
    open_ = before & within
    has_open = np.bincount(pairs.label[open_], minlength=len(labels)) > 0
    mine = labels.times >= start
    found = [_offer(labels, pairs.take(open_ & mine[pairs.label]), OPEN)]
    rest = ~has_open[pairs.label]
    soon = ~before & within & (pairs.asked <= times + clock.every) & rest
    first = _first_of_label(pairs.take(soon), newest=False)
    found.append(_offer(labels, first.take(first.asked >= start), EARLY))
    left = ~mine & ~has_open
    left[first.label] = False
    over = before & ~within & (pairs.asked >= times - clock.wait - clock.every) & left[pairs.label]
    late = _first_of_label(pairs.take(over), newest=True)
    found.append(_offer(labels, late, OVER, clock.every))
    left[late.label] = False
    places = np.flatnonzero(left)
    none = np.full(len(places), -1)
    found.append(_offer(labels, _Pairs(places, none, none * 0, none, none), ORPHAN, clock.every))
    return Offers.concat(found)


def drop_offered(labels: Labels, before: Offers | None, start: int) -> Labels:
    """Labels without those of the refresh before to which a question was open then.

    These are certain, and most are: they need not be looked for again.

    Args:
        labels: of a refresh and of the one before.
        before: the offers of the one before, if they are at hand.
        start: of the refresh, microseconds.
    """
    if before is None:
        return labels
    left = labels.times >= start
    earlier = np.flatnonzero(~left)
    left[earlier] = ~is_in(labels.ids[earlier], before.label[before.kind == OPEN])
    return labels.take(left)


def _find_pairs(labels: Labels, questions: Iterable[Index], start: int, clock: Clock) -> _Pairs:
    """All labels and questions that have the same key and may count for each other.

    Where the wait of all questions of a file was over before the refresh began, only labels of the
    refresh before are looked for: what it is that they came too late for is certain in this one.
    """
    none = np.zeros(0, np.int64)
    found = [_Pairs(none, none, none, none, none)]
    all_places = np.argsort(labels.hashes)  # neighbours are looked for together
    early_places = all_places[labels.times[all_places] < start]
    for index in questions:
        order = early_places if index.newest + clock.wait < start else all_places
        hashes = labels.hashes[order]
        hits, low = index.find(hashes)
        if not len(hits):
            continue
        many = np.searchsorted(index.hashes, hashes[hits], "right") - low
        label = np.repeat(order[hits], many)
        begins = np.cumsum(many) - many
        place = np.repeat(low - begins, many) + np.arange(many.sum())
        keys = labels.keys.take(pa.array(label))
        same = pc.equal(keys, index.keys.take(pa.array(place))).to_numpy(zero_copy_only=False)
        label, place = label[same], place[same]
        refresh = np.full(len(label), index.refresh)
        found.append(
            _Pairs(label, index.ids[place], refresh, index.times[place], index.asked[place])
        )
    return _Pairs(*map(np.concatenate, zip(*found, strict=True)))


def _first_of_label(pairs: _Pairs, newest: bool) -> _Pairs:
    """Of each label's questions the newest, or the oldest."""
    ordered = _sorted(pairs, newest)
    return ordered.take(np.flatnonzero(np.diff(ordered.label, prepend=-1)))


def _sorted(pairs: _Pairs, newest_first: bool) -> _Pairs:
    if not (np.bincount(pairs.label) > 1).any():  # nearly always: no order of questions is needed
        return pairs.take(np.argsort(pairs.label))
    sign = -1 if newest_first else 1
    return pairs.take(np.lexsort((sign * pairs.question, sign * pairs.asked, pairs.label)))


def _offer(labels: Labels, pairs: _Pairs, kind: int, later: int = 0) -> Offers:
    """The offers of labels for questions; they count so much later than the labels' times."""
    pairs = _sorted(pairs, newest_first=True)
    times = labels.times[pairs.label]
    choices = np.bincount(pairs.label, minlength=len(labels))[pairs.label]
    return Offers(
        at=pairs.asked if kind == EARLY else times + later,
        time=times,
        label=labels.ids[pairs.label],
        target=labels.targets[pairs.label],
        kind=np.full(len(times), kind),
        question=pairs.question,
        refresh=pairs.refresh,
        choices=choices,
    )
