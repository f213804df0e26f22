"""Calendar features: what the clocks and the calendar of a time zone show at a time.

They are computed where rows are validated (``model.validation``), and where features are given
as columns (``Artefact.predict_columns``), so whatever reads a row gives them the same values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.features import PERIODS, CalendarFeature
from model.zones import find_zone, to_local

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MINUTE = 60_000_000
_DAY = 1440 * _MINUTE
_THURSDAY = 3
"""The weekday of 1970-01-01, Monday being 0."""
_MOST = 1441
"""Values that a part has, at most."""


def derive(times: pa.Array, features: Sequence[CalendarFeature], zone: str | None) -> list[Floats]:
    """Calendar features of times.

    Hours count from 0 to 23, minutes of a day from 0 to 1439, weekdays from 0 (Monday) to 6, months
    from 1 to 12 and days of a year from 1 to 366, as pandas' ``dt`` has them. A sine or cosine is
    that of 2 pi value / ``PERIODS``.

    Args:
        times: timestamp[us, UTC].
        features: of one source.
        zone: the IANA name of the zone whose clocks and calendar count; None is UTC.

    Returns:
        A float64 array of shape (rows,) for each feature; NaN where the time is null.

    Example:
        >>> from model.features import calendar_features
        >>> noon = pa.array([1_721_044_800], pa.timestamp("s", "UTC")).cast(
        ...     pa.timestamp("us", "UTC"))  # 2024-07-15T12:00Z, a Monday
        >>> features = calendar_features("t", ("hour", "weekday:cyclic"))
        >>> [values.tolist() for values in derive(noon, features, "America/Sao_Paulo")]
        [[9.0], [0.0], [1.0]]
    """
    null = times.is_null().to_numpy(zero_copy_only=False)
    micros = times.view(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    found = find_zone(zone) if zone else None
    local = micros if found is None else to_local(micros, found)
    parts = {feature.part: part_of(local, feature.part) for feature in features}
    columns = []
    for feature in features:
        values = parts[feature.part]
        if feature.wave:
            column = _waves(feature.part, feature.wave)[values]
        else:
            column = values.astype(np.float64)
        column[null] = math.nan
        columns.append(column)
    return columns


def part_of(local: Ints, part: str) -> Ints:
    """A part of the calendar at local times, which are microseconds from 1970-01-01T00:00.

    Example:
        >>> part_of(np.array([-1]), "day_of_year").tolist()  # the end of 1969
        [365]
    """
    days = local // _DAY
    if part == "weekday":
        return (days + _THURSDAY) % 7
    if part in ("hour", "minute_of_day"):
        minutes = (local - days * _DAY) // _MINUTE
        return minutes if part == "minute_of_day" else minutes // 60
    dates = days.view("M8[D]")
    if part == "month":
        return dates.astype("M8[M]").view(np.int64) % 12 + 1
    return days - dates.astype("M8[Y]").astype("M8[D]").view(np.int64) + 1


@lru_cache(maxsize=16)
def _waves(part: str, wave: str) -> Floats:
    """The sine or cosine of each value of a part: a table, since numpy's differ by processor."""
    function = math.sin if wave == "sin" else math.cos
    return np.array([function(math.tau * value / PERIODS[part]) for value in range(_MOST)])
