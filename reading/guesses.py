"""How times are written, guessed once for a run where the schema does not say.

Text in ISO 8601 and its like can be meant in one way only. Numbers cannot: 1704067200000 may be
milliseconds since 1970, 20240101 a date, 45292 a day of Excel's; nor can 01/02/2013. The values at
the beginning of the input decide, a pure function of them, so that every worker and a resumed run
decide the same; what was decided stands in each ``File``, and in its notes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.asof import format_iso
from model.epochs import PER_SECOND
from model.errors import UserError
from model.schema import Schema
from model.times import NUMBER, is_text, parse_times
from reading.chunks import File

_MOST = 0.9
"""The part of the values that has to be written in a form for it to be taken."""
_LATEST = 9_214_646_400
"""Seconds up to 2262: greater numbers are of a finer unit."""
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_DATES = {
    **{8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H"},
    **{7: "%Y%j", 6: "%Y%m", 4: "%Y"},
}
"""The format of a date by how many digits it is written with."""
_HOURS = 10
_YEARS = (1900, 2100)
_EXCEL = (25_000, 80_000)
"""Excel's days from 1968 to 2119."""
_SHORT = "%y%m%d%H%M%S"
"""The format of a date with a year of two digits: milliseconds up to 2001 have as many."""
_OTHER_COUNTS = {
    ".NET's ticks": (6.15e17, 6.62e17, 621_355_968_000_000_000, 10),
    "Windows' file times": (1.2e17, 1.5e17, 116_444_736_000_000_000, 10),
    "microseconds since 1601 (WebKit's)": (1.2e16, 1.5e16, 11_644_473_600_000_000, 1),
}
"""Counts since other years than 1970, by name: the least and the greatest of about 1950 to 2090,
what to subtract, and by what to divide, to have microseconds since 1970. As nanoseconds they would
be of some weeks around 1970, 1974 or 1990."""
_ORDERED = re.compile(r"\s*(\d{1,2})([/.-])(\d{1,2})[/.-]\d{4}(?:\D.*)?", re.ASCII | re.DOTALL)


_SHORT_YEAR = re.compile(
    r"\s*(?P<a>\d{1,2})(?P<mark>[/.-])(?P<b>\d{1,2}|[A-Za-z]{3})[/.-]\d\d(?P<clock>[T ]\d.*)?\s*"
)


def suggest_format(text: str) -> str | None:
    """What to set for a date with a year of two digits, for a message; None if it is not one.

    Example:
        >>> suggest_format("31/12/24")
        'time_format = "%d/%m/%y", "%m/%d/%y" or "%y/%m/%d"'
        >>> suggest_format("01-Jan-24 05:00")
        'time_format = "%d-%b-%y %H:%M"'
    """
    found = _SHORT_YEAR.fullmatch(text)
    if found is None:
        return None
    mark, clock = found["mark"], ""
    if found["clock"]:
        parts = ("%H", "%M", "%S")[: found["clock"].count(":") + 1]
        clock = found["clock"][0] + ":".join(parts)
    orders = ("dby",) if found["b"].isalpha() else ("dmy", "mdy", "ymd")
    forms = [f'"{mark.join(f"%{part}" for part in order)}{clock}"' for order in orders]
    last = forms.pop()
    return f"time_format = {', '.join(forms)} or {last}" if forms else f"time_format = {last}"


class TimeGuess(NamedTuple):
    """How times are written.

    Attributes:
        form: as a schema's ``time_format``; None: in forms that need none.
        notes: for the user, what was taken for granted.
    """

    form: str | None
    notes: tuple[str, ...] = ()


def with_guess(schema: Schema, file: File) -> Schema:
    """The schema with the format of a file's times, if it names none itself."""
    if file.time_format is None or schema.time_format is not None:
        return schema
    return schema.model_copy(update={"time_format": file.time_format})


def guess_format(values: pa.Array, place: str, zone: str | None = None) -> TimeGuess | None:
    """Guesses how times are written.

    Args:
        values: of the time's column, of any type that can be one.
        place: where they stand, for messages.
        zone: of times that do not name their own, for messages.

    Returns:
        The guess; None if there is no value to go by.

    Raises:
        UserError: if they are written with day and month, and no value shows which comes first.

    Example:
        >>> guess_format(pa.array([1_704_067_200_000]), "a.csv: column 'ts'").form
        'ms'
        >>> guess_format(pa.array(["31/12/2023", "01/01/2024"]), "a.csv: column 'ts'").form
        'dayfirst'
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    values = values.drop_null()
    if not len(values):
        return None
    if not is_text(values.type):
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return _of_numbers(numbers, place, zone)
    texts = [text for text in values.to_pylist() if text.strip()]
    written = [float(text) for text in texts if NUMBER.fullmatch(text)]
    if 2 * len(written) > len(texts):
        return _of_numbers(np.array(written), place, zone)
    ordered = [match for text in texts if (match := _ORDERED.fullmatch(text))]
    if 2 * len(ordered) > len(texts):
        return _of_days_and_months(ordered, place, zone)
    return TimeGuess(None) if texts else None


def _of_numbers(numbers: npt.NDArray[np.float64], place: str, zone: str | None) -> TimeGuess | None:
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    form = _date_form(numbers) or _count_form(numbers)
    if form == "s":
        return TimeGuess(form)
    if form == "ns":
        _check_epoch(float(np.median(numbers)), place)
    first = _describe(pa.array([numbers[0]]), form, zone)
    what = f"{_UNITS[form]} since 1970" if form in _UNITS else "Excel's days"
    if form not in _UNITS and form != "excel":
        what = "dates"
    return TimeGuess(form, (_note(place, f"{numbers[0]:.15g}", what, first, form),))


def _check_epoch(count: float, place: str) -> None:
    """Checks that a count of nanoseconds is none of something else since another year.

    Raises:
        UserError: if it may be.
    """
    for name, (least, greatest, begin, scale) in _OTHER_COUNTS.items():
        if least <= count <= greatest:
            known = format_iso(int((count - begin) // scale))
            raise UserError(
                f"{place} (the time): {count:.15g} may be {name} ({known}) or nanoseconds since "
                f"1970 ({format_iso(int(count // 1000))}): for the first write microseconds since "
                f"1970 instead: subtract {begin} and divide by {scale}; for the second set "
                'time_format = "ns" in the schema'
            )


def _describe(values: pa.Array, form: str, zone: str | None) -> str:
    """A value's time, for a message."""
    [micros] = parse_times(values, form, zone).cast(pa.int64()).to_pylist()
    return "no time" if micros is None else format_iso(micros)


def _note(place: str, value: str, what: str, means: str, form: str) -> str:
    return (
        f"{place} (the time): taken as {what}, so that {value} is {means}: "
        f'time_format = "{form}" in the schema says so'
    )


def _date_form(numbers: npt.NDArray[np.float64]) -> str | None:
    """The format of numbers that are written as a date, as 20240101; None if they are not."""
    whole = np.unique(numbers[(numbers == np.floor(numbers)) & (numbers >= 0)])
    whole = whole[whole < 2.0**53]
    if not len(whole):
        return None
    digits = pa.array(whole.astype(np.int64)).cast(pa.string())
    lengths = pc.utf8_length(digits).to_numpy(zero_copy_only=False)
    length = int(np.median(lengths))
    forms = [_DATES.get(length), _SHORT if length == len("240131050607") else None]
    for form in filter(None, forms):
        if _are_dates(digits, form, len(whole)):
            return form
    return None


def _are_dates(digits: pa.Array, form: str, whole: int) -> bool:
    """Whether numbers are dates of a form, and not counts that look like one."""
    years = pc.year(parse_times(digits, form)).fill_null(0).to_numpy(zero_copy_only=False)
    dates = (years >= _YEARS[0]) & (years <= _YEARS[1])
    if form in (_DATES[_HOURS], _SHORT):  # counts may look like one, but not many
        return whole > 2 and bool(dates.all())
    return bool(dates.mean() >= _MOST)


def _count_form(numbers: npt.NDArray[np.float64]) -> str:
    """What numbers count, by their size."""
    if ((numbers >= _EXCEL[0]) & (numbers < _EXCEL[1])).all():
        return "excel"
    middle = float(np.median(np.abs(numbers)))
    fitting = (unit for unit, many in PER_SECOND.items() if middle < _LATEST * many)
    return next(fitting, "ns")


def _of_days_and_months(ordered: list[re.Match[str]], place: str, zone: str | None) -> TimeGuess:
    by_first = any(int(match[1]) > 12 for match in ordered)
    by_second = any(int(match[3]) > 12 for match in ordered)
    value = ordered[0][0].strip()
    ask = f'{place} (the time): {value!r}: set time_format = "dayfirst" or "monthfirst"'
    if by_first and by_second:
        raise UserError(f"{ask} in the schema: some values begin with the day, others do not")
    if by_first or (not by_second and ordered[0][2] == "."):  # nobody parts months by a point
        return _guess_order("dayfirst", value, place, zone)
    if by_second:
        return _guess_order("monthfirst", value, place, zone)
    raise UserError(
        f"{ask} in the schema: none of the first {len(ordered):,} values shows which comes first"
    )


def _guess_order(form: str, value: str, place: str, zone: str | None) -> TimeGuess:
    first = _describe(pa.array([value]), form, zone)
    what = "the day before the month" if form == "dayfirst" else "the month before the day"
    return TimeGuess(form, (_note(place, value, what, first, form),))
