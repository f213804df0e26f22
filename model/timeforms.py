"""Forms of times as text, as patterns: whole columns are read at once.

A form is a regular expression (RE2's) whose named groups are the parts of a time: ``Y`` year, ``y``
its last two digits, ``m`` month, ``b`` its name, ``d`` day, ``j`` day of the year, ``G``, ``V``,
``u`` ISO year, week and weekday, ``H``, ``M``, ``S``, ``f`` clock, ``p`` AM or PM, ``z`` offset,
``Z`` or ``W`` name of a zone. What is not there is the least: ``2024-01`` is the first of January.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import SECOND, TIME_TYPE
from model.zones import Ints, Mask, find_zone, to_utc

LEAST, GREATEST = -62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1
"""The first and the last microsecond of the years 1 to 9999."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ABBREVIATIONS = {
    **dict.fromkeys(("z", "utc", "gmt", "ut"), 0),
    **{"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8},
}
"""Hours ahead of UTC of the zones that RFC 2822 names."""

_DAYS = r"(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+"
_MONTH = rf"(?P<b>(?i:{'|'.join(_MONTHS)})[A-Za-z]*)\.?"
_ZONE = (
    r"(?:\s?(?P<z>(?:UTC|GMT)?[+-]\d\d:?(?:\d\d)?|[Zz]|UTC|GMT|UT|E[SD]T|C[SD]T|M[SD]T|P[SD]T))?"
    r"(?:\s?\[(?P<Z>[A-Za-z][\w+/-]*)\]|\s(?P<W>[A-Z][a-z][A-Za-z_]+/[\w+/-]+))?(?:\s\([^)]*\))?"
)
_CLOCK = (
    r"(?P<H>\d{1,2})(?::(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?)?"
    r"(?:\s?(?P<p>[AaPp])\.?[Mm]\.?)?"
)
_TIGHT = r"(?P<H>\d\d)(?:(?P<M>\d\d)(?:(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?)?"
_AFTER = rf"(?:[T ]\s*{_CLOCK}{_ZONE})?"
_YEAR = r"(?P<Y>\d{4})"

FORMS = (
    rf"{_YEAR}-(?P<m>\d\d)-(?P<d>\d\d)[Tt ]\s*{_CLOCK}{_ZONE}",
    rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)[Tt ]{_TIGHT}{_ZONE}",
    rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)[Tt ]{_CLOCK}{_ZONE}",
    rf"{_YEAR}/(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}}){_AFTER}",
    rf"{_YEAR}\.(?P<m>\d{{1,2}})\.(?P<d>\d{{1,2}}){_AFTER}",
    rf"{_YEAR}-(?P<m>\d\d)",
    rf"{_YEAR}-(?P<j>\d{{3}}){_AFTER}",
    rf"(?P<G>\d{{4}})-?W(?P<V>\d\d)(?:-?(?P<u>[1-7]))?{_AFTER}",
    rf"(?:{_DAYS})?(?P<d>\d{{1,2}})[ /-]?{_MONTH}[ ,/-]*{_YEAR}(?:[T:, ]\s*{_CLOCK}{_ZONE})?",
    rf"(?:{_DAYS})?{_MONTH}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}"
    rf"(?:(?:,|\sat)?\s+{_CLOCK}{_ZONE})?",
    rf"{_DAYS}{_MONTH}\s+(?P<d>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+{_YEAR}",
)
"""Forms that can be meant in one way only, beside ISO 8601's extended ones."""
DAY_FIRST, MONTH_FIRST = (
    rf"(?P<{first}>\d{{1,2}})[/.-](?P<{second}>\d{{1,2}})[/.-]{_YEAR}"
    rf"(?:(?:,|T)?\s*{_CLOCK}{_ZONE})?"
    for first, second in (("d", "m"), ("m", "d"))
)

_DIRECTIVES = {
    **{"Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d\d)", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})"},
    **{"H": r"(?P<H>\d{1,2})", "I": r"(?P<H>\d{1,2})", "p": r"(?P<p>[AaPp])\.?[Mm]\.?"},
    **{"M": r"(?P<M>\d{1,2})", "S": r"(?P<S>\d{1,2})", "f": r"(?P<f>\d{1,9})"},
    **{"j": r"(?P<j>\d{1,3})", "G": r"(?P<G>\d{4})", "V": r"(?P<V>\d\d)", "u": r"(?P<u>[1-7])"},
    **dict.fromkeys("bBh", _MONTH),
    **dict.fromkeys("aA", r"[A-Za-z]+"),
    "z": r"(?P<z>[Zz]|(?:UTC|GMT)?[+-]\d\d:?(?:\d\d)?)",
    "Z": r"(?P<Z>[A-Za-z][\w+/-]*)",
    "%": "%",
    **dict.fromkeys("nt", r"\s+"),
}
_DIGITS = {f"%{name}" for name in "YymdHIMSfjGVu"}
_SHORT = {"T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "F": "%Y-%m-%d", "e": "%d"}


@lru_cache(maxsize=64)
def pattern_of(form: str) -> str:
    r"""The regular expression of a format as ``datetime.strptime`` takes it.

    Raises:
        ValueError: if it has a directive that is not known or is there twice, or no year.

    Example:
        >>> times = parse_form(pa.array(["31/12/2013 5 PM"]), pattern_of("%d/%m/%Y %I %p"))
        >>> print(times[0])
        2013-12-31 17:00:00+00:00
    """
    for short, long in _SHORT.items():
        form = form.replace(f"%{short}", long)
    parts = re.findall(r"%(?:.|$)|[^%]+", form, re.DOTALL)
    found = []
    for i, part in enumerate(parts):
        if not part.startswith("%"):
            found.append(re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(part)))
            continue
        if part[1:] not in _DIRECTIVES:
            raise ValueError(f"{part!r} is not a directive of strptime")
        pattern = _DIRECTIVES[part[1:]]
        if _DIGITS.intersection(parts[i + 1 : i + 2] + parts[max(i - 1, 0) : i]):
            # beside other digits a number has all of its own
            pattern = pattern.replace(r"\d{1,2}", r"\d\d").replace(r"\d{1,3}", r"\d{3}")
        found.append(pattern)
    pattern = "".join(found)
    names = re.findall(r"\?P<(\w)>", pattern)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"the part {twice!r} is there twice")
    if not {"Y", "y", "G"} & set(names):
        raise ValueError("it has no year (%Y)")
    return pattern


def parse_form(texts: pa.Array, form: str, zone: str | None = None) -> pa.Array:
    """The times of texts that have a form.

    Args:
        texts: a column of text.
        form: a regular expression with the groups that the module names.
        zone: of the times that do not name their own, an IANA name; None is UTC.

    Returns:
        timestamp[us, UTC] of the same length: null for a text of another form, and for a time that
        is none (month 13, one that a clock change skips).

    Example:
        >>> parse_form(pa.array(["20240101T05", "soon"]), FORMS[1]).cast(pa.int64()).to_pylist()
        [1704085200000000, None]
    """
    parts = pc.extract_regex(texts.cast(pa.string()), rf"^\s*(?:{form})\s*$")
    known = parts.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(known)
    micros = np.zeros(len(texts), np.int64)
    if len(rows):
        micros[rows], known[rows] = _combine(_Parts(parts.filter(pa.array(known))), zone)
    return as_times(micros, known)


def parse_forms(texts: pa.Array, zone: str | None = None) -> pa.Array:
    """The times of texts that have one of ``FORMS``; null for others."""
    times = pa.nulls(len(texts), TIME_TYPE)
    for form in FORMS:
        if times.null_count == texts.null_count:
            break
        times = pc.coalesce(times, parse_form(texts, form, zone))
    return times


def as_times(micros: Ints, known: Mask) -> pa.Array:
    """Times of microseconds, null where they are not known or outside the years 1 to 9999."""
    inside = known & (micros >= LEAST) & (micros <= GREATEST)
    return pa.array(micros, pa.int64(), mask=~inside).cast(TIME_TYPE)


def localize(times: pa.Array, zone: str | None) -> pa.Array:
    """Times whose clock was read as UTC's, as times of a zone's clocks; None is UTC."""
    info = None if zone is None else find_zone(zone)
    if info is None:
        return times
    known = times.is_valid().to_numpy(zero_copy_only=False)
    micros = times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    moved, real = to_utc(micros, info)
    return as_times(moved, known & real)


class _Parts:
    """The parts of some texts, as numbers."""

    def __init__(self, parts: pa.StructArray) -> None:
        self.parts = parts
        self.names = {field.name for field in parts.type}

    def text(self, name: str) -> pa.Array | None:
        """A part as text, "" where it is not there; None if no text can have it."""
        return self.parts.field(name) if name in self.names else None

    def number(self, name: str, default: int = 0) -> Ints:
        """A part as a whole number."""
        text = self.text(name)
        if text is None:
            return np.full(len(self.parts), default, np.int64)
        filled = pc.if_else(pc.equal(text, ""), str(default), text)
        numbers: Ints = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return numbers


def _combine(parts: _Parts, zone: str | None) -> tuple[Ints, Mask]:
    """Microseconds, and which of them are times that have been."""
    days, dated = _days(parts)
    clock, timed = _clock(parts)
    local = np.where(dated, days, 0) * (86_400 * SECOND) + clock
    inside = dated & timed & (local >= LEAST) & (local <= GREATEST)
    return _in_utc(parts, np.where(inside, local, 0), inside, zone)


def _days(parts: _Parts) -> tuple[Ints, Mask]:
    """Days since the epoch."""
    if parts.text("G") is not None:
        return _week_days(parts)
    year = parts.number("Y")
    if parts.text("y") is not None:
        short = parts.number("y")
        year = short + np.where(short < 69, 2000, 1900)  # as POSIX has it
    if parts.text("j") is not None:
        start, end = _month_start(year, 1), _month_start(year + 1, 1)
        day = parts.number("j", 1)
    else:
        month = _month_number(parts)
        start, end = _month_start(year, month), _month_start(year, month + 1)
        day = parts.number("d", 1)
        year = np.where((month >= 1) & (month <= 12), year, 0)
    return start + day - 1, (year >= 1) & (year <= 9999) & (day >= 1) & (day <= end - start)


def _month_number(parts: _Parts) -> Ints:
    names = parts.text("b")
    if names is None:
        return parts.number("m", 1)
    short = pc.utf8_lower(pc.utf8_slice_codeunits(names, 0, 3))
    number: Ints = pc.index_in(short, value_set=pa.array(_MONTHS)).to_numpy(zero_copy_only=False)
    return number.astype(np.int64) + 1


def _month_start(year: Ints, month: Ints | int) -> Ints:
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    days: Ints = months.astype("M8[D]").astype(np.int64)
    return days


def _week_days(parts: _Parts) -> tuple[Ints, Mask]:
    year, week, day = parts.number("G"), parts.number("V"), parts.number("u", 1)
    fourth = _month_start(year, 1) + 3  # the fourth of January is in week 1
    monday = fourth - (fourth + 3) % 7 + (week - 1) * 7
    thursday_year = (monday + 3).astype("M8[D]").astype("M8[Y]").astype(np.int64) + 1970
    return monday + day - 1, (year >= 1) & (year <= 9999) & (thursday_year == year)


def _clock(parts: _Parts) -> tuple[Ints, Mask]:
    """Microseconds since midnight."""
    hour, minute, second = (parts.number(name) for name in "HMS")
    good = (hour <= 23) & (minute <= 59) & (second <= 59)
    half = parts.text("p")
    if half is not None:
        halved = pc.not_equal(half, "").to_numpy(zero_copy_only=False)
        after = pc.equal(pc.utf8_lower(half), "p").to_numpy(zero_copy_only=False)
        good &= ~halved | ((hour >= 1) & (hour <= 12))
        hour = np.where(halved, hour % 12 + 12 * after, hour)
    digits = parts.text("f")
    micros = np.zeros(len(hour), np.int64)
    if digits is not None:
        filled = pc.utf8_rpad(pc.utf8_slice_codeunits(digits, 0, 6), 6, "0")
        micros = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return ((hour * 60 + minute) * 60 + second) * SECOND + micros, good


def _in_utc(parts: _Parts, local: Ints, good: Mask, zone: str | None) -> tuple[Ints, Mask]:
    """Local times in UTC, by the offset or the zone that each names, or else by ``zone``."""
    named = zip(*(_texts(parts, name, len(local)) for name in ("z", "Z", "W")), strict=True)
    places = np.array([next(filter(None, each), "") for each in named], dtype=object)
    times, good = local.copy(), good.copy()
    for place in set(places.tolist()):
        mine = places == place
        if place or zone:
            times[mine], real = _to_utc(local[mine], place or str(zone))
            good[mine] &= real
    return times, good


def _texts(parts: _Parts, name: str, rows: int) -> list[str]:
    text = parts.text(name)
    return [""] * rows if text is None else text.to_pylist()


def _to_utc(local: Ints, place: str) -> tuple[Ints, Mask]:
    """Local times of a place, an offset or the name of a zone, in UTC."""
    known = np.ones(len(local), np.bool_)
    if place.lower() in _ABBREVIATIONS:
        return local - _ABBREVIATIONS[place.lower()] * 3_600 * SECOND, known
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d\d):?(\d\d)?", place)
    if offset:
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        minutes = (hours * 60 + minutes) * (-1 if offset[1] == "-" else 1)
        fine = hours <= 23 and int(offset[3] or 0) <= 59
        return local - minutes * 60 * SECOND, known & fine
    zone = find_zone(place)
    return (local, ~known) if zone is None else to_utc(local, zone)
