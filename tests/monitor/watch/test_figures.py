"""Figures as text: sparklines, times, lines of parts, nothing that a terminal obeys."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.watch.figures import ASCII_BLOCKS, BLOCKS, clean, pack_lines, sparkline, times


@pytest.mark.parametrize("blocks", [BLOCKS, ASCII_BLOCKS])
def test_the_sparkline_cuts_the_range_into_as_many_steps_as_there_are_blocks(blocks: str) -> None:
    values = np.random.default_rng(1).uniform(500, 900, 60)
    inner = np.linspace(values.min(), values.max(), len(blocks) + 1)[1:-1]
    expected = "".join(blocks[step] for step in np.digitize(values, inner))
    assert sparkline(values.tolist(), blocks) == expected


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([None, None], "  "),
        ([3.0, 3.0], "▁▁"),
        ([float("nan"), 1.0, float("inf"), 2.0], " ▁ █"),
    ],
)
def test_what_has_no_height_is_a_gap_and_what_is_constant_lies_low(
    values: list[float | None], line: str
) -> None:
    assert sparkline(values) == line


def test_nothing_of_a_file_steers_the_terminal() -> None:
    assert clean("\x1b]0;x\x07\r\n\u202eb\u9b3c") == "?]0;x????b\u9b3c"
    assert clean("não \u9b3c", "ascii") == "n?o ?"


def test_short_times_leave_out_what_all_have_in_common() -> None:
    day = ["20260101T000000Z", "20260101T000100Z"]
    assert times(day, short=True) == ["00:00:00", "00:01:00"]
    weeks = ["20251231T000000Z", "20260107T000000Z"]
    assert times(weeks, short=True) == ["2025-12-31", "2026-01-07"]
    assert times([weeks[0], day[1]], short=True) == ["12-31 00:00:00", "01-01 00:01:00"]
    assert times([]) == []


def test_a_part_is_never_broken() -> None:
    assert pack_lines(["aa", "bb", "cccccc", "d"], 6) == ["aa, bb", "cccccc", "d"]
    assert pack_lines(["\u9b3c\u9b3c", "bb"], 7) == ["\u9b3c\u9b3c", "bb"]  # two columns a letter
