"""Labels as a stream of their own, beside a dictionary in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, KEY, LATE, TIME, TIME_TYPE
from model.cohorts import Clock
from model.label_stream import LabelSchema
from model.labels import StreamCounts
from model.offers import Labels as LabelRows
from model.offers import OfferFile, Offers, drop_offered, find_offers, read_offers
from model.questions import (
    ASKED,
    Filter,
    Index,
    QuestionFile,
    hash_keys,
    horizon,
    order_by_key,
    shard_keys,
    times_over,
    write_questions,
)
from model.schema import Features, Labels, Schema
from model.settling import find_over, settle

Questions = Sequence[tuple[str | None, int, int]]
"""The key of each, its time, and by how much it was late."""
LabelList = Sequence[tuple[str, int, float]]
"""The key of each, its time and its target."""
Fates = tuple[dict[int, tuple[int, float]], dict[int, int], "Counter[tuple[str, int]]"]
"""When each answered question is, and by what; when each other expires; counts by refresh."""
EVERY = 10
SCHEMA = Schema(
    name="s",
    time="t",
    target="y",
    features=Features(numeric=("x",)),
    id="k",
    wait=1,
    labels=Labels(id="k", target="y", time="t"),
)


def replay(questions: Questions, labels: LabelList, wait: int) -> Fates:
    """What becomes of each question and label, one event after another, by id."""
    answered: dict[int, tuple[int, float]] = {}
    expired: dict[int, int] = {}
    counts: Counter[tuple[str, int]] = Counter()
    asked: dict[str | None, list[tuple[int, int, int]]] = {}  # by id: (asked, row, time)
    for row, (key, time, late_by) in enumerate(questions):
        asked.setdefault(key, []).append((time + late_by, row, time))
    pending: list[
        tuple[int, int, int, str, float, int | None]
    ] = []  # (when it counts, label time, row, key, target, the question it was early for)
    for row, (key, time, target) in enumerate(labels):
        mine = asked.get(key, [])
        if any(at <= time <= begun + wait for at, _, begun in mine):
            pending.append((time, time, row, key, target, None))
            continue
        after = [q for q in mine if time < q[0] <= time + EVERY and time <= q[2] + wait]
        before = [q for q in mine if time - wait - EVERY <= q[0] <= time]
        if after:
            pending.append((min(after)[0], time, row, key, target, min(after)[1]))
        elif before:
            pending.append((time + EVERY, time, row, key, target, max(before)[1]))
        else:
            counts["orphans", (time + EVERY) // EVERY] += 1
            counts["labels_open", time // EVERY] += 1  # what it is shows a refresh later
    for at, time, *_ in pending:
        counts.update(("labels_open", refresh) for refresh in range(time // EVERY, at // EVERY))
    for at, time, _, key, target, only in sorted(pending):
        mine = [q for q in asked[key] if q[0] <= time <= q[2] + wait]
        choices = [row for _, row, _ in sorted(mine, reverse=True)] if only is None else [only]
        open_ = [row for row in choices if row not in answered]
        begun = questions[choices[0]][1]
        if open_ and (only is None or time <= begun + wait):
            answered[open_[0]] = (at // EVERY, target)
            counts["id_reused", at // EVERY] += len(open_) - 1
            counts["early", at // EVERY] += only is not None
        elif open_:
            counts["label_late", at // EVERY] += 1
        else:
            same = answered[choices[0]][1] == target
            counts["duplicates" if same else "conflicts", at // EVERY] += 1
    for row, (_, time, late_by) in enumerate(questions):
        if row not in answered:
            expired[row] = max(time + wait, time + late_by) // EVERY
    return answered, expired, +counts


def question_rows(questions: Questions, ids: list[int]) -> pa.RecordBatch:
    columns = [questions[row] for row in ids]
    times = [time for _, time, _ in columns]
    return pa.record_batch(
        {
            ID: pa.array(ids, pa.int64()),
            TIME: pa.array(times, pa.int64()).cast(TIME_TYPE),
            LATE: pa.array([bool(late_by) for *_, late_by in columns]),
            KEY: pa.array([key for key, *_ in columns], pa.string()),
            ASKED: pa.array([time + late_by for _, time, late_by in columns], pa.int64()),
        }
    )


def label_rows(labels: LabelList, ids: list[int]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            ID: pa.array(ids, pa.int64()),
            TIME: pa.array([labels[row][1] for row in ids], pa.int64()).cast(TIME_TYPE),
            KEY: pa.array([labels[row][0] for row in ids], pa.string()),
            "y": pa.array([labels[row][2] for row in ids], pa.float64()),
        }
    )


def by_refresh(at: list[int]) -> dict[int, list[int]]:
    """Rows by the number of their refresh."""
    found: dict[int, list[int]] = {}
    for row, time in enumerate(at):
        found.setdefault(time // EVERY, []).append(row)
    return found


class KeptOffers(OfferFile):
    """Offers that lie in no file."""

    def __init__(self, offers: Offers) -> None:
        super().__init__("")
        self.offers = offers

    def refreshes(self) -> frozenset[int]:
        return frozenset(self.offers.refresh[self.offers.question >= 0].tolist())

    def read(self) -> Offers:
        return self.offers


def _is_due(rows: pa.RecordBatch, clock: Clock, refresh: int) -> bool:
    """Whether the wait of a question is over in a refresh."""
    return bool(np.isin(times_over(rows, clock) // EVERY, [refresh]).any())


def join(
    questions: Questions,
    labels: LabelList,
    wait: int,
    shuffle: Callable[[list[int]], list[int]] = list,
) -> Fates:
    """What becomes of each, refresh by refresh, by what can be seen in each."""
    clock = Clock(EVERY, wait)
    ahead, schema = horizon(clock), LabelSchema.of(SCHEMA)
    asked = by_refresh([time + late_by for _, time, late_by in questions])
    known = by_refresh([time for _, time, _ in labels])
    files = {f: question_rows(questions, shuffle(rows)) for f, rows in asked.items()}
    indices = {f: Index.of(rows, f * EVERY) for f, rows in files.items()}
    last = max([*asked, *known], default=0) + ahead + 2
    offers: dict[int, OfferFile] = {}
    answered: dict[int, tuple[int, float]] = {}
    expired: dict[int, int] = {}
    counts: Counter[tuple[str, int]] = Counter()
    total = StreamCounts()
    for t in range(last):
        seen = range(t - ahead, t + 1)
        parts = [label_rows(labels, shuffle(known[r])) for r in (t - 1, t) if r in known]
        before = offers.get((t - 1) * EVERY) if t % 3 else None  # it need not be at hand
        found = drop_offered(
            LabelRows.of(parts, schema), None if before is None else before.read(), t * EVERY
        )
        mine = [indices[f] for f in seen if f in indices]
        offers[t * EVERY] = KeptOffers(find_offers(found, mine, t * EVERY, clock))
        due = {f * EVERY for f in seen if f in files and _is_due(files[f], clock, t)}
        near = {r * EVERY: offers[r * EVERY] for r in seen if r >= 0}
        mine_now = offers[t * EVERY]
        read = read_offers(near, due | mine_now.refreshes())
        settled = settle({**read, t * EVERY: mine_now.read()}, t * EVERY)
        answers = settled.answers
        for q, f, y in zip(answers.question, answers.refresh, answers.target, strict=True):
            assert q not in answered
            assert q in asked[f // EVERY]
            answered[int(q)] = (t, float(y))
        for name, count in settled.counts._asdict().items():
            counts[name, t] += count
        total = total.merge(settled.counts._replace(labels_read=len(known.get(t, ()))))
        counts["labels_open", t] = total.count_open(len(answered))
        assert counts["labels_open", t] >= 0
        for f in seen:
            if f in files:
                ids, over = files[f].column(ID).to_numpy(), times_over(files[f], clock)
                places = find_over(ids, over, settled.known, t * EVERY, (t + 1) * EVERY)
                expired.update(dict.fromkeys(ids[places].tolist(), t))
    return answered, expired, +counts


keys = st.sampled_from(["a", "b", "c", "d"])
times = st.integers(0, 120)
lateness = st.sampled_from([0, 0, 0, 3, 14])
questions = st.lists(st.tuples(keys, times, lateness), max_size=12)
labels = st.lists(st.tuples(keys, times, st.sampled_from([1.0, 2.0])), max_size=16)


@settings(deadline=None, max_examples=60)
@given(questions, labels, st.sampled_from([7, 10, 25, 30]), st.randoms())
def test_every_question_and_label_counts_as_a_dictionary_says(
    questions: Questions, labels: LabelList, wait: int, random: Random
) -> None:
    def shuffle(rows: list[int]) -> list[int]:
        return random.sample(rows, len(rows))

    assert join(questions, labels, wait, shuffle) == replay(questions, labels, wait)


@settings(deadline=None, max_examples=60)
@given(questions, labels, st.sampled_from([7, 30]))
def test_each_question_is_answered_or_expires_and_each_label_counts_once(
    questions: Questions, labels: LabelList, wait: int
) -> None:
    answered, expired, counts = join(questions, labels, wait)
    assert sorted([*answered, *expired]) == list(range(len(questions)))
    others = ("duplicates", "conflicts", "orphans", "label_late")
    further = sum(count for (name, _), count in counts.items() if name in others)
    assert len(answered) + further == len(labels)


def test_of_two_open_questions_the_newer_one_takes_the_label() -> None:
    asked = [("a", 0, 0), ("a", 12, 0)]
    answered, expired, counts = join(asked, [("a", 15, 1.0)], 30)
    assert answered == {1: (1, 1.0)}
    assert expired == {0: 3}
    assert counts == {("id_reused", 1): 1}


def test_an_early_label_counts_at_its_questions_time() -> None:
    answered, _, counts = join([("a", 12, 0)], [("a", 8, 2.0), ("a", 9, 2.0)], 30)
    assert answered == {0: (1, 2.0)}
    assert counts == {("early", 1): 1, ("duplicates", 1): 1, ("labels_open", 0): 2}


def test_a_label_after_the_wait_is_late_and_without_a_question_an_orphan() -> None:
    _, expired, counts = join([("a", 0, 0)], [("a", 8, 1.0), ("b", 8, 1.0)], 7)
    assert expired == {0: 0}
    assert counts == {("label_late", 1): 1, ("orphans", 1): 1, ("labels_open", 0): 2}


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), unique=True))
def test_keys_that_differ_have_hashes_that_differ_wherever_they_lie(texts: list[str]) -> None:
    hashes = hash_keys(pa.array(["padding", *texts, None])[1:-1])
    assert len(set(hashes.tolist())) == len(texts)
    assert hashes.tolist() == [hash_keys(pa.array([text]))[0] for text in texts]


def mix(value: int) -> int:
    """SplitMix64's finaliser, in whole numbers."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@pytest.mark.parametrize(
    "text", ["", "12", "UA1545", "8 bytes.", "9 bytes..", "São Paulo, Guarulhos"]
)
def test_keys_have_the_hashes_by_which_files_are_named(text: str) -> None:
    data = text.encode()
    hashed = mix(len(data))
    for at in range(0, len(data), 8):
        hashed = mix(hashed ^ int.from_bytes(data[at : at + 8].rjust(8, b"\0"), "little"))
    assert hash_keys(pa.array([text])).tolist() == [hashed]
    assert shard_keys(hash_keys(pa.array([text])), 4).tolist() == [(hashed >> 32) % 4]


@settings(deadline=None)
@given(st.sets(st.integers(0, 10_000), max_size=300))
def test_a_filter_never_denies_what_it_holds(numbers: set[int]) -> None:
    held = hash_keys(pa.array([str(number) for number in numbers], pa.string()))
    others = hash_keys(pa.array([f"x{number}" for number in range(2_000)]))
    found = Filter.of(held)
    assert found.may_hold(held).all()
    assert found.may_hold(others).sum() < 100


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_of_questions_is_the_same_whatever_order_they_come_in(
    tmp_path: Path, order: int
) -> None:
    asked = [("b", 5, 0), ("a", 1, 0), (None, 2, 0), ("a", 0, 4)]
    parts = [question_rows(asked, [row]) for row in range(4)][::order]
    written = write_questions(parts, Clock(EVERY, 30), 0)
    path = tmp_path / "00000.parquet"
    path.write_bytes(written.data)
    file = QuestionFile(str(path), 0)
    assert file.read().column(KEY).to_pylist() == ["a", "a", "b", None]
    assert file.read().column(ID).to_pylist() == [3, 1, 0, 2]
    assert sorted(file.index().ids.tolist()) == [0, 1, 3]
    assert file.may_hold(hash_keys(pa.array(["a"])))
    assert file.may_be_over(30, 31)
    assert not file.may_be_over(36, 40)
    assert written.data == write_questions(parts[::-1], Clock(EVERY, 30), 0).data


texts = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.text("a\0\u00e9", max_size=3).map(lambda end: f"order-{end}"),
)


@given(st.lists(st.tuples(texts, st.integers(0, 3), st.just(0)), max_size=20), st.randoms())
def test_questions_lie_in_the_order_of_key_time_and_row_id(
    asked: list[tuple[str | None, int, int]], random: Random
) -> None:
    ids = random.sample(range(len(asked)), len(asked))

    def place(row: int) -> tuple[bool, bytes, int, int]:
        key, time, _ = asked[row]
        return key is None, (key or "").encode(), time, row

    found = order_by_key(question_rows(asked, ids))
    assert [ids[at] for at in found.tolist()] == sorted(ids, key=place)


def test_offers_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    labels = [("a", 3, 1.0), ("b", 4, 1.0)]
    rows = LabelRows.of([label_rows(labels, [0, 1])], LabelSchema.of(SCHEMA))
    index = Index.of(question_rows([("a", 1, 0)], [0]), 20)
    offers = find_offers(rows, [index], 0, Clock(EVERY, 7))
    path = tmp_path / "00000.parquet"
    path.write_bytes(offers.as_bytes())
    file = OfferFile(str(path))
    assert all(np.array_equal(a, b) for a, b in zip(offers, file.read(), strict=True))
    assert len(offers.at) == 1
    assert file.refreshes() == {20}
