"""Beam's windows of a cadence: refreshes, serve windows, and those that models are trained on."""

from __future__ import annotations

from apache_beam.transforms.window import FixedWindows, NonMergingWindowFn, SlidingWindows
from apache_beam.utils.timestamp import Duration

from model.asof import Cadence
from model.batch import SECOND

# Not Beam's global window: of a stream Beam groups nothing there without a trigger, and the
# embedded runner has none for it.
ALL_OF_TIME = FixedWindows(315_537_897_599, offset=-62_135_596_800)
"""One window of the years 1 to 9999."""


def refreshes(cadence: Cadence) -> FixedWindows:
    """The refreshes.

    Example:
        >>> day, hour = 86_400 * SECOND, 3_600 * SECOND
        >>> refreshes(Cadence(window=day, every=day, latency=day, offset=5 * hour)).offset
        Duration(18000)
    """
    return FixedWindows(cadence.every // SECOND, cadence.offset // SECOND)


def serve_windows(cadence: Cadence) -> FixedWindows:
    """The serve windows."""
    return FixedWindows(Duration(micros=cadence.latency), cadence.offset // SECOND)


def training_windows(cadence: Cadence) -> NonMergingWindowFn:
    """The windows that models are trained on: one ends with each refresh."""
    if cadence.window == cadence.every:
        return refreshes(cadence)
    return SlidingWindows(
        cadence.window // SECOND, cadence.every // SECOND, cadence.offset // SECOND
    )
