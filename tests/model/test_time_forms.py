"""Forms of times: epoch numbers, dates as digits, local times, and text beside ISO 8601."""

from __future__ import annotations

import email.utils
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, TIME
from model.rows import from_dicts
from model.schema import Schema
from model.times import check_form, parse_times, read_times
from model.zones import find_zone, to_utc

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = ("America/Sao_Paulo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def read(values: pa.Array, form: str | None = "auto", zone: str | None = None) -> list[str | None]:
    """Times as ISO text in UTC, without the offset."""
    times = parse_times(values, form, zone).cast(pa.int64()).to_pylist()
    return [
        None if time is None else (EPOCH + timedelta(microseconds=time)).isoformat()[:-6]
        for time in times
    ]


def moments(least: datetime, most: datetime) -> st.SearchStrategy[datetime]:
    return st.datetimes(least, most, timezones=st.just(timezone.utc))


TODAY = moments(datetime(1985, 1, 1), datetime(2105, 1, 1))


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=40, deadline=None)
@given(moments=st.lists(TODAY, min_size=1, max_size=5))
def test_a_count_of_any_unit_is_known_by_its_size(unit: str, moments: list[datetime]) -> None:
    counts = [(each - EPOCH) // timedelta(microseconds=1) * UNITS[unit] // 10**6
              for each in moments]  # fmt: skip
    wanted = pd.to_datetime(pd.Series(counts), unit=unit).astype("datetime64[us]")
    wanted = wanted.astype("int64").tolist()
    for values in (pa.array(counts), pa.array([str(count) for count in counts])):
        for form in ("auto", unit):
            assert parse_times(values, form).cast(pa.int64()).to_pylist() == wanted
        beside = pa.concat_arrays([values, pa.nulls(1, values.type)])
        assert parse_times(beside.dictionary_encode()).type == parse_times(values).type
        assert parse_times(beside, "auto").cast(pa.int64()).to_pylist() == [*wanted, None]
    mixed = pa.array([*(str(count) for count in counts), "2024-01-01", "x"])
    assert parse_times(mixed, "auto").cast(pa.int64()).to_pylist()[: len(counts)] == wanted


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (1_704_067_200, "2024-01-01T00:00:00"),
        (1_704_067_200_500, "2024-01-01T00:00:00.500000"),
        (1_704_067_200_000_001, "2024-01-01T00:00:00.000001"),
        (1_704_067_200_000_001_999, "2024-01-01T00:00:00.000001"),
        (253_402_300_799, "9999-12-31T23:59:59"),
        (0, "1970-01-01T00:00:00"),
        (-1, "1969-12-31T23:59:59"),
        (20_240_229, "2024-02-29T00:00:00"),
        (20_240_230, None),
    ],
)
def test_a_number_is_the_same_time_whatever_type_it_has(count: int, wanted: str | None) -> None:
    assert read(pa.array([count])) == [wanted]
    assert read(pa.array([str(count)])) == [wanted]
    assert read(pa.array([f" {count} ", None, "2024-01-01"]))[0] == wanted
    assert read(pa.array([Decimal(count)]))[0] == read(pa.array([float(count)]))[0]
    if abs(count) < 2**53:
        assert read(pa.array([float(count), None])) == [wanted, None]
        assert read(pa.array([f"{count}.0"])) == [wanted]


def test_java_and_javascript_numbers_as_text_are_milliseconds() -> None:
    assert read(pa.array(["1.704067200000E12"])) == ["2024-01-01T00:00:00"]
    assert read(pa.array(["1704067200500"])) == ["2024-01-01T00:00:00.500000"]


@pytest.mark.parametrize(
    ("serial", "wanted"),
    [
        (45_292, "2024-01-01T00:00:00"),
        (45_292.2083333333, "2024-01-01T05:00:00"),
        (25_569, "1970-01-01T00:00:00"),
        (61, "1900-03-01T00:00:00"),
        (45_292.99999, "2024-01-01T23:59:59.136000"),
        (0.5, None),
        (3e6, None),
    ],
)
def test_excels_days_are_counted_from_1899(serial: float, wanted: str | None) -> None:
    for values in (pa.array([serial]), pa.array([str(serial)])):
        assert read(values, "excel") == [wanted]
    local = read(pa.array([serial]), "excel", "Asia/Tokyo")[0]
    if wanted:
        here = datetime.fromisoformat(wanted) - timedelta(hours=9)
        assert local is not None
        assert datetime.fromisoformat(local) == here


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("20240131T050607Z", "2024-01-31T05:06:07"),
        ("20240131T0506", "2024-01-31T05:06:00"),
        ("20240131T05", "2024-01-31T05:00:00"),
        ("20240131T050607.25+0200", "2024-01-31T03:06:07.250000"),
        ("20240131 05:06:07", "2024-01-31T05:06:07"),
        ("2024-03", "2024-03-01T00:00:00"),
        ("2024-W05-3", "2024-01-31T00:00:00"),
        ("2024W053T05:00", "2024-01-31T05:00:00"),
        ("2020-W53-7", "2021-01-03T00:00:00"),
        ("2024-366", "2024-12-31T00:00:00"),
        ("2013/01/02", "2013-01-02T00:00:00"),
        ("2013/1/2 5:00", "2013-01-02T05:00:00"),
        ("2013.01.02 05:00:00", "2013-01-02T05:00:00"),
        ("2013-01-02 5:00 PM", "2013-01-02T17:00:00"),
        ("2013-01-02 12:30:00 am", "2013-01-02T00:30:00"),
        ("2013-01-02 05:00:00 -0300", "2013-01-02T08:00:00"),
        ("2013-01-02 05:00:00 GMT", "2013-01-02T05:00:00"),
        ("2024-01-01T00:00:00-03:00[America/Sao_Paulo]", "2024-01-01T03:00:00"),
        ("2024-01-01T00:00:00[America/Sao_Paulo]", "2024-01-01T03:00:00"),
        ("2024-07-01 00:00:00 Europe/Berlin", "2024-06-30T22:00:00"),
        ("Mon, 01 Jan 2024 05:00:00 GMT", "2024-01-01T05:00:00"),
        ("1 Jan 2024 05:00 EST", "2024-01-01T10:00:00"),
        ("Mon Jan  1 05:00:00 2024", "2024-01-01T05:00:00"),
        ("Mon Jan 1 05:00:00 UTC 2024", "2024-01-01T05:00:00"),
        ("Mon Jan 01 2024 05:00:00 GMT-0300 (Brasilia Standard Time)", "2024-01-01T08:00:00"),
        ("01/Jan/2024:05:00:00 +0100", "2024-01-01T04:00:00"),
        ("01JAN2024:05:00:00", "2024-01-01T05:00:00"),
        ("1-Feb-2024", "2024-02-01T00:00:00"),
        ("Feb 1, 2024 5:00 PM", "2024-02-01T17:00:00"),
        ("September 1st, 2024", "2024-09-01T00:00:00"),
    ],
)
def test_a_form_that_can_be_meant_in_one_way_only_is_read(text: str, wanted: str) -> None:
    assert read(pa.array([text])) == [wanted]
    assert read(pa.array([f" {text} "])) == [wanted]
    assert read(pa.array(["2024-01-01", text, "x", None])) == [
        "2024-01-01T00:00:00", wanted, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *("20241301T00", "20240101T2500", "2021-W53", "2023-366", "2024-13", "2013/02/30"),
        *("2013-01-02 13:00 PM", "2013-01-02 0:30 AM", "1 Foo 2024", "2013-01-02 05:00 XYZ"),
        *("2024-01-01T00:00:00[Mars/Olympus]", "2024-01-01 05:00:00 +24:00", "01/02/2013"),
        *("2024-03-10T02:30:00[America/New_York]",),
    ],
)
def test_a_text_that_is_no_time_is_null(text: str) -> None:
    assert read(pa.array([text])) == [None]
    assert read(pa.array(["Feb 1, 2024", text])) == ["2024-02-01T00:00:00", None]


@settings(max_examples=40, deadline=None)
@given(st.lists(TODAY, min_size=1, max_size=4))
def test_what_mail_and_http_write_is_read(moments: list[datetime]) -> None:
    texts = [email.utils.format_datetime(each, usegmt=True) for each in moments]
    wanted = [each.replace(microsecond=0, tzinfo=None).isoformat() for each in moments]
    assert read(pa.array(texts)) == wanted


@pytest.mark.parametrize(
    "form",
    [
        *(
            "%d/%m/%Y %H:%M:%S.%f",
            "%m-%d-%Y %I:%M:%S.%f %p",
            "%Y%m%d%H%M%S%f",
            "%y%m%d %H:%M:%S.%f",
        ),
        *("%d %B %Y, %H:%M:%S.%f", "%a %d %b %Y %H:%M:%S.%f%z", "%Y-%j %H:%M:%S.%f"),
        *("%G-W%V-%u %H:%M:%S.%f", "dated %Y.%m.%d (%H|%M|%S|%f) 100%%"),
    ],
)
@settings(max_examples=25, deadline=None)
@given(moments=st.lists(moments(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1,
                        max_size=3))  # fmt: skip
def test_a_format_is_read_as_strptime_reads_it(form: str, moments: list[datetime]) -> None:
    texts = [each.strftime(form) for each in moments]
    wanted = [datetime.strptime(text, form).replace(tzinfo=None).isoformat() for text in texts]
    assert read(pa.array(texts), form) == wanted
    assert read(pa.array([*texts, "2024-01-01T00:00:00Z"]), form) == [*wanted, None]


def test_digits_of_numbers_are_read_by_a_format() -> None:
    assert read(pa.array([20_240_131, None]), "%Y%m%d") == ["2024-01-31T00:00:00", None]
    assert read(pa.array([20_240_131.0, 0.5]), "%Y%m%d") == ["2024-01-31T00:00:00", None]
    assert read(pa.array([1_022_013]), "%d%m%Y") == ["2013-02-01T00:00:00"]
    assert read(pa.array([2024]), "%Y") == ["2024-01-01T00:00:00"]
    assert read(pa.array([20_240_131, 2024, 7]), "iso8601") == [
        "2024-01-31T00:00:00", "2024-01-01T00:00:00", None,
    ]  # fmt: skip
    assert read(pa.array(["20240131", "1704067200000"]), "iso8601")[1] is None


def test_day_and_month_are_in_the_order_that_is_named() -> None:
    texts = pa.array(["01/02/2013 05:00", "1.2.2013", "01-02-2013 5:00 PM", "31/12/2013"])
    assert read(texts, "dayfirst") == [
        "2013-02-01T05:00:00", "2013-02-01T00:00:00", "2013-02-01T17:00:00", "2013-12-31T00:00:00",
    ]  # fmt: skip
    assert read(texts, "monthfirst") == [
        "2013-01-02T05:00:00", "2013-01-02T00:00:00", "2013-01-02T17:00:00", None,
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["%Q", "%d/%m", "%Y %Y", "day", "auto", "%"])
def test_a_format_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"directive|year|twice|without"):
        check_form(form)
    with pytest.raises(ValueError, match='must be "s", "ms", "us"'):
        schema(time_format=form)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="must be an IANA name"):
        schema(time_zone="Mars/Olympus")


def schema(**keys: str) -> Schema:
    plain = {"name": "s", "time": "t", "target": "y", "features": {"numeric": ["x"]}}
    return Schema.model_validate(plain | keys)


def test_a_schema_without_the_keys_has_the_json_that_it_had() -> None:
    assert "time_" not in schema().model_dump_json()
    assert schema(time_zone="Europe/Berlin").model_dump()["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=60, deadline=None)
@given(
    local=st.lists(
        st.datetimes(datetime(1880, 1, 1), datetime(2040, 1, 1))
        | st.datetimes(datetime(2024, 10, 1), datetime(2024, 11, 10)),
        min_size=1,
    )
)
def test_local_times_are_those_of_zoneinfo(zone: str, local: list[datetime]) -> None:
    texts = pa.array([each.isoformat() for each in local])
    info = ZoneInfo(zone)
    wanted = []
    for each in local:
        utc = each.replace(tzinfo=info, fold=0).astimezone(timezone.utc)
        real = utc.astimezone(info).replace(tzinfo=None) == each
        wanted.append(utc.replace(tzinfo=None).isoformat() if real else None)
    assert read(texts, zone=zone) == wanted
    assert read(pa.array(local, pa.timestamp("us")), zone=zone) == wanted


def test_hours_of_a_clock_change_are_those_that_pandas_localizes() -> None:
    local = pd.date_range("2024-03-30", "2024-11-05", freq="15min").to_series()
    zone = "Europe/Berlin"
    utc = local.dt.tz_localize(zone, ambiguous=np.ones(len(local), bool), nonexistent="NaT")
    wanted = [None if pd.isna(each) else each.isoformat()[:-6]
              for each in utc.dt.tz_convert("UTC")]  # fmt: skip
    assert wanted.count(None) == 4  # the hour that is skipped
    assert read(pa.array(local.dt.strftime("%Y-%m-%d %H:%M:%S")), zone=zone) == wanted
    assert read(pa.array(local, pa.timestamp("ns")), zone=zone) == wanted


def test_a_zone_changes_only_times_that_do_not_name_their_own() -> None:
    zone = "America/Sao_Paulo"
    texts = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01", "1704067200", "20240101"]
    hours = ["00", "03", "03", "00", "03"]
    wanted = [f"2024-01-01T{hour}:00:00" for hour in hours]
    assert [read(pa.array([text]), zone=zone)[0] for text in texts] == wanted
    assert read(pa.array(texts), zone=zone) == wanted
    aware = pa.array([datetime(2024, 1, 1)], pa.timestamp("us", "Asia/Tokyo"))
    assert read(aware, zone=zone) == ["2024-01-01T00:00:00"]
    assert read(pa.array([date(2024, 1, 1)]), zone=zone) == ["2024-01-01T03:00:00"]
    assert read(pa.array(["01/02/2024"]), "%d/%m/%Y", zone) == ["2024-02-01T03:00:00"]


@pytest.mark.parametrize("zone", [None, "America/Sao_Paulo"])
@pytest.mark.parametrize("form", [None, "%d/%m/%Y"])
def test_rows_hold_times_as_files_do(zone: str | None, form: str | None) -> None:
    keys = {key: value for key, value in (("time_zone", zone), ("time_format", form)) if value}
    written = "01/02/2024" if form else "2024-02-01"
    rows = [datetime(2024, 2, 1), datetime(2024, 2, 1, tzinfo=timezone.utc), date(2024, 2, 1),
            written]  # fmt: skip
    here = schema(**keys)
    found = []
    for value in rows:
        batch = from_dicts([{"t": value, "y": 1, "x": 1}], np.array([0]), here)
        found.append(str(batch.column(TIME)[0]))
        assert batch.column(ID).to_pylist() == [0]
    hour = "03" if zone else "00"
    assert found == [f"2024-02-01 {h}:00:00+00:00" for h in (hour, "00", hour, hour)]
    assert read_times(pa.array([written]), here)[0].as_py().hour == int(hour)


def test_a_day_that_a_zone_skipped_is_none() -> None:
    samoa = find_zone("Pacific/Apia")
    assert samoa is not None
    noon = np.array(["2011-12-29T12:00", "2011-12-30T12:00", "2011-12-31T12:00"], "M8[us]")
    times, real = to_utc(noon.astype(np.int64), samoa)
    assert real.tolist() == [True, False, True]
    assert [str(time.astype("M8[us]"))[:16] for time in times[real]] == [
        "2011-12-29T22:00", "2011-12-30T22:00",
    ]  # fmt: skip
