"""Event times: from whatever a column holds to microseconds since the epoch, in UTC.

A whole column is read at once where its values have one form. Where they are mixed, or one of
them is not readable, it is read in pieces, and only the pieces that Arrow refuses value by
value. Both ways accept the same texts and give the same times.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from operator import gt

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import SECOND, TIME_TYPE

ALLOWED = "ISO 8601 text, epoch seconds or a timestamp, of the years 1 to 9999, is allowed"
"""What a time may be, for messages."""

_EPOCH = date(1970, 1, 1).toordinal()
_LEAST, _GREATEST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_PIECE = 128
_CLOCK = (23, 59, 59, 23, 59)
_ISO = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r"\s?([Zz]|UTC|([+-])(\d\d):?(\d\d)?)?)?\s*",
    re.ASCII,
)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of that type holds text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_time(kind: pa.DataType) -> bool:
    """Whether ``parse_times`` can read a column of that type.

    Example:
        >>> is_time(pa.string()), is_time(pa.list_(pa.int64()))
        (True, False)
    """
    return _reader(kind) is not None


def parse_times(values: pa.Array) -> pa.Array:
    """Reads event times.

    Text is ISO 8601 (a date, then ``T`` or a space and hours, optional minutes, seconds and
    fraction, an optional ``Z``, ``UTC``, ``+02``, ``+0200`` or ``+02:00``) or a number, spaces
    around it allowed. A time without a zone is UTC. Every number is epoch seconds, so
    ``"20240101"`` is a second of 1970. Digits behind the microseconds are cut off.

    Args:
        values: a column of timestamps, dates, numbers or text, plain or dictionary-encoded.

    Returns:
        timestamp[us, UTC] of the same length: null where the value is null or unreadable
        (month 13, a leap second, a year outside 1 to 9999).

    Raises:
        TypeError: if no value of that type can be a time.

    Example:
        >>> times = parse_times(pa.array(["2024-03-01T12:00:00+02:00", "1700000000.5", "soon"]))
        >>> times.cast(pa.int64()).to_pylist()
        [1709287200000000, 1700000000500000, None]
    """
    read = _reader(values.type)
    if read is None:
        raise TypeError(f"a column of type {values.type} holds no times: {ALLOWED}")
    return read(values)


def _reader(kind: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    types = pa.types
    if types.is_dictionary(kind):
        return _from_dictionary if _reader(kind.value_type) else None
    if types.is_null(kind):
        return _from_nulls
    if types.is_timestamp(kind) or types.is_date(kind):
        return _from_timestamps
    if types.is_integer(kind):
        return _from_integers
    if types.is_floating(kind) or types.is_decimal(kind):
        return _from_floats
    return _from_text if is_text(kind) else None


def _from_nulls(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), TIME_TYPE)


def _from_dictionary(values: pa.Array) -> pa.Array:
    return parse_times(values.dictionary).take(values.indices)


def _from_timestamps(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_date32(kind):
        return _from_counts(pc.multiply(values.cast(pa.int32()).cast(pa.int64()), 86_400), 1)
    unit = "ms" if pa.types.is_date64(kind) else kind.unit
    counts = values.cast(pa.int64())
    if unit == "us":
        span = pc.min_max(counts)
        least, greatest = span["min"].as_py(), span["max"].as_py()
        if least is not None and least >= _LEAST and greatest <= _GREATEST:
            return counts.cast(TIME_TYPE)
    return _from_counts(counts, _PER_SECOND[unit])


def _from_integers(values: pa.Array) -> pa.Array:
    if pa.types.is_uint64(values.type):
        small = pc.less_equal(values, pa.scalar(np.iinfo(np.int64).max, pa.uint64()))
        values = pc.if_else(small, values, pa.scalar(None, values.type))
    return _from_counts(values.cast(pa.int64()), 1)


def _from_counts(counts: pa.Array, per_second: int) -> pa.Array:
    """Times of an int64 column that counts so many units a second."""
    known = counts.is_valid().to_numpy(zero_copy_only=False)
    numbers = counts.fill_null(0).to_numpy(zero_copy_only=False)
    if per_second > SECOND:
        return _array(numbers // (per_second // SECOND), known)
    scale = SECOND // per_second
    inside = known & (numbers >= _LEAST // scale) & (numbers <= _GREATEST // scale)
    return _array(np.where(inside, numbers, 0) * scale, inside)


def _from_floats(values: pa.Array) -> pa.Array:
    seconds = values.cast(pa.float64(), safe=False).fill_null(math.nan)
    micros = np.rint(seconds.to_numpy(zero_copy_only=False) * SECOND)
    inside = (micros >= _LEAST) & (micros <= _GREATEST)
    return _array(np.where(inside, micros, 0).astype(np.int64), inside)


def _array(micros: npt.NDArray[np.int64], known: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array(micros, pa.int64(), mask=~known).cast(TIME_TYPE)


def _from_text(values: pa.Array) -> pa.Array:
    if values.null_count == len(values):
        return _from_nulls(values)
    whole = _at_once(values)
    if whole is not None:
        return whole
    pieces = []
    for start in range(0, len(values), _PIECE):
        piece = values.slice(start, _PIECE)
        times = _at_once(piece) if len(values) > _PIECE else None
        pieces.append(_one_by_one(piece) if times is None else times)
    return pa.concat_arrays(pieces)


def _at_once(values: pa.Array) -> pa.Array | None:
    """The times of texts that all have the first one's form; None if they have not."""
    first = next((text for text in values[:_PIECE].to_pylist() if text is not None), "")
    iso = _ISO.fullmatch(first)
    try:
        if iso is None:
            return _from_floats(values.cast(pa.float64())) if _NUMBER.fullmatch(first) else None
        if len(iso[7] or "") > 6:
            values = pc.replace_substring_regex(values, r"(\.\d{6})\d+", r"\1")
        return _from_timestamps(values.cast(pa.timestamp("us", tz="UTC" if iso[8] else None)))
    except pa.ArrowInvalid:
        return None


def _one_by_one(values: pa.Array) -> pa.Array:
    micros = [None if text is None else _micros(text) for text in values.to_pylist()]
    return pa.array(micros, pa.int64()).cast(TIME_TYPE)


def _micros(text: str) -> int | None:
    iso = _ISO.fullmatch(text)
    if iso:
        return _iso_micros(iso)
    if not _NUMBER.fullmatch(text):
        return None
    micros = float(text) * SECOND
    return round(micros) if _LEAST <= micros <= _GREATEST else None


def _iso_micros(iso: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, digits, _, sign, ahead, behind = iso.groups()
    clock = (int(hour or 0), int(minute or 0), int(second or 0), int(ahead or 0), int(behind or 0))
    if any(map(gt, clock, _CLOCK)):
        return None
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    offset = (clock[3] * 60 + clock[4]) * (-60 if sign == "-" else 60)
    seconds = ((days * 24 + clock[0]) * 60 + clock[1]) * 60 + clock[2] - offset
    micros = seconds * SECOND + int((digits or "")[:6].ljust(6, "0"))
    return micros if _LEAST <= micros <= _GREATEST else None
