"""What the values of some options may be; each function is a validator of ``Settings``."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from model.durations import LONGEST, parse_duration


def delays(value: Any) -> Any:
    """A least and a greatest duration, as text in seconds.

    Raises:
        ValueError: if it is not one.

    Example:
        >>> delays("0..5m")
        '0s..300s'
    """
    if value is None:
        return None
    ends = str(value).split("..")
    if len(ends) != 2:
        raise ValueError("must be two durations, as 0..5m")
    least, greatest = map(parse_duration, ends)
    if least > greatest:
        raise ValueError(f"must be from a duration to a longer one (it is from {least}s)")
    if greatest > LONGEST:
        raise ValueError(f"must be within {LONGEST} seconds")
    return f"{least}s..{greatest}s"


def threshold(value: Any) -> Any:
    """A number above 0, or None from ``none``.

    Raises:
        ValueError: if it is neither.

    Example:
        >>> threshold("0.25"), threshold("none")
        (0.25, None)
    """
    if value is None or value == "none":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError("must be a number > 0, or none (no such alert)")
    return number


def address(value: Any) -> Any:
    """An address that is posted to.

    Raises:
        ValueError: if it is not one; the message does not show the value, which may hold a secret.

    Example:
        >>> address("https://example.org/hook?token=a")
        'https://example.org/hook?token=a'
    """
    if value is None or isinstance(value, SecretStr):
        return value
    if not _is_address(str(value)):
        raise ValueError("must be an http:// or https:// address, without a user's name")
    return str(value)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    printed = text.isascii() and text.isprintable() and " " not in text
    return (
        printed
        and parts.scheme in ("http", "https")
        and bool(host)
        and port != 0
        and ("@" not in parts.netloc)
    )
