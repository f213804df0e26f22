"""What pictures are made of: periods of event time, and scored rows whose target is known."""

from __future__ import annotations

from typing import NamedTuple

from model.arrays import Matrix
from model.asof import EPOCH, parse_iso

DAY = 86_400
"""Seconds."""
LAST_DAY = 2_932_896.999999
"""Days since the epoch: the last tenth of a second of 9999, which matplotlib rounds up."""


class Period(NamedTuple):
    """A stretch of event time as ISO 8601 in UTC: the start is in it, the end is not."""

    start: str
    end: str


class Points(NamedTuple):
    """Scored rows with a target, both finite: each of shape (rows,)."""

    target: Matrix
    prediction: Matrix

    @property
    def residuals(self) -> Matrix:
        """The targets less the predictions."""
        return self.target - self.prediction


def count_days(time: str) -> float:
    """ISO 8601 in UTC as days since the epoch: how matplotlib has times.

    Raises:
        ValueError: if it is not one.

    Example:
        >>> count_days("1970-01-02T12:00:00Z")
        1.5
    """
    passed = parse_iso(time) - EPOCH
    seconds = passed.days * DAY + passed.seconds
    return min(LAST_DAY, (seconds + passed.microseconds * 1000 / 1e9) / DAY)
