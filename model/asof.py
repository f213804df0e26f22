"""The as-of rule: event time alone decides which model scores a row.

A row of refresh r is scored by the newest artefact whose window had ended when r began, or
``lag - 1`` refreshes earlier. All times are microseconds since the epoch, UTC; windows end,
and refreshes begin, at its multiples of ``every``, or an offset behind them: at midnight in a time
zone (``model.zones.standard_offset``). A model that is pinned goes before the rule
(``model.promotions``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from model.batch import SECOND

Time = TypeVar("Time", int, npt.NDArray[np.int64])
"""A time, or an array of times; microseconds."""

NAME = "%Y%m%dT%H%M%SZ"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LEAST = (datetime.min.replace(tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1)
GREATEST = (datetime.max.replace(tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How event time is divided; all lengths in microseconds.

    Attributes:
        window: what one model is trained on, a multiple of ``every``.
        every: a refresh: how long one model serves, and how far apart windows end.
        latency: a serve window, which divides ``every``: a row is scored within it.
        lag: how many refreshes after its window's end a model begins to serve; 1 is at once.
        offset: how long behind the multiples of ``every`` refreshes begin; less than ``every``.

    Example:
        >>> Cadence(window=180, every=60, latency=20).serve_windows(60)
        range(60, 120, 20)
        >>> Cadence(window=180, every=60, latency=20, offset=5).refresh_of(64)
        5
    """

    window: int
    every: int
    latency: int
    lag: int = 1
    offset: int = 0

    def refresh_of(self, time: int) -> int:
        """The start of the refresh in which a time lies."""
        return floor_to(time, self.every, self.offset)

    def serve_window_of(self, time: Time) -> Time:
        """The start of the serve window in which a time lies, or of each of several."""
        return floor_to(time, self.latency, self.offset)

    def serve_windows(self, refresh: int) -> range:
        """The starts of the serve windows of the refresh that starts at ``refresh``."""
        return range(refresh, refresh + self.every, self.latency)


def floor_to(time: Time, step: int, offset: int = 0) -> Time:
    """Rounds a time down to a multiple of ``step``, and ``offset``, such as its refresh's start.

    Example:
        >>> floor_to(130, 60), floor_to(130, 60, 20), floor_to(130, 60, 10)
        (120, 80, 130)
    """
    return (time - offset) // step * step + offset


def first_served(window_end: int, every: int, lag: int) -> int:
    """The start of the refresh that a window's model serves first.

    Example:
        >>> first_served(window_end=120, every=60, lag=1)
        120
        >>> first_served(window_end=120, every=60, lag=2)
        180
    """
    return window_end + (lag - 1) * every


def newest_window_end(refresh: int, every: int, lag: int) -> int:
    """The latest end of the window of a refresh's model: the inverse of ``first_served``."""
    return refresh - (lag - 1) * every


def to_datetime(time: int) -> datetime:
    """A time in microseconds as a datetime in UTC.

    Times before year 1 or after 9999, as a window's edge may have, become the least or the
    greatest datetime.
    """
    return EPOCH + timedelta(microseconds=min(max(time, LEAST), GREATEST))


def from_datetime(at: datetime) -> int:
    """A datetime as a time in microseconds: the inverse of ``to_datetime``."""
    return (at - EPOCH) // timedelta(microseconds=1)


def format_iso(time: int) -> str:
    """A time in microseconds as ISO 8601, in UTC.

    Example:
        >>> format_iso(1_795_417_260_000_000)
        '2026-11-23T07:01:00Z'
    """
    return to_datetime(time).isoformat().replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Parses ISO 8601, as ``format_iso`` writes it.

    Raises:
        ValueError: if the text is not ISO 8601.

    Example:
        >>> parse_iso("2026-11-23T07:01:00Z") == to_datetime(1_795_417_260_000_000)
        True
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # "Z" from Python 3.11 on


def format_name(time: int) -> str:
    """A time (whole seconds) as the name of a file or folder.

    Example:
        >>> format_name(1_795_417_260_000_000)
        '20261123T070100Z'
    """
    at = to_datetime(time)
    # Not %Y: on Linux strftime does not pad years before 1000, and names must sort as times do.
    return f"{at.year:04d}" + at.strftime("%m%dT%H%M%SZ")


def parse_name(name: str) -> int:
    """Parses a name that ``format_name`` made, to microseconds.

    Raises:
        ValueError: if it is not such a name.
    """
    at = datetime.strptime(name, NAME).replace(tzinfo=timezone.utc)
    time = (at - EPOCH) // timedelta(seconds=1) * SECOND
    if format_name(time) != name:  # strptime takes small letters, spaces and other digits too
        raise ValueError(f"{name!r} is not a name of the form 20261123T070100Z")
    return time
