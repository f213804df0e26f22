from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.transforms.window import TimestampedValue
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from model.batch import SECOND, Key, Tag, column, tag_of
from model.manifest import Reference, Window
from model.metrics import Metrics, Sums, merge
from model.validation import Reject
from tests.kit.streams import EACH_MINUTE, MINUTE, SCHEMA, row, shuffle, stream
from transforms.elements import (
    AcceptedBatch,
    Inference,
    KeyedSums,
    Rejects,
    ScoredBatch,
    WrittenFile,
)
from transforms.evaluate import Evaluate, MergeSums, sum_scored
from transforms.stamps import beam_time
from transforms.testing import Gather, accepted, batches, embedded

BASELINE = 1990.0


def guess(batch: AcceptedBatch) -> Any:
    """A prediction for each row that a test can make again: x, or 2000, and a bit."""
    return np.nan_to_num(column(batch.rows, "x"), nan=1000.0) * 2 + 0.25


def result(batch: AcceptedBatch, name: str | None = "m") -> ScoredBatch:
    """A scored batch; without a model for the name None."""
    if name is None:
        return ScoredBatch(batch, None)
    return ScoredBatch(batch, Inference(guess(batch), BASELINE, Reference(name, "")))


def model_of(at: int) -> str | None:
    return None if at < MINUTE else f"m{at // MINUTE}"


def evaluate(
    rows: list[Any],
    batch_rows: int = 1000,
    rejected: list[Rejects] | None = None,
    disorder: int | None = None,
    seed: int = 0,
    written: Sequence[int] = (),
) -> list[Any]:
    """What ``Evaluate`` gives; the first minute has no model, every other one its own.

    ``written`` are the stamps, microseconds, of files that have as many bytes.
    """
    made = accepted(batches(rows, SCHEMA, MINUTE, batch_rows, disorder), SCHEMA)
    results = [result(batch, model_of(batch.tag.at)) for batch in shuffle(made, seed)]
    with embedded() as pipeline:
        scored = (
            pipeline
            | "S" >> beam.Create(results)
            | "SS" >> beam.Map(lambda r: TimestampedValue(r, beam_time(r.batch.tag.at)))
        )
        bad = (
            pipeline
            | "R" >> beam.Create(rejected or [])
            | "RS" >> beam.Map(lambda r: TimestampedValue(r, beam_time(r.tag.at)))
        )
        files = (
            pipeline
            | "W" >> beam.Create(list(written))
            | "WS"
            >> beam.Map(lambda at: TimestampedValue(WrittenFile(f"sample/{at}", at), beam_time(at)))
        )
        inputs = {"scored": scored, "rejected": bad, "written": files}
        seen = inputs | Evaluate(SCHEMA, EACH_MINUTE) | Gather()
    return sorted(seen, key=lambda one: one.at)


def rejects(number: int, at: int) -> Rejects:
    """So many rejects of a batch that is stamped then."""
    [batch] = batches([row(at / SECOND)], SCHEMA, MINUTE)
    tag: Tag = tag_of(batch)
    return Rejects(tag, [Reject({}, "reason", "rows:0", at, True)] * number)


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_each_refreshs_figures_are_those_of_scikit_learn(batch_rows: int) -> None:
    rows = stream(150, 240, shuffled=True)
    seen = evaluate(rows, batch_rows)
    assert [one.window for one in seen] == [
        Window(minute * MINUTE, (minute + 1) * MINUTE) for minute in range(4)
    ]
    for minute, one in enumerate(seen):
        start, metrics = one.value
        inside = [r for r in rows if minute * 60 <= r["t"] < minute * 60 + 60]
        with_target = [r for r in inside if r["y"] is not None]
        y = np.array([r["y"] for r in with_target])
        guessed = np.array([1000.0 if r["x"] is None else r["x"] for r in with_target]) * 2 + 0.25
        assert start == minute * MINUTE
        assert metrics.refresh_start == f"1970-01-01T00:0{minute}:00Z"
        assert metrics.refresh_end == f"1970-01-01T00:0{minute + 1}:00Z"
        counts = (metrics.rows, metrics.unlabelled, metrics.late, metrics.rejected)
        assert counts == (len(inside), len(inside) - len(y), 0, 0)
        if minute == 0:
            assert metrics.scored == 0 and metrics.model is None
            assert metrics.mae is metrics.rmse is metrics.r2 is metrics.skill is None
            continue
        assert metrics.scored == len(inside) and metrics.model == f"m{minute}"
        baseline = np.abs(y - BASELINE).mean()
        assert metrics.mae == pytest.approx(mean_absolute_error(y, guessed), rel=1e-9)
        assert metrics.rmse == pytest.approx(root_mean_squared_error(y, guessed), rel=1e-9)
        assert metrics.r2 == pytest.approx(r2_score(y, guessed), rel=1e-9)
        assert metrics.baseline_mae == pytest.approx(baseline, rel=1e-9)
        assert metrics.skill == pytest.approx(1 - metrics.mae / baseline, rel=1e-9)


def test_the_order_of_arrival_changes_no_digit() -> None:
    rows = stream(150, 240, shuffled=True)
    first, again = (evaluate(rows, 7, seed=seed) for seed in (1, 2))
    assert [one.value[1].as_json() for one in first] == [one.value[1].as_json() for one in again]


def keyed(rows: list[Any], batch_rows: int) -> list[KeyedSums]:
    made = accepted(batches(rows, SCHEMA, MINUTE, batch_rows), SCHEMA)
    return [sum_scored(result(batch), SCHEMA, EACH_MINUTE)[1] for batch in made]


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_sums_merge_in_the_order_of_batches_however_they_are_bundled(
    count: int, batch_rows: int, seed: int
) -> None:
    fn = MergeSums()
    parts = keyed(stream(count, 59, seed), batch_rows)
    one = fn.create_accumulator()
    for part in parts:
        one = fn.add_input(one, part)
    mixed = shuffle(parts, seed)
    cut = seed % (len(mixed) + 1)
    coder = fn.get_accumulator_coder()
    halves = [coder.decode(coder.encode(half)) for half in (mixed[:cut], mixed[cut:])]
    assert fn.extract_output(fn.merge_accumulators(halves)) == fn.extract_output(one)


def test_late_rows_count_where_they_came_and_in_the_figures() -> None:
    rows = [row(0), row(60, y=1980), row(130, y=1990, x=1000), row(5, y=2010, x=1000)]
    seen = evaluate(rows, 1, disorder=5 * SECOND)
    metrics: Metrics = seen[2].value[1]
    assert (metrics.rows, metrics.late, metrics.scored) == (2, 1, 2)
    assert metrics.mae == pytest.approx((abs(2000.25 - 1990) + abs(2000.25 - 2010)) / 2)


def test_a_refresh_of_rejects_alone_has_a_report_and_nothing_but_their_number() -> None:
    seen = evaluate([row(0)], rejected=[rejects(2, 300 * SECOND), rejects(1, 310 * SECOND)])
    assert [one.value[0] // SECOND for one in seen] == [0, 300]
    body = seen[1].value[1].model_dump()
    assert body.pop("rejected") == 3
    assert (body.pop("refresh_start"), body.pop("refresh_end")) == (
        "1970-01-01T00:05:00Z",
        "1970-01-01T00:06:00Z",
    )
    assert (body.pop("format"), body.pop("files")) == (1, {})
    for name in ("absolute_error", "baselines", "baseline_rows"):
        body |= {f"{name}.{part}": value for part, value in body.pop(name).items()}
    assert set(body.values()) == {0, None}


def test_rows_and_rejects_of_one_batch_are_counted_together() -> None:
    rows = [row(60, y=None), row(61, y=None)]
    [one] = evaluate(rows, rejected=[rejects(4, 60 * SECOND)])
    metrics = one.value[1]
    assert (metrics.rows, metrics.scored, metrics.unlabelled, metrics.rejected) == (2, 2, 2, 4)
    assert metrics.mae is metrics.baseline_mae is metrics.r2 is None


def test_r2_needs_two_rows_and_a_target_that_varies() -> None:
    [one] = evaluate([row(60, y=3)])
    assert one.value[1].r2 is None and one.value[1].mae is not None
    [one] = evaluate([row(60, y=3), row(61, y=3)], 1)
    assert one.value[1].r2 is None


def test_two_models_in_one_refresh_are_an_error() -> None:
    [(key, sums)] = keyed([row(0)], 1)
    with pytest.raises(ValueError, match="two models in one refresh: a and b"):
        both = [KeyedSums(key, sums._replace(model=name)) for name in ("a", "b")]
        MergeSums().extract_output(both)


def test_nothing_at_all_gives_no_report() -> None:
    assert evaluate([]) == []


def test_the_files_of_a_refresh_stand_in_its_figures_and_change_none() -> None:
    rows = stream(60, 120)
    alone, beside = evaluate(rows), evaluate(rows, written=[0, 1, 2 * MINUTE - 1])
    reports = [one.value[1] for one in beside]
    plain = [report.model_copy(update={"files": {}}) for report in reports]
    assert plain == [one.value[1] for one in alone] and len(plain) == 2
    assert [report.files for report in reports] == [
        {"sample/0": 0, "sample/1": 1},
        {f"sample/{2 * MINUTE - 1}": 2 * MINUTE - 1},
    ]


def test_a_models_profile_is_kept_once_however_many_batches_it_scored() -> None:
    parts = [
        part._replace(sums=part.sums._replace(profile="p" * 100))
        for part in [*keyed(stream(40, 59), 4), KeyedSums(Key(0, 0, 0), Sums(rejected=1))]
    ]
    parts[-1] = KeyedSums(Key(0, 0, 0), Sums(rejected=1))
    fn = MergeSums()
    halves = [fn.create_accumulator(), fn.create_accumulator()]
    for number, part in enumerate(parts):
        halves[number % 2] = fn.add_input(halves[number % 2], part)
    merged = fn.merge_accumulators(halves)
    assert [bool(one.sums.profile) for one in merged].count(True) == 1
    assert len(merged) == len(parts)
    assert fn.extract_output(merged) == merge(
        part.sums for part in sorted(parts, key=lambda part: part.key)
    )
