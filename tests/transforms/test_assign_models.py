from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import IntervalWindow
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from model.asof import Cadence, format_name
from model.batch import ID, SECOND, Key
from model.manifest import Learner, Reference, Window
from model.store import Store
from tests.kit.streams import EACH_MINUTE, MEAN, MINUTE, SCHEMA, row, shuffle, times_of
from transforms.assign_models import AssignModels, ChooseModelFn, SendModelFn, hash_key, shard_of
from transforms.elements import Committed, ModelReference
from transforms.normalize import Normalize
from transforms.statistics import CollectWindows
from transforms.testing import (
    FromBatches,
    Gather,
    accepted,
    batches,
    embedded,
    replay,
    streamed,
)
from transforms.train import Commit, Train


def handed(
    rows: list[Any],
    folder: str | Path,
    cadence: Cadence = EACH_MINUTE,
    shards: int = 2,
    batch_rows: int = 1000,
    disorder: int | None = None,
    source: Callable[[Any], Any] = FromBatches,
) -> list[Any]:
    """Trains on rows and hands them over: what comes out, and the batches that went in."""
    raw = batches(rows, SCHEMA, cadence.latency, batch_rows, disorder)
    store = Store(str(folder))
    with streamed() if source is replay else embedded() as pipeline:
        flow = pipeline | source(accepted(raw, SCHEMA))
        windows = flow | CollectWindows(SCHEMA, cadence)
        trained = windows | Normalize(SCHEMA) | Train(SCHEMA, Learner(MEAN, {}, 1), store)
        models = trained | Commit(store)
        return {"batches": flow, "models": models} | AssignModels(cadence, store, shards) | Gather()


def in_another_order(made: list[Any]) -> FromBatches:
    return FromBatches(shuffle(made, 7))


def served(seen: list[Any]) -> dict[int, tuple[int, str | None]]:
    """For each row, by its id: the stamp of its batch, and the name of the model it met."""
    found: dict[int, tuple[int, str | None]] = {}
    for one in seen:
        for reference, batch in one.value:
            for number in batch.rows[ID].to_pylist():
                assert number not in found, "a row was handed over twice"
                found[number] = (batch.tag.at, reference and reference.name)
    return found


def oracle(
    rows: list[Any], every: int, window: int, lag: int, disorder: int | None
) -> list[str | None]:
    """The as-of rule by brute force, in seconds: the model of each row."""
    greatest: Any = None
    stamps: list[Any] = []
    tardy: list[bool] = []
    for r in rows:
        behind: Any = None if disorder is None or greatest is None else greatest - disorder
        tardy.append(behind is not None and r["t"] < behind)
        stamps.append(behind if tardy[-1] else r["t"])
        greatest = r["t"] if greatest is None else max(greatest, r["t"])
    first, last = min(stamps), max(stamps)
    ends = [
        e for e in range(int(first) - window - every, int(last) + window + every) if e % every == 0
    ]
    models = [
        end
        for end in ends
        if any(
            end - window <= r["t"] < end and r["y"] is not None and not late
            for r, late in zip(rows, tardy, strict=True)
        )
    ]
    chosen: list[str | None] = []
    for at in stamps:
        refresh = max(e for e in range(int(at) - every, int(at) + 1) if e % every == 0 and e <= at)
        over = [end for end in models if end <= refresh - (lag - 1) * every]
        chosen.append(format_name(max(over) * SECOND) if over else None)
    return chosen


LABELS = [1.0, 1.0, None]
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)
"""A pipeline an example: to shrink a failing one would take minutes."""


def as_of_holds(times: list[int], data: Any) -> None:
    """Draws a cadence and compares every row's model with the brute force's."""
    every = data.draw(st.sampled_from([20, 30, 60]), "every")
    latency = every // data.draw(st.sampled_from([1, 2, 5, 10]), "every / latency")
    window = every * data.draw(st.integers(1, 3), "window / every")
    lag = data.draw(st.integers(1, 3), "lag")
    disorder = data.draw(st.none() | st.integers(0, 90), "disorder")
    batch_rows = data.draw(st.sampled_from([1, 3, 50]), "batch rows")
    rows = [row(t, y=LABELS[(i + t) % 3]) for i, t in enumerate(times)]
    with tempfile.TemporaryDirectory() as folder:
        seen = handed(
            rows,
            folder,
            Cadence(
                window=window * SECOND,
                every=every * SECOND,
                latency=latency * SECOND,
                lag=lag,
            ),
            batch_rows=batch_rows,
            disorder=None if disorder is None else disorder * SECOND,
        )
    wanted = oracle(rows, every, window, lag, disorder)
    found = served(seen)
    assert [found[i][1] for i in range(len(rows))] == wanted


@given(times_of(), st.data())
@settings(deadline=None, max_examples=6, phases=AS_FOUND)
def test_each_row_meets_the_model_that_the_as_of_rule_names(times: list[int], data: Any) -> None:
    as_of_holds(times, data)


@pytest.mark.slow
@given(times_of(1500), st.data())
@settings(deadline=None, max_examples=50, phases=AS_FOUND)
def test_each_row_meets_the_model_that_the_as_of_rule_names_in_many_streams(
    times: list[int], data: Any
) -> None:
    as_of_holds(times, data)


def test_what_goes_out_is_in_its_serve_window_sorted_and_of_one_model(tmp_path: Path) -> None:
    rows = [row(t) for t in range(-90, 90)]
    cadence = replace(EACH_MINUTE, latency=20 * SECOND)
    seen = handed(rows, tmp_path, cadence, shards=3, batch_rows=6, source=in_another_order)
    assert len(seen) > 9
    for one in seen:
        keys = [batch.tag.key for _, batch in one.value]
        assert keys == sorted(keys)
        assert len({shard_of(key, 3) for key in keys}) == 1
        assert len({reference for reference, _ in one.value}) == 1
        assert one.window.end - one.window.start == 20 * SECOND
        assert one.window.start <= one.at < one.window.end
        for _, batch in one.value:
            assert one.window.start <= batch.tag.at < one.window.end


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_cold_start_passes_without_a_model_and_a_gap_takes_the_newest_older_one(
    tmp_path: Path, source: Any
) -> None:
    rows = [row(t) for t in (0, 61, 62, 605, 660)]
    found = served(handed(rows, tmp_path, batch_rows=1, source=source))
    assert [found[i][1] for i in range(5)] == [
        None,
        "19700101T000100Z",
        "19700101T000100Z",
        "19700101T000200Z",
        "19700101T001100Z",
    ]


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_a_lag_serves_each_model_one_refresh_later(tmp_path: Path, source: Any) -> None:
    rows = [row(t) for t in (0, 60, 120, 180)]
    found = served(handed(rows, tmp_path, replace(EACH_MINUTE, lag=2), source=source))
    names = [None, None, "19700101T000100Z", "19700101T000200Z"]
    assert [found[i][1] for i in range(4)] == names


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_with_sliding_windows_the_one_that_ended_last_serves(tmp_path: Path, source: Any) -> None:
    rows = [row(0), row(60, y=None), row(120, y=None), row(180, y=None), row(240, y=None)]
    found = served(handed(rows, tmp_path, replace(EACH_MINUTE, window=3 * MINUTE), source=source))
    assert [found[i][1] for i in range(5)] == [
        None,
        "19700101T000100Z",
        "19700101T000200Z",
        "19700101T000300Z",
        "19700101T000300Z",
    ]


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_a_late_row_is_scored_by_the_model_that_serves_when_it_comes(
    tmp_path: Path, source: Any
) -> None:
    rows = [row(0), row(60), row(130), row(5), row(190)]
    seen = handed(rows, tmp_path, batch_rows=1, disorder=5 * SECOND, source=source)
    assert served(seen)[3] == (125 * SECOND, "19700101T000200Z")


def test_no_row_gives_nothing_and_models_alone_neither(tmp_path: Path) -> None:
    assert handed([], tmp_path) == []
    store = Store(str(tmp_path))
    alone = Committed(Window(0, MINUTE), Reference("19700101T000100Z", "ab"))
    with embedded() as pipeline:
        flow = pipeline | "B" >> FromBatches([])
        models = pipeline | beam.Create([alone])
        both = {"batches": flow, "models": models}
        seen = both | AssignModels(EACH_MINUTE, store, 2) | Gather()
    assert seen == []


@pytest.mark.parametrize(("lag", "first"), [(1, 60), (2, 120), (3, 180)])
def test_a_reference_is_sent_into_each_serve_window_of_its_refresh_once_a_shard(
    lag: int, first: int
) -> None:
    cadence = replace(EACH_MINUTE, latency=20 * SECOND, lag=lag)
    reference = Reference("19700101T000100Z", "ab")
    sent = list(SendModelFn(cadence, 2).process(Committed(Window(0, MINUTE), reference)))
    assert [(one.timestamp.micros // SECOND, one.value[0]) for one in sent] == [
        (first + later, shard) for later in (0, 20, 40) for shard in (0, 1)
    ]
    assert {one.value[1] for one in sent} == {ModelReference(reference)}


def test_two_models_for_one_serve_window_are_an_error() -> None:
    [batch] = accepted(batches([row(0)], SCHEMA, MINUTE), SCHEMA)
    models = [ModelReference(Reference("19700101T000100Z", digest)) for digest in ("a", "b")]
    choose = ChooseModelFn(EACH_MINUTE, Store("nowhere"))
    choose.setup()
    with pytest.raises(ValueError, match="two models for one serve window"):
        list(choose.process((0, {"batches": [batch], "models": models}), IntervalWindow(0, 60)))


def test_a_reference_that_came_twice_is_one() -> None:
    [batch] = accepted(batches([row(0)], SCHEMA, MINUTE), SCHEMA)
    reference = Reference("19700101T000100Z", "a")
    choose = ChooseModelFn(EACH_MINUTE, Store("nowhere"))
    choose.setup()
    grouped: dict[str, Any] = {"batches": [batch], "models": [ModelReference(reference)] * 2}
    [one] = choose.process((0, grouped), IntervalWindow(0, 60))
    [(chosen, _)] = one.value
    assert chosen == reference


@pytest.mark.parametrize(
    ("minute", "lag", "chosen"),
    [(1, 1, None), (2, 1, 2), (3, 1, 2), (3, 2, 2), (6, 2, 5), (6, 1, 5)],
)
def test_without_a_reference_the_newest_allowed_artefact_in_the_store_is_chosen(
    tmp_path: Path, minute: int, lag: int, chosen: int | None
) -> None:
    handed([row(60), row(240)], tmp_path)
    store = Store(str(tmp_path))
    assert store.names() == [format_name(2 * MINUTE), format_name(5 * MINUTE)]
    [batch] = accepted(batches([row(minute * 60)], SCHEMA, MINUTE), SCHEMA)
    choose = ChooseModelFn(replace(EACH_MINUTE, lag=lag), store)
    choose.setup()
    window = IntervalWindow(minute * 60, minute * 60 + 60)
    [one] = choose.process((0, {"batches": [batch], "models": []}), window)
    [(reference, _)] = one.value
    assert reference == (None if chosen is None else store.reference(format_name(chosen * MINUTE)))


@pytest.mark.parametrize(
    ("key", "hashed", "shard"),
    [
        (Key(0, 0, 0), 0x29C738F79584264A, 586),
        (Key(0, 10_000, 0), 0xC61075E8486A4FF6, 1014),
        (Key(3, 20_000, 7), 0x9331DDBA794053FA, 1018),
        (Key(0, -1, 2**32 - 1), 0xE29A47F04BE119EB, 491),
    ],
)
def test_a_batchs_shard_is_the_same_for_ever(key: Key, hashed: int, shard: int) -> None:
    assert (hash_key(key), shard_of(key, 1024)) == (hashed, shard)


def test_shards_share_the_work() -> None:
    keys = [Key(p, s, q) for p in range(2) for s in range(0, 10_000, 1000) for q in range(10)]
    shards = [shard_of(key, 4) for key in keys]
    assert [shards.count(n) > 20 for n in range(4)] == [True] * 4
    assert {shard_of(key, 1) for key in keys} == {0}


def test_batches_and_references_meet_whatever_the_order(tmp_path: Path) -> None:
    rows = [row(t) for t in range(0, 240, 3)]
    plain = served(handed(rows, tmp_path / "a", batch_rows=4))
    mixed = served(handed(rows, tmp_path / "b", batch_rows=4, source=in_another_order))
    assert plain == mixed and len(plain) == len(rows)
