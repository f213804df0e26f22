"""Wording that messages share: counts, durations, lists that are cut off, errors in a line."""

from __future__ import annotations

from collections.abc import Iterable


def format_count(number: int, noun: str) -> str:
    """A number and what it counts, in the singular for 1.

    Example:
        >>> format_count(1, "window"), format_count(2000, "refresh")
        ('1 window', '2,000 refreshes')
    """
    plural = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def format_duration(seconds: int) -> str:
    """A length of time in the largest unit in which it is whole.

    Example:
        >>> [format_duration(seconds) for seconds in (604_800, 3600, 90, 5400)]
        ['7 days', '1 hour', '90 seconds', '90 minutes']
    """
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length and seconds % length == 0:
            return format_count(seconds // length, unit)
    return format_count(seconds, "second")


def format_seconds(seconds: float) -> str:
    """A duration to be read at a glance.

    Example:
        >>> [format_seconds(seconds) for seconds in (42.4, 200, 7300, 259_200)]
        ['42 s', '3 min', '2.0 h', '3.0 days']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def first_few(names: Iterable[str], most: int = 3) -> str:
    """The first of some names, and how many more there are.

    Example:
        >>> first_few(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    found = list(names)
    more = len(found) - most
    return ", ".join(found[:most]) + (f" and {more:,} more" if more > 0 else "")


def first_line(error: BaseException) -> str:
    r"""The first line of an error's message, or, without one, the error's type.

    Example:
        >>> first_line(ValueError("no\nnever")), first_line(KeyboardInterrupt())
        ('no', 'KeyboardInterrupt')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
