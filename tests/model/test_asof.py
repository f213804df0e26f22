"""The as-of rule, and the names of times, against a search by hand and the datetime module."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.asof import (
    EPOCH,
    Cadence,
    first_served,
    floor_to,
    format_iso,
    format_name,
    newest_window_end,
    parse_name,
    to_datetime,
)
from model.batch import SECOND

FIRST = (datetime(1, 1, 1, tzinfo=timezone.utc) - EPOCH) // timedelta(seconds=1)
LAST = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc) - EPOCH) // timedelta(seconds=1)
seconds = st.integers(FIRST, LAST)


@given(time=st.integers(-(10**17), 10**17), step=st.integers(1, 10**11))
@settings(max_examples=50, deadline=None)
def test_floor_is_the_last_multiple_not_after_a_time_also_before_1970(time: int, step: int) -> None:
    start = floor_to(time, step)
    assert start % step == 0
    assert start <= time < start + step


@given(
    every=st.integers(1, 1000), refresh=st.integers(-50, 50), lag=st.integers(1, 5), data=st.data()
)
@settings(max_examples=50, deadline=None)
def test_a_row_takes_the_newest_model_whose_window_had_ended_a_lag_before_its_refresh(
    every: int, refresh: int, lag: int, data: st.DataObject
) -> None:
    start = refresh * every
    time = start + data.draw(st.integers(0, every - 1))
    ends = [k * every for k in range(refresh - 10, refresh + 10)]
    # By hand: a window ends, then lag - 1 whole refreshes pass, then its model may serve.
    allowed = [end for end in ends if end + (lag - 1) * every <= floor_to(time, every)]
    assert newest_window_end(floor_to(time, every), every, lag) == max(allowed)
    assert first_served(max(allowed), every, lag) == start


def test_with_lag_1_the_window_that_ends_when_a_refresh_begins_serves_it() -> None:
    assert first_served(window_end=60, every=60, lag=1) == 60
    assert newest_window_end(refresh=60, every=60, lag=1) == 60
    assert newest_window_end(refresh=60, every=60, lag=3) == -60


@given(seconds)
@settings(max_examples=50, deadline=None)
def test_a_time_is_read_back_from_its_name(second: int) -> None:
    name = format_name(second * SECOND)
    assert len(name) == 16
    assert parse_name(name) == second * SECOND


@given(seconds, seconds)
@settings(max_examples=50, deadline=None)
def test_names_sort_as_their_times_do(a: int, b: int) -> None:
    assert (format_name(a * SECOND) < format_name(b * SECOND)) == (a < b)


@given(st.integers(FIRST * SECOND, LAST * SECOND))
@settings(max_examples=50, deadline=None)
def test_iso_is_read_back_by_the_datetime_module_to_the_microsecond(time: int) -> None:
    result = format_iso(time)
    assert result.endswith("Z")
    back = datetime.fromisoformat(result.replace("Z", "+00:00"))
    assert back == to_datetime(time) == EPOCH + timedelta(microseconds=time)


def test_the_names_of_the_contract() -> None:
    time = int(datetime(2026, 11, 23, 7, 1, tzinfo=timezone.utc).timestamp()) * SECOND
    assert (format_name(time), format_iso(time)) == ("20261123T070100Z", "2026-11-23T07:01:00Z")
    assert format_iso(time + 1) == "2026-11-23T07:01:00.000001Z"


@pytest.mark.parametrize(
    "name",
    [
        *("", "latest", "20261123", "20261123T0701Z", "20261123T070100", "20261323T070100Z"),
        *("20260230T000000Z", "20261123T250000Z", "20261123T070160Z", "20261123T070100Z/"),
        *("20261123t070100z", "202611 3T070100Z", "\u0662\u0660261123T070100Z", "2026112T7070100Z"),
        *("../20261123T070100Z", " 20261123T070100Z", "20261123T070100Z\n", "2026-1-3T070100Z"),
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        parse_name(name)


def test_an_edge_beyond_all_years_is_the_last_moment() -> None:
    last = datetime(9999, 12, 31, tzinfo=timezone.utc)
    beyond = (last - EPOCH) // timedelta(microseconds=1) + 9 * 86400 * SECOND
    assert (
        format_iso(beyond) == "9999-12-31T23:59:59.999999Z"
        and format_name(beyond) == "99991231T235959Z"
    )


def test_the_serve_windows_of_a_refresh_divide_it() -> None:
    cadence = Cadence(window=120, every=60, latency=20)
    assert list(cadence.serve_windows(-60)) == [-60, -40, -20]
