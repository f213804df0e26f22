"""Labels that come later: what becomes of a question, when, and what may be learned from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model.answers import Asked, cut_answered, find_outcomes, hide_unknown
from model.batch import ID, LATE, SECOND, TIME, TIME_TYPE, Key, Tag, with_tag
from model.cohorts import Clock, CohortPart, merge_cohort
from model.errors import UserError
from model.labels import (
    Delays,
    LabelTimes,
    cut_labelled_rows,
    find_bins,
    find_events,
    greatest_in_bin,
    merge_label_times,
)
from model.manifest import Window
from model.metrics import compute_errors, merge
from model.schema import Features, Schema, load_schema
from model.training import normalize
from model.validation import validate
from reading import plan, read
from tests.kit.sums import summarize_batch

SCHEMA = Schema(
    name="s",
    time="asked",
    target="y",
    features=Features(numeric=("x",)),
    label_time="known",
    wait="2m",  # type: ignore[arg-type]
)
MINUTE = 60 * SECOND


def make_rows(rows: list[tuple[float, float | None]], late: bool = False, stamp: int = 0) -> Any:
    """Accepted rows of (time, label time) in seconds, the label being the label time."""
    asked, known = zip(*rows, strict=True)
    raw = pa.record_batch(
        {
            ID: pa.array(range(len(rows)), pa.int64()),
            TIME: pa.array([int(at * SECOND) for at in asked]).cast(TIME_TYPE),
            LATE: pa.array([late] * len(rows)),
            "y": pa.array(known, pa.float64()),
            "x": pa.array([float(number) for number in range(len(rows))]),
            "known": pa.array(known, pa.float64()),
        }
    )
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), stamp, "s", 1)), SCHEMA)
    assert not rejects
    return accepted


@given(st.lists(st.integers(0, 2**60), min_size=1))
def test_a_bin_holds_its_delays_and_is_a_64th_of_an_octave_wide(delays: list[int]) -> None:
    for delay, bin in zip(delays, find_bins(np.array(delays)).tolist(), strict=True):
        assert (greatest_in_bin(bin - 1) if bin else -1) < delay <= greatest_in_bin(bin)
        assert greatest_in_bin(bin) - (greatest_in_bin(bin - 1) if bin else -1) <= max(
            1, delay / 64
        )


@given(st.lists(st.lists(st.integers(0, 10**12)), min_size=1))
def test_quantiles_of_merged_delays_are_those_of_all_to_a_64th(parts: list[list[int]]) -> None:
    merged = Delays()
    for part in parts:
        merged = merged.merge(Delays.of(np.array(part, np.int64)))
    delays = sorted(delay for part in parts for delay in part)
    assert merged == Delays.of(np.array(delays, np.int64))
    if not delays:
        assert merged.summary() is None
        return
    for share in (0.5, 0.9, 1.0):
        exact = np.quantile(delays, share, method="inverted_cdf")
        assert exact <= merged.quantile(share) <= exact * (1 + 1 / 64) + 1
    assert merged.greatest == delays[-1]


seconds = st.integers(0, 600)


@given(st.lists(st.tuples(seconds, st.none() | st.integers(0, 300)), min_size=1, max_size=40))
def test_each_question_is_answered_or_expires_once(delays: list[tuple[int, int | None]]) -> None:
    rows = [(at, None if delay is None else at + delay) for at, delay in delays]
    batch = make_rows(rows)  # type: ignore[arg-type]
    asked = Asked(batch, np.zeros(len(rows)), 0.0, "m")
    found = list(find_outcomes(asked, SCHEMA, MINUTE, 0))
    starts = [outcome.refresh for outcome in found]
    assert starts == sorted(set(starts))
    frame = pd.DataFrame(rows, columns=["asked", "known"]).astype(float)
    inside = frame["known"] <= frame["asked"] + 120
    frame["at"] = np.where(inside, frame["known"], frame["asked"] + 120) // 60 * 60 * SECOND
    for outcome in found:
        mine, counts = frame["at"] == outcome.refresh, outcome.sums.labels
        assert counts is not None
        assert counts.answered == outcome.sums.labelled == (mine & inside).sum()
        assert counts.expired == (mine & ~inside).sum()
        assert counts.label_late == (mine & ~inside & frame["known"].notna()).sum()
        errors = frame["known"][mine & inside]
        mae = compute_errors(outcome.sums)["mae"]
        assert mae == (pytest.approx(errors.mean()) if len(errors) else None)
    assert set(starts) == set(frame["at"])
    written = [
        row for _, rows in cut_answered(asked, SCHEMA, MINUTE, 0) for row in rows.to_pylist()
    ]
    assert sorted(row["id"] for row in written) == frame.index[inside].tolist()


@given(st.lists(st.tuples(seconds, st.none() | st.integers(0, 300)), min_size=1, max_size=40))
def test_no_lesson_holds_a_label_of_another_refresh(delays: list[tuple[int, int | None]]) -> None:
    rows = [(at, None if delay is None else at + delay) for at, delay in delays]
    learned = []
    for part in cut_labelled_rows(make_rows(rows), SCHEMA, MINUTE, 0):  # type: ignore[arg-type]
        labels = part.rows.column("y").to_numpy()
        assert len(set(labels // 60)) == 1 and part.stamp == labels.min() * SECOND
        assert part.known.newest == labels.max() * SECOND
        part.known.check(part.stamp // MINUTE * MINUTE + MINUTE)
        learned += part.rows.column(ID).to_pylist()
    inside = [n for n, (at, known) in enumerate(rows) if known is not None and known <= at + 120]
    assert sorted(learned) == inside


def test_a_late_question_is_answered_and_is_in_no_lesson() -> None:
    batch = make_rows([(10, 20), (30, 400)], late=True, stamp=300 * SECOND)
    assert not list(cut_labelled_rows(batch, SCHEMA, MINUTE, 300 * SECOND))
    events = find_events(batch, SCHEMA, 300 * SECOND)
    assert (events.at // SECOND).tolist() == [300, 300]  # where the watermark stood
    assert events.answered.tolist() == [True, False]


def test_a_label_at_the_end_of_the_wait_counts_and_one_a_microsecond_later_does_not() -> None:
    events = find_events(make_rows([(0, 120), (0, 120.000001)]), SCHEMA, 0)
    assert events.answered.tolist() == [True, False]
    assert events.at.tolist() == [120 * SECOND, 120 * SECOND]


def test_a_window_with_a_label_that_it_cannot_know_makes_no_model() -> None:
    batch = make_rows([(number, 50) for number in range(20)])
    statistics, window = summarize_batch(batch, SCHEMA), Window(0, MINUTE)
    known = merge_label_times(part.known for part in cut_labelled_rows(batch, SCHEMA, MINUTE, 0))
    assert normalize(batch, statistics, SCHEMA, window, known=known).known == known
    planted = LabelTimes(MINUTE, known.delays)
    with pytest.raises(ValueError, match="was not known then"):
        normalize(batch, statistics, SCHEMA, window, known=planted)
    with pytest.raises(ValueError, match="without their times"):
        normalize(batch, statistics, SCHEMA, window)


def test_targets_are_shown_only_where_they_were_known_at_the_questions_time() -> None:
    rows = hide_unknown(make_rows([(10, 10), (10, 11), (10, None)]), SCHEMA)
    assert rows.column("y").to_numpy()[0] == 10.0
    assert np.isnan(rows.column("y").to_numpy()[1:]).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 59), st.none() | st.integers(0, 300)), max_size=40, min_size=2
    ),
    st.integers(1, 39),
    st.none() | st.integers(1, 6),
)
def test_a_cohort_is_its_questions_however_they_are_cut_and_wherever_the_stream_ends(
    delays: list[tuple[int, int | None]], cut: int, end: int | None
) -> None:
    rows = [(at, None if delay is None else at + delay) for at, delay in delays]
    parts = []
    for number, some in enumerate((rows[:cut], rows[cut:])):
        if some:
            asked = Asked(make_rows(some), np.zeros(len(some)), 1.0, "m")  # type: ignore[arg-type]
            found = tuple(find_outcomes(asked, SCHEMA, MINUTE, 0))
            parts.append(CohortPart(Key(0, number, 0), len(some), "m", found))
    clock = Clock(MINUTE, 120 * SECOND)
    cohort = merge_cohort(parts[::-1], 0, clock, None if end is None else end * MINUTE)
    frame = pd.DataFrame(rows, columns=["asked", "known"]).astype(float)
    over = np.inf if end is None else end * 60
    inside = (frame["known"] <= frame["asked"] + 120) & (frame["known"] < over)
    expired = ~(frame["known"] <= frame["asked"] + 120) & (frame["asked"] + 120 < over)
    assert (cohort.answered, cohort.expired) == (inside.sum(), expired.sum())
    assert cohort.rows == len(rows) == cohort.answered + cohort.expired + cohort.open
    assert cohort.final == (over >= 240)
    if cohort.final:
        assert cohort.open == 0
    if inside.any():
        assert cohort.mae == pytest.approx(frame["known"][inside].abs().mean())
        assert cohort.baseline_mae == pytest.approx((frame["known"][inside] - 1).abs().mean())
        assert cohort.delay is not None
        assert cohort.delay.max == (frame["known"] - frame["asked"])[inside].max()


@given(st.integers(0, 50), st.integers(1, 500))
def test_the_cohort_that_is_final_in_a_refresh_is_the_one_whose_end_and_wait_it_holds(
    number: int, wait: int
) -> None:
    clock, start = Clock(60, wait), number * 60
    final = clock.final_at(start)
    assert final <= start + 60 + wait < final + 60
    assert clock.start_of(final) == start
    assert clock.start_of(final) <= final - wait


REASONS = {
    "2026-01-01T00:00:05Z,,1,": None,
    "2026-01-01T00:00:05Z,3,1,2026-01-01T00:00:05Z": None,
    "2026-01-01T00:00:05Z,3,1,2026-01-01 00:00:06": None,
    "2026-01-01T00:00:05Z,3,1,": "(the label's time): null: must be there where 'y' is",
    "2026-01-01T00:00:05Z,,1,2026-01-01T00:00:06Z": "'y' must be there too",
    "2026-01-01T00:00:05Z,3,1,2026-01-01T00:00:04Z": "must not be before 'asked'",
    "2026-01-01T00:00:05Z,3,1,soon": "(the label's time): 'soon': must be ISO 8601",
    "2026-01-01T00:00:05Z,3,1,2300-01-01T00:00:00Z": "a time until 2030-01-01T00:00:00Z",
}


def rejects_of(path: str) -> list[str | None]:
    """For each row of a file why it is rejected."""
    latest = int(pd.Timestamp("2030-01-01T00:00:00Z").value // 1000)
    planned = plan(path, SCHEMA, latest=latest)
    found: list[str | None] = []
    for chunk in planned.chunks:
        for raw in read(planned.files[chunk.file], chunk, SCHEMA, 100):
            tagged = with_tag(raw, Tag(Key(0, 0, 0), 0, path, 1))
            accepted, rejects = validate(tagged, SCHEMA)
            reasons = dict.fromkeys(accepted.column(ID).to_pylist())
            reasons |= {int(each.where.split(":")[-1]) - 1: each.reason for each in rejects}
            found += [reasons[place] for place in sorted(reasons)]
    return found


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_row_has_a_label_and_its_time_or_neither_whatever_its_file(
    tmp_path: Path, form: str
) -> None:
    cells = [line.split(",") for line in REASONS]
    path = tmp_path / f"in.{form}"
    frame = pd.DataFrame(cells, columns=["asked", "y", "x", "known"])
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "ndjson":
        frame.replace("", None).to_json(path, orient="records", lines=True)
    else:
        frame[["x", "y"]] = frame[["x", "y"]].apply(pd.to_numeric)
        pq.write_table(pa.Table.from_pandas(frame.replace("", None)), path)
    for found, expected in zip(rejects_of(str(path)), REASONS.values(), strict=True):
        assert (found is None) == (expected is None), (found, expected)
        assert expected is None or expected in str(found).replace("''", "null")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_plan_knows_the_greatest_time_of_a_label_in_each_part(tmp_path: Path, form: str) -> None:
    at = pd.date_range("2026-01-01", periods=6, freq="s", tz="UTC")
    known = at + pd.to_timedelta([60, 0, 5, 900, 1, 2], unit="s")
    frame = pd.DataFrame({"asked": at, "y": 1.0, "x": 2.0, "known": known})
    frame.loc[3, ["y", "known"]] = None
    path = tmp_path / f"in.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    else:
        pq.write_table(pa.Table.from_pandas(frame), path, row_group_size=3)
    chunks = plan(str(path), SCHEMA).chunks
    greatest = max(chunk.answered or 0 for chunk in chunks)
    assert greatest == known[0].value // 1000


TOML = 'name = "s"\ntime = "t"\ntarget = "y"\n{}\n[features]\nnumeric = ["x"]\n'


def test_a_schema_without_labels_times_is_written_as_ever() -> None:
    plain = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
    assert "label_time" not in plain.model_dump_json() and "wait" not in plain.model_dump_json()
    assert '"label_time":"known","wait":120' in SCHEMA.model_dump_json().replace(" ", "")
    assert Schema.model_validate_json(SCHEMA.model_dump_json()) == SCHEMA


APART = '[labels]\nid = "k"\ntarget = "y"\ntime = "known"\n'


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ('label_time = "k"', "label_time needs wait"),
        ('wait = "2d"', "wait needs label_time"),
        ('label_time = "k"\nwait = "soon"', "wait: must be a duration in whole seconds"),
        ('label_time = "k"\nwait = 0', "wait: must be a duration from 1s to 36525d"),
        ('label_time = "t"\nwait = "2d"', "column 't' has two roles"),
        ('label_time = "x"\nwait = "2d"', "column 'x' has two roles"),
        ('label_time = "k"\nwait = "2d"\nid = "k"', "id: column 'k' has another role"),
        ('label_time = "k"\nwait = "2d"\nkeep = ["y"]', "'y' is not known when the question"),
        ('label_time = "k"\nwait = "2d"\nkeep = ["k"]', "'k' is not known when the question"),
        ('label_time = "k"\nwait = "2d"\nkeep = ["baseline"]', "rename it in the data"),
        ('id = "k"\nwait = "2d"\n[labels]\nid = "k"', "labels.target: is missing"),
        (f'wait = "2d"\n{APART}', 'labels: needs id, as id = "flight"'),
        (f'id = "k"\n{APART}', 'labels: needs wait, as wait = "2d"'),
        (f'id = "k"\nlabel_time = "z"\nwait = "2d"\n{APART}', "labels: goes without label_time"),
        (f'id = "k"\nwait = "2d"\nkeep = ["y"]\n{APART}', "'y' is not known when the question"),
        (f'id = "k"\nwait = "2d"\n{APART}missing = "no"', 'labels.missing: must be "drop" or a'),
        (f'id = "k"\nwait = "2d"\n{APART}missing = nan', 'labels.missing: must be "drop" or a'),
        ('id = "k"\nwait = "2d"\n[labels]\nid = "k"\ntarget = "k"\ntime = "t"', "two roles"),
    ],
)
def test_what_a_schema_may_not_have_of_labels_is_named(
    tmp_path: Path, keys: str, reason: str
) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(TOML.format(keys))
    with pytest.raises(UserError, match=r"schema\.toml") as raised:
        load_schema(str(path))
    assert reason in str(raised.value)


def test_a_wait_is_written_as_a_duration(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(TOML.format('label_time = "k"\nwait = "2d"'))
    schema = load_schema(str(path))
    assert (schema.label_time, schema.wait) == ("k", 172_800)
    assert schema.columns == ("t", "y", "x", "k")


def test_a_wait_that_is_no_number_is_refused_in_python_too() -> None:
    with pytest.raises(ValidationError):
        Schema(
            name="s",
            time="t",
            target="y",
            features=Features(numeric=("x",)),
            label_time="k",
            wait=True,
        )


def test_sums_of_outcomes_merge_to_those_of_all() -> None:
    asked = Asked(make_rows([(0, 30), (10, 70), (20, None)]), np.array([1.0, 2.0, 3.0]), 0.0, "m")
    merged = merge(outcome.sums for outcome in find_outcomes(asked, SCHEMA, MINUTE, 0))
    assert merged.labels is not None
    assert (merged.labelled, merged.labels.answered, merged.labels.expired) == (2, 2, 1)
    assert merged.figures is not None
    assert merged.figures.errors()["mae"] == pytest.approx((29 + 68) / 2)
    assert merged.rows == merged.scored == 0
