"""What the values of some options may be; each function is a validator of ``Settings``."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr


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
        ValueError: if it is none; the message does not show the value, which may hold a secret.

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
