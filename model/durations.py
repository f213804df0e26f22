"""Durations as people write them: ``60``, ``90s``, ``5m``, ``1h``, ``2d``."""

from __future__ import annotations

import re

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
