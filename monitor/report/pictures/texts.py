"""Figures as texts, for pictures and pages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def count(number: int) -> str:
    """A count.

    Example:
        >>> count(15000)
        '15,000'
    """
    return f"{number:,}"


def figure(value: float | None) -> str:
    """A figure of four significant digits; a dash for none.

    Example:
        >>> figure(1234.56), figure(0.123456), figure(12_345_678.0)
        ('1,235', '0.1235', '12,345,678')
    """
    if value is None or not np.isfinite(value):
        return "\N{EN DASH}"
    size = abs(value)
    text = f"{value:,.0f}" if 1000 <= size < 1e15 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def size(amount: int) -> str:
    """Bytes.

    Example:
        >>> size(512), size(3_200_000)
        ('512 B', '3.2 MB')
    """
    for least, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if amount >= least:
            return f"{amount / least:.3g} {unit}"
    return f"{amount} B"


def range_of(values: npt.NDArray[np.float64]) -> str:
    """The last value of a series of shape (n,), its least and its greatest; NaN is none.

    Example:
        >>> range_of(np.array([np.nan, 1.0, 3.0, 2.0]))
        'latest 2, least 1, greatest 3'
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return "no figure"
    latest, low, high = (figure(float(v)) for v in (known[-1], known.min(), known.max()))
    return f"latest {latest}, least {low}, greatest {high}"
