"""Times and windows as Beam has them."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import IntervalWindow
from apache_beam.utils.timestamp import Duration, Timestamp

WINDOW: Any = beam.DoFn.WindowParam
STAMP: Any = beam.DoFn.TimestampParam
FINALIZER: Any = beam.DoFn.BundleFinalizerParam
"""Defaults by which Beam knows what a parameter takes: an element's window, its stamp, or where to
register what is called when a bundle is committed."""


def beam_time(micros: int) -> Timestamp:
    """A stamp as Beam has it: whole milliseconds, rounded down.

    Between the SDK and a runner finer ones are cut off. Without rounding that could put an
    element before the watermark, where a runner drops it.
    """
    return Timestamp(micros=micros // 1000 * 1000)


def last_time(window: IntervalWindow) -> Timestamp:
    """A window's last millisecond.

    Beam stamps what it groups with the last microsecond, which its coders round into the next
    window if that is before 1970.
    """
    return window.end - Duration(micros=1000)
