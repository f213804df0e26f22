"""How times are written in an input, guessed once, and what is refused rather than guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from model.batch import TIME, Key, Tag, with_tag
from model.errors import UserError
from model.schema import Features, Schema
from model.times import describe_times
from model.validation import validate
from reading import plan, read, text
from reading.guesses import guess_format
from reading.plausible import check_times

SCHEMA = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
HOURS = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC")
MICROS = HOURS.as_unit("us").astype("int64").to_numpy()
WANTED = sorted(MICROS.tolist())


def with_keys(**keys: str) -> Schema:
    return SCHEMA.model_copy(update=keys)


def times_of(path: Path, schema: Schema = SCHEMA) -> list[int | None]:
    """The times of a file's rows, in the order of its rows, as a job reads them."""
    planned = check_times(plan(str(path), schema), schema)
    found: list[int | None] = []
    for chunk in sorted(planned.chunks, key=lambda chunk: chunk.first):
        file = planned.files[chunk.file]
        for batch in read(file, chunk, schema, 7):
            times = batch.column(TIME).cast(pa.int64()).to_pylist()
            assert all(time is None or chunk.least <= time <= chunk.greatest for time in times)
            found += times
    return found


def notes_of(path: Path, schema: Schema = SCHEMA) -> tuple[str, ...]:
    """What the user is told of a file's times."""
    return check_times(plan(str(path), schema), schema).messages


def write_csv(path: Path, values: pa.Array) -> Path:
    table = pa.table({"t": values, "y": [1.0] * len(values), "x": [1.0] * len(values)})
    arrow_csv.write_csv(table, path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def write_parquet(path: Path, values: pa.Array) -> Path:
    table = pa.table({"t": values, "y": [1.0] * len(values), "x": [1.0] * len(values)})
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=20)
    return path.with_suffix(".parquet")


def write_ndjson(path: Path, values: pa.Array) -> Path:
    lines = [json.dumps({"t": value, "y": 1.0, "x": 1.0}) for value in values.to_pylist()]
    path.with_suffix(".ndjson").write_text("\n".join(lines))
    return path.with_suffix(".ndjson")


WRITERS = (write_csv, write_parquet, write_ndjson)
Writer = Callable[[Path, pa.Array], Path]


def counts(per_second: int) -> pa.Array:
    return pa.array(MICROS // 10**6 * per_second)


def texts(form: str) -> pa.Array:
    return pa.array(HOURS.strftime(form).tolist())


NUMBERS: dict[str, tuple[pa.Array, str | None]] = {
    "seconds": (counts(1), None),
    "milliseconds": (counts(10**3), "ms"),
    "microseconds": (counts(10**6), "us"),
    "nanoseconds": (counts(10**9), "ns"),
    "floats of seconds": (pa.array(MICROS / 1e6), None),
    "floats of milliseconds": (pa.array(MICROS / 1e3), "ms"),
    "digits": (pa.array([int(text) for text in HOURS.strftime("%Y%m%d%H%M%S")]), "%Y%m%d%H%M%S"),
    "digits to the minute": (
        pa.array([int(text) for text in HOURS.strftime("%Y%m%d%H%M")]), "%Y%m%d%H%M"),
    "digits to the hour": (
        pa.array([int(text) for text in HOURS.strftime("%Y%m%d%H")]), "%Y%m%d%H"),
    "Excel's days": (
        pa.array([round(d, 9) for d in (45_292 + np.arange(60) / 24).tolist()]), "excel"),
}  # fmt: skip


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_the_times_that_they_count(name: str, writer: Writer, tmp_path: Path) -> None:
    values, form = NUMBERS[name]
    path = writer(tmp_path / "in", values)
    assert times_of(path) == WANTED
    [file] = plan(str(path), SCHEMA).files
    notes = [note for note in file.notes if "time_format" in note]
    assert [form is None] == [not notes]
    if form is not None:
        assert f'time_format = "{form}"' in notes[0]
        assert times_of(path, with_keys(time_format=form)) == WANTED
    as_text = pa.array([None if v is None else str(v) for v in values.to_pylist()])
    assert times_of(write_csv(tmp_path / "text", as_text)) == WANTED


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("form", "step"), [("%Y%m%d", "D"), ("%Y%m", "MS"), ("%Y", "YS"), ("%Y%j", "D")]
)
def test_dates_as_digits_are_dates(form: str, step: str, writer: Writer, tmp_path: Path) -> None:
    days = pd.date_range("1985-01-01", periods=40, freq=step, tz="UTC")
    wanted = days.as_unit("us").astype("int64").tolist()
    digits = pa.array([int(text) for text in days.strftime(form)])
    assert times_of(writer(tmp_path / "in", digits)) == wanted
    assert times_of(writer(tmp_path / "text", digits.cast(pa.string()))) == wanted


@pytest.mark.parametrize(
    "form",
    [
        *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%dT%H%M%SZ", "%Y/%m/%d %H:%M"),
        *("%a, %d %b %Y %H:%M:%S GMT", "%d.%m.%Y %H:%M", "%b %d, %Y %I:%M %p"),
    ],
)
def test_text_that_can_be_meant_in_one_way_needs_no_format(form: str, tmp_path: Path) -> None:
    assert times_of(write_csv(tmp_path / "in", texts(form))) == WANTED
    assert times_of(write_ndjson(tmp_path / "in", texts(form))) == WANTED


@pytest.mark.parametrize(
    ("form", "order"), [("%d/%m/%Y %H:%M", "dayfirst"), ("%m/%d/%Y %I:%M %p", "monthfirst")]
)
def test_a_day_over_12_shows_its_place(form: str, order: str, tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=60, freq="6h", tz="UTC")
    path = write_csv(tmp_path / "in", pa.array(days.strftime(form).tolist()))
    assert times_of(path) == days.as_unit("us").astype("int64").tolist()
    [note] = plan(str(path), SCHEMA).messages
    assert f'time_format = "{order}"' in note


def test_days_and_months_that_nothing_distinguishes_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in", texts("%d/%m/%Y %H:%M"))
    with pytest.raises(UserError, match=r"in.csv: column 't'.*'01/01/2024 00:00': set time_format"):
        plan(str(path), SCHEMA)
    for form in ("dayfirst", "%d/%m/%Y %H:%M"):
        assert times_of(path, with_keys(time_format=form)) == WANTED
    mixed = write_csv(tmp_path / "mixed", pa.array(["31/01/2024", "01/31/2024"]))
    with pytest.raises(UserError, match="some values begin with the day"):
        plan(str(mixed), SCHEMA)


def test_one_file_decides_for_all(tmp_path: Path) -> None:
    write_csv(tmp_path / "a", pa.nulls(0, pa.int64()))
    write_csv(tmp_path / "b", counts(1_000)[:30])
    write_csv(tmp_path / "c", counts(1_000)[30:])
    planned = plan(f"{tmp_path}/*.csv", SCHEMA)
    assert [file.time_format for file in planned.files] == [None, "ms", "ms"]
    assert len([note for note in planned.messages if "time_format" in note]) == 1
    assert min(chunk.least for chunk in planned.chunks) == WANTED[0]
    assert max(chunk.greatest for chunk in planned.chunks) == WANTED[-1]


def test_values_of_several_units_are_refused(tmp_path: Path) -> None:
    mixed = pa.array([*(MICROS // 1000).tolist(), 1_704_067_200])
    for writer in WRITERS:
        path = writer(tmp_path / "in", mixed)
        with pytest.raises(UserError, match=r"1970-01-20.*several units.*time_format = \"ms\""):
            times_of(path)
        assert times_of(path, with_keys(time_format="ms"))[:-1] == WANTED


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, 3]),
        pa.array([31_122_023, 30_122_023]),
        pa.array(["1970-01-01T00:00:01.704", "1970-01-01T00:00:01.705"]),
        pa.array(["1970-01-20T17:21:07Z", "1970-01-20T17:21:08Z"]),
    ],
)
def test_times_that_all_lie_in_1970_are_refused(
    values: pa.Array, writer: Writer, tmp_path: Path
) -> None:
    path = writer(tmp_path / "in", values)
    with pytest.raises(UserError, match=r"all times lie between 1970-\S+ and 1970-\S+[, ]as"):
        times_of(path)
    form = "s" if pa.types.is_integer(values.type) else "iso8601"
    assert None not in times_of(path, with_keys(time_format=form))


def test_typed_times_that_all_lie_in_1970_are_refused(tmp_path: Path) -> None:
    nanos = pa.array([1_704_067_200, 1_704_067_201]).cast(pa.timestamp("ns"))
    path = write_parquet(tmp_path / "in", nanos)
    with pytest.raises(UserError, match=r"1970-01-01T00:00:01\.704067Z"):
        times_of(path)


@pytest.mark.parametrize("day", ["0001-01-01", "1753-01-01", "1899-12-30", "1900-01-01"])
def test_a_day_that_stands_for_a_missing_time_is_named(day: str, tmp_path: Path) -> None:
    values = pa.array([*texts("%Y-%m-%dT%H:%M:%SZ").to_pylist(), f"{day}T00:00:00Z", day])
    for writer in WRITERS:
        path = writer(tmp_path / "in", values)
        line = 61 if writer is not write_csv else 62
        said = rf"in\.\w+:{line}: column 't' .*2 rows have the time {day}T00:00:00Z, the next"
        assert times_of(path)[:60] == WANTED
        [note] = [note for note in notes_of(path) if day in note]
        assert re.search(said, note)
        assert not notes_of(path, with_keys(time_format="iso8601"))


def test_a_long_series_is_no_missing_time(tmp_path: Path) -> None:
    years = pa.array([f"{year}-01-01" for year in range(1900, 2024)])
    assert len(times_of(write_csv(tmp_path / "in", years))) == 124


def test_a_time_that_the_clocks_skip_is_rejected_and_reports_it(tmp_path: Path) -> None:
    written = pa.array(["2024-03-31 01:30", "2024-03-31 02:30", "soon", "2024-03-31 03:30"])
    schema = with_keys(time_zone="Europe/Berlin")
    planned = plan(str(write_csv(tmp_path / "in", written)), schema)
    [chunk] = planned.chunks
    [batch] = read(planned.files[0], chunk, schema, 10)
    _, rejects = validate(with_tag(batch, Tag(Key(0, 0, 0), 0, "in.csv", 2)), schema)
    assert [reject.reason for reject in rejects] == [
        "column 't' (the time): '2024-03-31 02:30': Europe/Berlin's clocks skip it",
        f"column 't' (the time): 'soon': {describe_times(schema)}",
    ]


def test_a_reject_names_the_format_that_is_allowed(tmp_path: Path) -> None:
    schema = with_keys(time_format="%d/%m/%Y")
    planned = plan(str(write_csv(tmp_path / "in", pa.array(["01/02/2024", "2024-01-01"]))), schema)
    [batch] = read(planned.files[0], planned.chunks[0], schema, 10)
    _, [reject] = validate(with_tag(batch, Tag(Key(0, 0, 0), 0, "in.csv", 2)), schema)
    assert reject.reason.startswith(
        "column 't' (the time): '2024-01-01': must be a time in time_format = \"%d/%m/%Y\""
    )


def test_a_time_of_1970_among_others_is_noted(tmp_path: Path) -> None:
    values = pa.array(["1970-01-01T00:00:00Z", *texts("%Y-%m-%dT%H:%M:%SZ").to_pylist()])
    planned = check_times(plan(str(write_csv(tmp_path / "in", values)), SCHEMA), SCHEMA)
    [note] = planned.messages
    assert "in.csv:2" in note
    assert "1 row has the time 1970-01-01T00:00:00Z" in note


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("missing", [0, -1])
def test_a_count_that_stands_for_a_missing_time_is_noted(
    tmp_path: Path, unit: str, missing: int
) -> None:
    counts = [missing, *(MICROS // {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]).tolist()]
    notes = notes_of(write_csv(tmp_path / "in", pa.array(counts)))
    assert any("in.csv:2: column 't' (the time): 1 row has the time 19" in note for note in notes)


@pytest.mark.parametrize("missing", [0, -1])
def test_a_missing_time_hides_no_second_unit(tmp_path: Path, missing: int) -> None:
    counts = [missing, *(MICROS // 1_000).tolist(), int(MICROS[0]) // 1_000_000]
    path = write_csv(tmp_path / "in", pa.array(counts))
    with pytest.raises(UserError, match="are there several units"):
        notes_of(path)


def test_text_of_any_of_arrows_types_is_read_as_times(tmp_path: Path) -> None:
    times = texts("%Y-%m-%dT%H:%M:%S.%fZ").to_pylist()
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        ones = pa.array([1.0] * len(times))
        table = pa.table({"t": pa.array(times, kind), "y": ones, "x": ones})
        pq.write_table(table, tmp_path / "in.parquet")
        assert times_of(tmp_path / "in.parquet") == MICROS.tolist()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_local_times_are_the_same_through_every_door(zone: str, tmp_path: Path) -> None:
    local = pd.date_range("2024-10-26", periods=240, freq="30min").append(
        pd.date_range("2024-11-02", periods=96, freq="30min")
    )
    utc = local.tz_localize(zone, ambiguous=np.ones(len(local), bool)).tz_convert("UTC")
    wanted = utc.as_unit("us").astype("int64").tolist()
    schema = with_keys(time_zone=zone)
    written = pa.array(local.strftime("%Y-%m-%d %H:%M:%S").tolist())
    for writer in WRITERS:
        assert times_of(writer(tmp_path / "text", written), schema) == wanted
    typed = pa.array(local.to_numpy().astype("M8[us]"), pa.timestamp("us"))
    assert times_of(write_parquet(tmp_path / "typed", typed), schema) == wanted
    aware = pa.array(wanted).cast(pa.timestamp("us", "UTC"))
    assert times_of(write_parquet(tmp_path / "aware", aware), schema) == wanted


def test_a_guess_goes_by_more_than_a_first_small_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK", 20)
    path = write_csv(tmp_path / "in", pa.array([45_292, *range(1_704_067_200, 1_704_067_220)]))
    [file] = plan(str(path), SCHEMA).files
    assert file.time_format == "s"


def test_a_guess_goes_by_the_values_alone() -> None:
    shuffled = np.random.default_rng(0).permutation(MICROS // 1000)
    for values in (pa.array(MICROS // 1000), pa.array(shuffled), pa.array(MICROS / 1000)):
        found = guess_format(values, "x")
        assert found is not None
        assert found.form == "ms"
    assert guess_format(pa.nulls(3), "x") is None
    assert guess_format(pa.array(["", None]), "x") is None
    assert guess_format(pa.array([np.nan]), "x") is None
    sentinel = [253_402_300_799, *(MICROS // 10**6).tolist()]
    found = guess_format(pa.array(sentinel), "x")
    assert found is not None
    assert (found.form, found.notes) == ("s", ())
    assert datetime.fromtimestamp(sentinel[1], timezone.utc).year == 2024


@pytest.mark.parametrize(
    ("name", "unit", "begin"),
    [
        (".NET's ticks", 10, "0001-01-01"),
        ("Windows' file times", 10, "1601-01-01"),
        ("microseconds since 1601 (WebKit's)", 1, "1601-01-01"),
    ],
)
@pytest.mark.parametrize("year", [1995, 2024, 2060])
def test_counts_since_another_year_are_refused_until_the_format_is_set(
    name: str, unit: int, begin: str, year: int, tmp_path: Path
) -> None:
    start = np.datetime64(f"{year}-01-01", "us") - np.datetime64(begin, "us")
    counts = (int(start.astype(np.int64)) + 3_600_000_000 * np.arange(30)) * unit
    path = write_csv(tmp_path / "in", pa.array(counts))
    with pytest.raises(UserError) as caught:
        times_of(path)
    message = str(caught.value)
    assert f"may be {name} ({year}-01-01T" in message and 'time_format = "ns"' in message
    subtract, divide = re.findall(r"subtract (\d+) and divide by (\d+)", message)[0]
    mended = (counts - int(subtract)) // int(divide)
    assert mended[0] == int(np.datetime64(f"{year}-01-01", "us").astype(np.int64))
    assert times_of(path, with_keys(time_format="ns")) == (counts // 1000).tolist()


def test_digits_with_a_year_of_two_are_dates_where_all_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in", pa.array([int(f"{at:%y%m%d%H%M%S}") for at in HOURS]))
    assert times_of(path) == WANTED
    assert 'time_format = "%y%m%d%H%M%S"' in notes_of(path)[0]
    counts = np.arange(60) * 1_000 + 978_307_200_000  # milliseconds of 2001
    assert times_of(write_csv(tmp_path / "ms", pa.array(counts))) == (counts * 1000).tolist()


@pytest.mark.parametrize("form", ["%d/%m/%y", "%d-%b-%y %H:%M", "%y.%m.%dT%H:%M:%S"])
def test_a_year_of_two_digits_is_refused_with_the_formats_that_it_may_have(
    form: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "in", pa.array(HOURS.strftime(form).tolist()))
    with pytest.raises(UserError, match="has a year of two digits: set time_format = ") as caught:
        times_of(path)
    assert f'"{form}"' in str(caught.value)
    days = pd.to_datetime(HOURS.strftime(form), format=form, utc=True).as_unit("us")
    assert times_of(path, with_keys(time_format=form)) == days.astype("int64").tolist()
