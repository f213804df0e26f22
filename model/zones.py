"""Local times of a time zone to UTC, and back, whole columns at once.

A local time that a clock change repeats is taken as its first occurrence (``fold=0``, as Python,
Java and Spark take it). One that a clock change skips has never been: it is not readable.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_HOUR = 3_600_000_000
_EPOCH = datetime(1970, 1, 1)
_UTC_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_LEAST = (datetime(1, 1, 2) - _EPOCH) // _MICROSECOND
_GREATEST = (datetime(9999, 12, 31) - _EPOCH) // _MICROSECOND


@cache
def find_zone(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name; None if there is none.

    Example:
        >>> find_zone("America/Sao_Paulo"), find_zone("Mars/Olympus")
        (zoneinfo.ZoneInfo(key='America/Sao_Paulo'), None)
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_utc(local: Ints, zone: ZoneInfo) -> tuple[Ints, Mask]:
    """Local times in UTC.

    Args:
        local: microseconds from 1970-01-01T00:00 on the zone's clocks, of the years 1 to 9999.
        zone: whose clocks.

    Returns:
        Microseconds since the epoch, and a mask of the times that have been.

    Example:
        >>> berlin = find_zone("Europe/Berlin")
        >>> march = int(np.datetime64("2024-03-31T02:30", "us").astype(int))  # skipped
        >>> times, real = to_utc(np.array([march - _HOUR, march]), berlin)
        >>> str(times[0].astype("M8[us]")), real.tolist()
        ('2024-03-31T00:30:00.000000', [True, False])
    """
    hours, place = np.unique(local // _HOUR, return_inverse=True)
    starts = (hours * _HOUR).tolist()
    first = np.array([_offset(start, zone, 0) for start in starts], np.int64)
    last = np.array([_offset(start + _HOUR - 1, zone, 1) for start in starts], np.int64)
    times = local - first[place]
    real = np.ones(len(local), np.bool_)
    for row in np.flatnonzero((first != last)[place]).tolist():  # the clocks change in its hour
        times[row] = local[row] - _offset(int(local[row]), zone, 0)
        real[row] = _local(int(times[row]), zone) == local[row]
    return times, real


def to_local(times: Ints, zone: ZoneInfo) -> Ints:
    """Times on a zone's clocks.

    Args:
        times: microseconds since the epoch, of the years 1 to 9999.
        zone: whose clocks.

    Returns:
        Microseconds from 1970-01-01T00:00 on these clocks.

    Example:
        >>> berlin = find_zone("Europe/Berlin")
        >>> times = np.array(["2024-03-31T00:59", "2024-03-31T01:00"], "M8[us]").astype(np.int64)
        >>> to_local(times, berlin).astype("M8[us]").astype("M8[m]").astype(str).tolist()
        ['2024-03-31T01:59', '2024-03-31T03:00']
    """
    hours, place = np.unique(times // _HOUR, return_inverse=True)
    starts = (hours * _HOUR).tolist()
    first = np.array([_ahead(start, zone) for start in starts], np.int64)
    last = np.array([_ahead(start + _HOUR - 1, zone) for start in starts], np.int64)
    local = times + first[place]
    for row in np.flatnonzero((first != last)[place]).tolist():  # the clocks change in its hour
        local[row] = times[row] + _ahead(int(times[row]), zone)
    return local


def standard_offset(name: str, year: int) -> int:
    """How far a zone's clocks are ahead of UTC in a year, without daylight saving; microseconds.

    It is the smaller of the offsets of the first of January and of July.

    Example:
        >>> standard_offset("America/New_York", 2026) // _HOUR
        -5
        >>> standard_offset("Australia/Adelaide", 2026) / _HOUR
        9.5
    """
    zone = find_zone(name)
    assert zone is not None, name
    days = (datetime(year, month, 1) - _EPOCH for month in (1, 7))
    return min(_offset(day // _MICROSECOND, zone, 0) for day in days)


def _offset(local: int, zone: ZoneInfo, fold: int) -> int:
    """How far the zone's clocks are ahead of UTC at a local time, microseconds."""
    moment = _EPOCH + timedelta(microseconds=local)
    offset = moment.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND


def _ahead(time: int, zone: ZoneInfo) -> int:
    """How far the zone's clocks are ahead of UTC at a time, microseconds."""
    # A day from the ends of what datetime holds: local times may lie beyond them.
    time = min(max(time, _LEAST), _GREATEST)
    offset = (_UTC_EPOCH + timedelta(microseconds=time)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _MICROSECOND


def _local(time: int, zone: ZoneInfo) -> int:
    moment = (_EPOCH + timedelta(microseconds=time)).replace(tzinfo=timezone.utc)
    return (moment.astimezone(zone).replace(tzinfo=None) - _EPOCH) // _MICROSECOND
