"""Grouping on the embedded runner: Beam's own panes, in less time."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import GeneralTriggerDriver
from apache_beam.transforms.window import (
    FixedWindows,
    Sessions,
    SlidingWindows,
    TimestampedValue,
    WindowFn,
)

from pipeline.runners.grouping import told_by_window_fn

ROWS = [(key, second) for key in "ab" for second in (0, 3, 4, 11, 12, 25, 26)]
FUNCTIONS = [FixedWindows(5), SlidingWindows(10, 5), Sessions(2)]


def grouped(function: WindowFn) -> list[Any]:
    """The rows by key and window, by hand."""
    by_key: dict[Any, list[int]] = {}
    for key, second in ROWS:
        if isinstance(function, Sessions):
            starts = {0: (0, 2), 3: (3, 6), 4: (3, 6), 11: (11, 14), 12: (11, 14)}
            bounds = [starts.get(second, (25, 28))]
        else:
            size, period = (10, 5) if isinstance(function, SlidingWindows) else (5, 5)
            last = second // period * period
            bounds = [(start, start + size) for start in range(last, second - size, -period)]
        for bound in bounds:
            by_key.setdefault((key, *bound), []).append(second)
    return sorted(by_key.items())


def shown(pair: Any, window: Any = beam.DoFn.WindowParam) -> Any:
    key, seconds = pair
    return (key, int(window.start), int(window.end)), sorted(seconds)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: type(function).__name__)
def test_what_is_grouped_is_what_was_grouped(function: WindowFn) -> None:
    with told_by_window_fn(), TestPipeline() as p:
        found = (
            p
            | beam.Create(ROWS)
            | beam.Map(lambda row: TimestampedValue(row, row[1]))
            | beam.WindowInto(function)
            | beam.GroupByKey()
            | beam.Map(shown)
        )
        assert_that(found, equal_to(grouped(function)))


def test_only_windows_of_a_function_that_merges_are_looked_through() -> None:
    with told_by_window_fn():
        merging = [GeneralTriggerDriver(Windowing(f), None).is_merging for f in FUNCTIONS]
    assert merging == [False, False, True]


def test_beam_is_as_it_was_afterwards() -> None:
    plain = GeneralTriggerDriver.__init__
    with pytest.raises(KeyError), told_by_window_fn():
        raise KeyError
    assert GeneralTriggerDriver.__init__ is plain
