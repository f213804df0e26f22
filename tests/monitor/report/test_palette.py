"""The colours: seen by all, on both backgrounds."""

from __future__ import annotations

import pytest

from monitor.report.pictures.palette import LINES, PALETTE, variables

BACKGROUNDS = ("paper", "card")


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_what_wcag_shows_it_is() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_text_and_lines_stand_out_from_both_backgrounds(background: str, dark: bool) -> None:
    behind = PALETTE[background][dark]
    for name in ("ink", "soft", "line-1", "line-2"):  # the last two are also links and marks
        assert contrast(PALETTE[name][dark], behind) >= 4.5, name
    for number in range(1, len(LINES) + 1):
        assert contrast(PALETTE[f"line-{number}"][dark], behind) >= 3, number


@pytest.mark.parametrize("dark", [False, True])
def test_the_more_rows_a_cell_holds_the_more_it_stands_out(dark: bool) -> None:
    behind = PALETTE["card"][dark]
    steps = [contrast(PALETTE[f"heat-{number}"][dark], behind) for number in range(1, 6)]
    assert steps == sorted(steps) and steps[-1] > 7


def test_no_two_colours_are_the_same_so_each_can_be_recognised_in_a_drawing() -> None:
    lights = [colour.light for colour in PALETTE.values()]
    assert len(set(lights)) == len(lights)


def test_the_variables_name_every_colour() -> None:
    result = dict(pair.split(": ") for pair in variables(dark=True).split("; "))
    assert result == {f"--{name}": colour.dark for name, colour in PALETTE.items()}
