"""Durations as people write them: ``60``, ``90s``, ``5m``, ``1h``, ``2d``; some as ``100ms``."""

from __future__ import annotations

import math
import re

FINE_ALLOWED = "must be a duration, as 100ms, 1s, 5m, 1h"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
"""Seconds of a unit, by its letter."""
ALLOWED = "must be a duration in whole seconds, as 60, 90s, 5m, 1h, 1d"
LONGEST = 36_525 * 86_400
"""Maximum number of seconds of a duration: a hundred years."""


def parse_duration(value: object) -> int:
    """A duration as whole seconds.

    Args:
        value: whole seconds, or text.

    Raises:
        ValueError: if it is not a duration.

    Example:
        >>> parse_duration("5m"), parse_duration(90)
        (300, 90)
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(ALLOWED)
    match = re.fullmatch(r"(\d+)([smhd]?)", str(value).strip())
    if match is None:
        raise ValueError(ALLOWED)
    return int(match[1]) * UNITS[match[2]]


def check_duration(seconds: int, least: int = 1) -> int:
    """A duration, if it is within bounds.

    Raises:
        ValueError: if it is shorter than the least, or longer than ``LONGEST``.

    Example:
        >>> check_duration(0)
        Traceback (most recent call last):
        ...
        ValueError: must be a duration from 1s to 36525d, as 1d
    """
    if not least <= seconds <= LONGEST:
        raise ValueError(f"must be a duration from {least}s to {LONGEST // UNITS['d']}d, as 1d")
    return seconds


def parse_fine_duration(value: object) -> int | float:
    """A duration of whole milliseconds as seconds: a float only if they are not whole.

    Args:
        value: as ``parse_duration`` takes it, or seconds as a float, or text as ``100ms``.

    Raises:
        ValueError: if it is not such a duration.

    Example:
        >>> parse_fine_duration("100ms"), parse_fine_duration("2000ms"), parse_fine_duration(0.25)
        (0.1, 2, 0.25)
    """
    if isinstance(value, float) and math.isfinite(value) and round(value * 1000, 6).is_integer():
        return _seconds(round(value * 1000))
    match = re.fullmatch(r"(\d+)ms", str(value).strip(), re.ASCII)
    if match is not None:
        return _seconds(int(match[1]))
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(FINE_ALLOWED) from error


def _seconds(millis: int) -> int | float:
    return millis / 1000 if millis % 1000 else millis // 1000


def to_millis(seconds: float) -> int:
    """A duration of ``parse_fine_duration`` in milliseconds."""
    return round(seconds * 1000)


def format_millis(millis: int) -> str:
    """A length of time as an option takes it.

    Example:
        >>> format_millis(100), format_millis(1500), format_millis(60_000)
        ('100ms', '1500ms', '60s')
    """
    return f"{millis}ms" if millis % 1000 else f"{millis // 1000}s"
