"""Times as numbers: what a number counts, and since when.

``s``, ``ms``, ``us`` and ``ns`` count since 1970-01-01T00:00Z; ``excel`` counts days, and their
fractions, on the clocks of a time zone, 45292 being 2024-01-01. ``auto`` goes by a number's size:
it is a count of the coarsest unit in which it lies in the years 1 to 9999, so seconds up to 2.5e11,
milliseconds beyond (from 1978 on), and so forth. But a whole number that is written as a date of
the years 1900 to 2100, 20240101, is that date, not a second of 1970.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import SECOND
from model.timeforms import GREATEST, LEAST, as_times, localize, parse_form, pattern_of
from model.zones import Ints, Mask

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
NAMES = (*PER_SECOND, "excel", "auto")
"""What ``from_numbers`` takes as a form."""
FIRST_DATE, LAST_DATE = 1900_01_01, 2100_12_31
"""Whole numbers that ``auto`` takes for dates lie between."""

_EXCEL_DAYS = 25_569
"""Days from Excel's day 0, 1899-12-30, to 1970. Its days 1 to 59 are one off, for a leap day that
1900 did not have; nobody stamps events with them."""
_EXCEL_LAST = 2_958_466
_MILLISECONDS_A_DAY = 86_400_000


def from_numbers(values: pa.Array, form: str, zone: str | None = None) -> pa.Array:
    """The times of a column of numbers.

    Args:
        values: integers, floats or decimals.
        form: one of ``NAMES``.
        zone: of dates and Excel's days, an IANA name; None is UTC.

    Returns:
        timestamp[us, UTC], null where the number is null, NaN or no time.

    Example:
        >>> times = from_numbers(pa.array([1_704_067_200, 1_704_067_200_000, 20_240_101]), "auto")
        >>> [str(time) for time in times]
        ['2024-01-01 00:00:00+00:00', '2024-01-01 00:00:00+00:00', '2024-01-01 00:00:00+00:00']
    """
    integral = pa.types.is_integer(values.type)
    if integral and form != "excel":
        numbers = _int64(values)
        if form in PER_SECOND:
            return from_counts(numbers, PER_SECOND[form])
        return _by_size(numbers, zone)
    floats = values.cast(pa.float64(), safe=False).fill_null(math.nan)
    seen: npt.NDArray[np.float64] = floats.to_numpy(zero_copy_only=False)
    if form == "excel":
        return _from_excel(seen, zone)
    return (
        _from_floats(seen, PER_SECOND[form]) if form in PER_SECOND else _floats_by_size(seen, zone)
    )


def _int64(values: pa.Array) -> pa.Array:
    if pa.types.is_uint64(values.type):
        small = pc.less_equal(values, pa.scalar(np.iinfo(np.int64).max, pa.uint64()))
        values = pc.if_else(small, values, pa.scalar(None, values.type))
    return values.cast(pa.int64())


def from_counts(counts: pa.Array, per_second: int) -> pa.Array:
    """Times of an int64 column that counts ``per_second`` units a second since the epoch."""
    known = counts.is_valid().to_numpy(zero_copy_only=False)
    numbers = counts.fill_null(0).to_numpy(zero_copy_only=False)
    return as_times(*_scale(numbers, known, per_second))


def _scale(numbers: Ints, known: Mask, per_second: int) -> tuple[Ints, Mask]:
    """Microseconds of counts, and which are within the years 1 to 9999."""
    if per_second > SECOND:
        return numbers // (per_second // SECOND), known
    scale = SECOND // per_second
    inside = known & (numbers >= LEAST // scale) & (numbers <= GREATEST // scale)
    return np.where(inside, numbers, 0) * scale, inside


def _by_size(counts: pa.Array, zone: str | None) -> pa.Array:
    known = counts.is_valid().to_numpy(zero_copy_only=False)
    numbers = counts.fill_null(0).to_numpy(zero_copy_only=False)
    dates = known & (numbers >= FIRST_DATE) & (numbers <= LAST_DATE)
    left, micros, inside = known & ~dates, np.zeros(len(numbers), np.int64), known & False
    for per_second in PER_SECOND.values():
        scaled, fits = _scale(numbers, left, per_second)
        micros[fits], inside = scaled[fits], inside | fits
        left &= ~fits
        if not left.any():
            break
    return _with_dates(as_times(micros, inside), numbers, dates, zone)


def _with_dates(times: pa.Array, numbers: Ints, dates: Mask, zone: str | None) -> pa.Array:
    """The times, with those of numbers that are written as a date."""
    if not dates.any():
        return times
    digits = pa.array(numbers[dates]).cast(pa.string())
    found = parse_form(digits, pattern_of("%Y%m%d"), zone)
    return pc.replace_with_mask(times, pa.array(dates), found)


def _from_floats(numbers: npt.NDArray[np.float64], per_second: int) -> pa.Array:
    finer = per_second > SECOND
    micros = np.rint(
        numbers / (per_second // SECOND) if finer else numbers * (SECOND // per_second)
    )
    inside = (micros >= LEAST) & (micros <= GREATEST)
    return as_times(np.where(inside, micros, 0).astype(np.int64), inside)


def _floats_by_size(numbers: npt.NDArray[np.float64], zone: str | None) -> pa.Array:
    whole = numbers == np.floor(numbers)
    dates = whole & (numbers >= FIRST_DATE) & (numbers <= LAST_DATE)
    left = np.where(dates, math.nan, numbers)
    times = [_from_floats(left, per_second) for per_second in PER_SECOND.values()]
    return _with_dates(
        pc.coalesce(*times), np.where(dates, numbers, 0).astype(np.int64), dates, zone
    )


def _from_excel(days: npt.NDArray[np.float64], zone: str | None) -> pa.Array:
    inside = (days >= 1) & (days < _EXCEL_LAST)
    since = np.where(inside, days - _EXCEL_DAYS, 0)
    # Excel writes fifteen digits, so a time of day is exact to the millisecond
    micros = np.rint(since * _MILLISECONDS_A_DAY).astype(np.int64) * 1_000
    return localize(as_times(micros, inside), zone)
