"""Whether the times of an input can be meant: what is refused, or noted, before a job learns.

Times that were read with the wrong unit lie in 1970, and databases write dates that they do not
have as the first day of some calendar. Neither is an error that a row shows by itself; all rows
together do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from model.asof import format_iso
from model.batch import SECOND, event_times
from model.errors import UserError
from model.schema import Schema
from reading.chunks import Chunk, Plan
from reading.plans import read

_DAY = 86_400 * SECOND
_COUNTED = ("s", "ms", "us", "ns")
_FIRST_DAYS = 31 * _DAY
"""Seconds of this century that are taken for milliseconds, or these for microseconds, lie in the
first days of 1970."""
_FIRST_YEARS = 100_000_000 * SECOND
"""Numbers that are taken for seconds and lie before March 1973 count something else."""
_APART = 50 * 365 * _DAY
_MISSING = (
    *("0001-01-01", "1601-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01"),
    "1970-01-01",
)
"""Days that stand for a missing time, each at midnight."""
_STANDS_FOR_NONE = {
    **{int(np.datetime64(day, "us").astype(np.int64)): day for day in _MISSING},
    **{-1: "-1", -1_000: "-1", -SECOND: "-1"},  # a count of us, of ms, of s
}
_ROWS = 65_536


@dataclass(frozen=True)
class LeastTime:
    """The rows of the least time, and how far from them all others are.

    Attributes:
        rows: how many there are.
        where: the first one's file and line.
        following: the least of the other times, microseconds; None if there is none.
    """

    rows: int
    where: str
    following: int | None


def check_times(plan: Plan, schema: Schema) -> Plan:
    """Refuses an input whose times cannot be meant. A schema with a ``time_format`` means them.

    Returns:
        The plan, with a note on what is odd and read nevertheless.

    Raises:
        UserError: if all times lie within days of 1970, or some in 1970 as if of another unit.
    """
    if schema.time_format is not None or not plan.chunks:
        return plan
    least = min(chunk.least for chunk in plan.chunks)
    greatest = max(chunk.greatest for chunk in plan.chunks)
    form = next((file.time_format for file in plan.files if file.time_format), None)
    place = f"{plan.files[plan.chunks[0].file].path}: column {schema.time!r} (the time)"
    _check_all(least, greatest, form, place)
    day = _STANDS_FOR_NONE.get(least)
    if day is None:
        _check_unit(least, form, place)
        return plan
    found = _look(plan, schema, least)
    if found.following is not None:
        _check_unit(found.following, form, place)
    return replace(plan, notes=(*plan.notes, *_note_missing(found, schema, least, day)))


def _check_all(least: int, greatest: int, form: str | None, place: str) -> None:
    bound, first = (_FIRST_YEARS, -_FIRST_YEARS) if form == "s" else (_FIRST_DAYS, -_DAY)
    if not (least > first and greatest < bound):
        return
    found = f"{place}: all times lie between {format_iso(least)} and {format_iso(greatest)}"
    if form is None:
        raise UserError(
            f"{found}, as if they had been read in another unit before they were written: mend "
            'them there; if they are meant, set time_format = "iso8601" in the schema'
        )
    raise UserError(
        f'{found} as a count of "{form}": set time_format in the schema to what they are, "s", '
        '"ms", "us", "ns", "excel" or a format such as "%Y%m%d"'
    )


def _check_unit(least: int, form: str | None, place: str) -> None:
    """Checks that no time lies where seconds do that were taken for a smaller unit."""
    if form in _COUNTED[1:] and 0 <= least < _FIRST_DAYS:
        raise UserError(
            f"{place}: most values are a count of {form} since 1970, but the least would then be "
            f'{format_iso(least)}: are there several units? If not, set time_format = "{form}"'
        )


def _note_missing(found: LeastTime, schema: Schema, least: int, day: str) -> tuple[str, ...]:
    if found.following is None or found.following - least < _APART:
        return ()
    rows = f"{found.rows:,} rows have" if found.rows > 1 else "1 row has"
    message = (
        f"{found.where}: column {schema.time!r} (the time): {rows} the time {format_iso(least)}, "
        f"the next one is {format_iso(found.following)}: {day} often stands for a missing time"
    )
    # No error: gaps cost nothing, and a window of these few rows makes no model.
    return (f"{message}; leave such rows out, or their times empty",)


def _look(plan: Plan, schema: Schema, least: int) -> LeastTime:
    rows, where, following = 0, "", None
    for chunk in plan.chunks:
        if chunk.least > least:
            following = min(chunk.least, chunk.least if following is None else following)
            continue
        for first, times in _times(plan, chunk, schema):
            same = np.flatnonzero(times == least)
            if len(same) and not rows:
                where = f"{plan.files[chunk.file].path}:{chunk.line + first + int(same[0])}"
            rows += len(same)
            later = times[times > least]
            if len(later):
                following = min(int(later.min()), following or int(later.min()))
    return LeastTime(rows, where, following)


def _times(plan: Plan, chunk: Chunk, schema: Schema) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    first = 0
    for batch in read(plan.files[chunk.file], chunk, schema, _ROWS):
        yield first, event_times(batch)
        first += batch.num_rows
