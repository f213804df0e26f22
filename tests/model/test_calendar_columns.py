"""Columns that follow the calendar are known as such, in any zone, and others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from model.calendar_columns import follows_calendar
from model.surprise import DAY

FIRST = 1_767_225_600_000_000


def times(every: int, number: int) -> pd.DatetimeIndex:
    return pd.to_datetime(FIRST + every * np.arange(number), unit="us", utc=True)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("field", ["hour", "weekday", "isoweekday", "day", "dayofyear", "month"])
def test_a_column_of_the_calendar_is_known(zone: str, field: str) -> None:
    every, number = (DAY, 150) if field in ("day", "dayofyear", "month") else (DAY // 24, 200)
    local = times(every, number).tz_convert(zone)
    plain = local.weekday + 1 if field == "isoweekday" else getattr(local, field)
    column = np.asarray(plain, np.float64)
    assert follows_calendar(times(every, number).asi8 // 1000, column)


@pytest.mark.parametrize("period", ["1h", "1D", "7D"])
def test_a_wave_of_the_clock_and_a_line_over_time_are_known(period: str) -> None:
    at = times(DAY // 144, 1_200)
    turn = 2 * np.pi * (at.asi8 / 1000) / (pd.Timedelta(period).value / 1000)
    micros = at.asi8 // 1000
    assert follows_calendar(micros, np.sin(turn + 1))
    assert follows_calendar(micros, at.asi8 / 1e9)


@pytest.mark.parametrize("seed", range(5))
def test_other_columns_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = times(DAY // 24, 200).asi8 // 1000
    assert not follows_calendar(at, rng.normal(size=200))
    assert not follows_calendar(at, np.cumsum(rng.normal(size=200)))
    warm = 10 * np.sin(2 * np.pi * at / DAY) + 2 * rng.normal(size=200)
    assert not follows_calendar(at, warm)
    assert not follows_calendar(at, np.ones(200))


def test_an_hour_that_jumps_out_of_the_clock_is_news() -> None:
    at = times(DAY // 24, 200)
    hour = np.asarray(at.hour, np.float64)
    hour[-2:] += 100
    assert not follows_calendar(at.asi8 // 1000, hour)
