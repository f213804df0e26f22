"""A zone's standard offset, beside pandas."""

from __future__ import annotations

import pandas as pd
import pytest

from model.asof import Cadence
from model.batch import SECOND
from model.zones import standard_offset

HOUR = 3_600 * SECOND
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        *[("America/New_York", -5), ("Asia/Kolkata", 5.5), ("Australia/Lord_Howe", 10.5)],
        *[("Europe/Dublin", 0), ("Pacific/Apia", 13), ("America/Sao_Paulo", -3), ("UTC", 0)],
    ],
)
def test_days_without_daylight_saving_begin_at_the_zones_winter_midnight(
    zone: str, hours: float
) -> None:
    assert standard_offset(zone, 2026) == hours * HOUR
    cadence = Cadence(window=DAY, every=DAY, latency=DAY, offset=-standard_offset(zone, 2026) % DAY)
    winter = "2026-01-15" if zone not in ("Australia/Lord_Howe",) else "2026-07-15"
    noon = pd.Timestamp(f"{winter}T12:34:56", tz=zone)
    midnight = noon.normalize()
    assert cadence.refresh_of(noon.value // 1000) == midnight.value // 1000
