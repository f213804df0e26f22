"""Event times: against datetime.fromisoformat and pandas on the same values."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import TIME_TYPE
from model.times import is_time, parse_times

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
YEARS = {"min_value": datetime(1, 1, 2), "max_value": datetime(9999, 12, 30)}


def micros(values: pa.Array) -> list[int | None]:
    times = parse_times(values)
    assert times.type == TIME_TYPE
    assert len(times) == len(values)
    return list(times.cast(pa.int64()).to_pylist())


def expected(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (aware - EPOCH) // timedelta(microseconds=1)


def zones() -> st.SearchStrategy[timezone]:
    return st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.datetimes(**YEARS, timezones=st.one_of(st.none(), zones())), min_size=1),
    st.sampled_from("T "),
)
def test_iso_text_is_what_fromisoformat_reads(moments: list[datetime], between: str) -> None:
    texts = [moment.isoformat(between) for moment in moments]
    assert micros(pa.array(texts)) == [expected(datetime.fromisoformat(t)) for t in texts]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.text(max_size=5),
            st.from_regex(r"\s?2[0-9]{3}-[01][0-9]-[0-3][0-9]", fullmatch=True),
            st.from_regex(
                r"20[0-9]{2}-1[0-9]-[0-3][0-9][T ][0-2][0-9](:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,8})?"
                r")?)?(Z| ?UTC|[+-][0-2][0-9](:?[0-6][0-9])?)?",
                fullmatch=True,
            ),
            st.from_regex(r"[+-]?[0-9]{0,12}\.?[0-9]{0,7}(e[0-9])?", fullmatch=True),
        ),
        max_size=30,
    )
)
def test_a_value_is_read_the_same_whatever_stands_beside_it(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    alone = [micros(pa.array([text], pa.string()))[0] for text in texts]
    beside = [micros(pa.array([text, "x"], pa.string()))[0] for text in texts]
    assert micros(column) == alone == beside
    assert micros(column.cast(pa.large_string())) == alone
    assert micros(column.dictionary_encode()) == alone


def test_one_bad_value_in_a_long_column_costs_only_itself() -> None:
    start = datetime(2024, 2, 28, 23, 59, 30)
    moments = [start + timedelta(seconds=i) for i in range(1000)]
    texts: list[str | None] = [moment.isoformat() for moment in moments]
    want: list[int | None] = [expected(moment) for moment in moments]
    for row, text in ((0, "soon"), (500, None), (999, "2024-02-30")):
        texts[row], want[row] = text, None
    assert micros(pa.array(texts)) == want


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-03-01", "2024-03-01T00:00:00+00:00"),
        ("  2024-03-01T05:06:07Z ", "2024-03-01T05:06:07+00:00"),
        ("2024-03-01 05", "2024-03-01T05:00:00+00:00"),
        ("2024-03-01t05:06z", "2024-03-01T05:06:00+00:00"),
        ("2024-03-01T05:06:07+02", "2024-03-01T03:06:07+00:00"),
        ("2024-03-01T05:06:07+0230", "2024-03-01T02:36:07+00:00"),
        ("2024-03-01T05:06:07-02:30", "2024-03-01T07:36:07+00:00"),
        ("2024-03-01 05:06:07 +0200", "2024-03-01T03:06:07+00:00"),
        ("2024-03-01 05:06:07 UTC", "2024-03-01T05:06:07+00:00"),
        ("2024-03-01T05:06:07.5", "2024-03-01T05:06:07.500000+00:00"),
        ("2024-03-01T05:06:07.1234569Z", "2024-03-01T05:06:07.123456+00:00"),
        ("2024-03-01T05:06:07,25", "2024-03-01T05:06:07.250000+00:00"),
        ("1700000000.5", "2023-11-14T22:13:20.500000+00:00"),
        (" -1 ", "1969-12-31T23:59:59+00:00"),
        ("1.7e9", "2023-11-14T22:13:20+00:00"),
        ("20240301", "1970-08-23T06:18:21+00:00"),
    ],
)
def test_a_form_of_text_is_read(text: str, same: str) -> None:
    want = expected(datetime.fromisoformat(same))
    assert micros(pa.array([text])) == [want]
    assert micros(pa.array([text, "2024-13-01"])) == [want, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "2024-13-01",
        "2024-02-30",
        "2023-02-29T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2024-03-01T24:00:00",
        "2024-03-01T05:60:00",
        "2024-03-01T05:06:07+24:00",
        "2024-03-01T05:06:07+02:60",
        "2024-03-01T05:06:07.",
        "2024-03-01Z",
        "2024-3-1",
        "01/03/2024",
        "0000-12-31",
        "0001-01-01T00:00+00:01",
        "9999-12-31T23:59-00:01",
        "10000-01-01",
        "1e300",
        "nan",
        "inf",
        "0x10",
        "\u0662\u0660\u0662\u0664-\u0660\u0663-\u0660\u0661",
    ],
)
def test_an_unreadable_text_is_null(text: str) -> None:
    assert micros(pa.array([text])) == [None]
    assert micros(pa.array([text, "2024-03-01"])) == [None, 1_709_251_200_000_000]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(9 * 10**18), 9 * 10**18) | st.none(), min_size=1))
def test_nanosecond_timestamps_are_floored_as_pandas_does(nanos: list[int | None]) -> None:
    stamps = pd.Series(nanos, dtype="Int64").astype("datetime64[ns]")
    want = [None if pd.isna(s) else s.as_unit("us").value // 1000 for s in stamps.dt.floor("us")]
    assert micros(pa.array(nanos, pa.timestamp("ns", tz="America/Sao_Paulo"))) == want


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_timestamps_outside_the_years_1_to_9999_are_null(unit: str) -> None:
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    least, last = (expected(datetime(*day)) for day in ((1, 1, 1), (9999, 12, 31)))
    counts = [least // scale, least // scale - 1, last // scale, last // scale * 2, None, 2**63 - 1]
    want = [least, None, last, None, None, None]
    assert micros(pa.array(counts, pa.int64()).cast(pa.timestamp(unit))) == want


def test_dates_are_their_midnight() -> None:
    days = [date(2024, 2, 29), None, date(1, 1, 1), date(9999, 12, 31)]
    want = [None if d is None else expected(datetime(d.year, d.month, d.day)) for d in days]
    assert micros(pa.array(days, pa.date32())) == want
    assert micros(pa.array(days, pa.date64())) == want


def test_numbers_are_epoch_seconds() -> None:
    assert micros(pa.array([1_700_000_000, -1, None, 2**62])) == [17 * 10**14, -(10**6), None, None]
    assert micros(pa.array([7], pa.int8())) == [7_000_000]
    assert micros(pa.array([7, 2**64 - 1], pa.uint64())) == [7_000_000, None]
    assert micros(pa.array([253_402_300_799])) == [253_402_300_799_000_000]
    floats = [1_700_000_000.123457, -0.5, np.nan, np.inf, None, 1e300]
    want = [1_700_000_000_123_457, -500_000, None, None, None, None]
    assert micros(pa.array(floats)) == want
    assert micros(pa.array([0.5, 2.0], pa.float32())) == [500_000, 2_000_000]
    assert micros(pa.array([Decimal("1700000000.25")])) == [1_700_000_000_250_000]


def test_a_column_without_values_has_no_times() -> None:
    for kind in (pa.null(), pa.string(), pa.int64(), pa.float64(), pa.timestamp("ns"), TIME_TYPE):
        assert micros(pa.nulls(2, kind)) == [None, None]
        assert micros(pa.nulls(0, kind)) == []


@pytest.mark.parametrize(
    "kind",
    [pa.bool_(), pa.binary(), pa.list_(pa.int64()), pa.time64("us"), pa.duration("s")],
    ids=str,
)
def test_a_type_that_holds_no_times_is_refused(kind: pa.DataType) -> None:
    assert not is_time(kind)
    assert not is_time(pa.dictionary(pa.int8(), kind))
    with pytest.raises(TypeError, match="ISO 8601"):
        parse_times(pa.nulls(1, kind))
