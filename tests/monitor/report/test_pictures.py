"""The pictures: what is drawn is what the figures say, and anybody can read it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.dates import date2num

from model.asof import EPOCH, GREATEST, LEAST
from model.metrics import ErrorQuantiles, GroupedFigures, Metrics, ValueFigures
from model.statistics import Categorical, Numeric
from monitor.report import pictures
from monitor.report.pictures.canvas import BOTTOM, HEIGHT, LONGEST
from monitor.report.pictures.overtime import spans
from monitor.report.pictures.palette import PALETTE
from monitor.report.pictures.points import BARS, CELLS, OUTER
from monitor.report.series import LAST_DAY, Points, count_days
from tests.kit.job import ROOT
from tests.kit.report import MARKUP, corners, description, parse, paths, report, texts


def of_value(value: str | None, labelled: int, mae: float) -> ValueFigures:
    return ValueFigures(value=value, labelled=labelled, mae=mae, baseline_mae=None, skill=None)


REPORTS = [report(0), report(1, 4.0, late=3), report(2, 2.0), report(5, 8.0, rejected=50)]
SPREAD = [
    one.model_copy(
        update={
            "absolute_error": ErrorQuantiles(p50=1.0, p90=3.0),
            "groups": GroupedFigures(
                values=(of_value("a", 2, 1.0 + n), of_value(None, 1, 9.0)), others=0, other=None
            ),
        }
    )
    for n, one in enumerate(REPORTS[:2])
]
SPANS = spans(REPORTS)
RNG = np.random.default_rng(0)
POINTS = Points(target := RNG.normal(size=2_000), target + RNG.normal(size=2_000) / 2)
NUMBERS = [Numeric(count=9, nulls=0, mean=m, variance=4.0, min=0, max=9) for m in (1, 5, 2, 3)]
VALUES = [
    Categorical(count=8, nulls=0, values={"a": 4, "b": 2, **{f"v{i}": 1 for i in range(2)}})
] * 4

ALL: dict[str, Callable[[], str]] = {
    "error": lambda: pictures.error(REPORTS),
    "skill": lambda: pictures.skill(REPORTS),
    "quantiles": lambda: pictures.quantiles(SPREAD),
    "by-value": lambda: pictures.by_value(SPREAD, "c"),
    "rows": lambda: pictures.rows(REPORTS),
    "predicted": lambda: pictures.predicted_against_actual(POINTS),
    "residuals": lambda: pictures.residuals(POINTS),
    "spread": lambda: pictures.residuals_against_predicted(POINTS),
    "numeric": lambda: pictures.numeric("x", SPANS, NUMBERS),
    "categorical": lambda: pictures.categorical("c", SPANS, VALUES),
    "drift": lambda: pictures.drift(SPANS, {"x": np.array([0.1, np.nan, 0.3, 0.2])}),
    "importance": lambda: pictures.importance({"x": 0.7, "c=a": 0.3}, "share"),
    "unlabelled": lambda: pictures.unlabelled([report(0, unlabelled=50), report(1)]),
    "nulls": lambda: pictures.nulls(SPANS, {"x": np.array([0.1, np.nan, 0.0, 0.5])}),
    "timeline": lambda: pictures.timeline("fits", "Seconds a fit", SPANS, np.arange(4.0)),
}


@pytest.mark.parametrize("name", ALL)
def test_a_picture_has_a_name_and_words_for_who_does_not_see_it(name: str) -> None:
    root = parse(ALL[name]())
    assert root.attrib["role"] == "img"
    ids = {element.get("id"): "".join(element.itertext()) for element in root.iter()}
    named = [ids[word] for word in root.attrib["aria-labelledby"].split()]
    assert len(named) == 2 and all(named)


@pytest.mark.parametrize("name", ALL)
def test_every_colour_of_a_picture_is_the_pages(name: str) -> None:
    colours = re.findall(r"(\(--[\w-]+, )?(#[0-9a-f]{6}|#[0-9a-f]{3})\b(?=[;\")])", ALL[name]())
    known = {f"(--{name}, ": colour.light for name, colour in PALETTE.items()}
    assert colours and all(known.get(before) == colour for before, colour in colours)


def test_the_same_figures_give_the_same_bytes_in_another_process_and_order() -> None:
    code = (
        "import json; from tests.monitor.report.test_pictures import ALL; "
        "print(json.dumps({name: ALL[name]() for name in reversed(ALL)}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(process.stdout.splitlines()[-1]) == {name: ALL[name]() for name in ALL}


def test_no_two_pictures_of_a_page_have_an_id_in_common_and_each_reference_leads_to_one() -> None:
    drawn = "".join(draw() for draw in ALL.values())
    ids = Counter(re.findall(r' id="([^"]+)"', drawn))
    assert set(ids.values()) == {1}
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= ids.keys()
    assert set(re.findall(r'href="#([^"]+)"', drawn)) <= ids.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_picture_asks_for_nothing_and_styles_only_itself(name: str) -> None:
    drawn = ALL[name]()
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"<(style|script|image|metadata)|font-family", drawn)


FLOOR = HEIGHT - BOTTOM
"""Where zero is drawn, in the picture's units from above."""


def pieces(svg: str, colour: str) -> list[np.ndarray]:
    """The pieces of the first outline of a colour: the corners' places, heights above the floor."""
    outline = paths(svg, f"--{colour},")[0]
    return [corners(piece) * (1, -1) + (0, FLOOR) for piece in re.split(r"(?=M)", outline)[1:]]


def test_the_error_is_drawn_to_scale_from_zero_up_with_a_gap_where_no_refresh_was() -> None:
    svg = pictures.error(REPORTS)
    first, second = pieces(svg, "line-1")  # minutes 1 and 2, minute 5
    per_unit = second[0, 1] / 8.0
    assert first[1::2, 1][:2] == pytest.approx([4 * per_unit, 2 * per_unit], abs=0.02)
    minute = first[2, 0] - first[0, 0]
    assert (second[0, 0] - first[-1, 0]) / minute == pytest.approx(2, abs=1e-3)
    [base, _] = pieces(svg, "line-2")
    assert base[1::2, 1][:2] == pytest.approx(2 * first[1::2, 1][:2], abs=0.02)


def test_the_error_begins_at_zero_also_if_every_refresh_was_scored() -> None:
    [line] = pieces(pictures.error([report(0, 4.0), report(1, 8.0)]), "line-1")
    assert line[3, 1] == pytest.approx(2 * line[1, 1], abs=0.02)


def test_what_was_not_scored_is_shaded_and_what_held_late_rows_is_marked() -> None:
    svg = pictures.error(REPORTS)
    first, _ = pieces(svg, "line-1")
    minute = first[2, 0] - first[0, 0]
    [shaded], [marked] = pieces(svg, "shade"), pieces(svg, "line-4")
    assert shaded[[0, -1], 0] == pytest.approx(first[0, 0] - [minute, 0], abs=0.02)  # minute 0
    assert marked[[0, -1], 0] == pytest.approx(first[0, 0] + [0, minute], abs=0.02)  # minute 1
    assert {"not scored", "late rows"} <= set(texts(svg))
    plain = pictures.error([report(0, 1.0)])
    assert not {"not scored", "late rows"} & set(texts(plain))


def test_an_error_of_few_rows_has_its_interval() -> None:
    few = report(1, 4.0, labelled=10, rmse=5.0)  # half: 1.96 * sqrt((25 - 16) / 9)
    svg = pictures.error([report(0, 4.0, labelled=100, rmse=5.0), few])
    [band] = pieces(svg, "line-1")  # drawn before the line, of the second minute alone
    [base] = pieces(svg, "line-2")
    heights = [band[:, 1].min(), band[:, 1].max()]
    assert heights == pytest.approx(np.array([4 - 1.96, 4 + 1.96]) * base[1, 1] / 8, abs=0.05)
    assert "1 of fewer than 100 rows" in description(svg)
    assert "95 %, few rows" in texts(svg)


def test_the_error_is_reported_in_words_too() -> None:
    result = description(pictures.error(REPORTS))
    assert "Model: latest 8, least 2, greatest 8." in result
    assert "mean of the window: latest 16, least 4, greatest 16." in result


def test_bars_stand_on_each_other_to_scale() -> None:
    svg = pictures.rows(REPORTS)  # 100; 97 and 3 late; 100; 100 and 50 rejected
    tops = {name: [piece[1::2, 1] for piece in pieces(svg, name)] for name in LINES_OF_ROWS}
    per_row = tops["line-2"][1][0] / 150
    assert tops["line-1"][0][:3] / per_row == pytest.approx([100, 97, 100], abs=0.1)
    assert tops["line-4"][0][1] / per_row == pytest.approx(100, abs=0.1)
    assert tops["line-1"][1][0] / per_row == pytest.approx(100, abs=0.1)
    assert "397 in time, 3 late, 50 rejected" in description(svg)


LINES_OF_ROWS = ("line-1", "line-4", "line-2")


def test_each_row_is_counted_in_its_cell() -> None:
    points = Points(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    svg = pictures.predicted_against_actual(points)
    squares = [corners(d) for d in paths(svg, "--heat-5,")]
    assert len(squares) == 1 and len(squares[0]) == 3 * 4
    left_below, left_above, right_above = squares[0].reshape(3, 4, 2).mean(axis=1)
    assert left_below[0] == left_above[0] < right_above[0]
    assert left_below[1] > left_above[1] == right_above[1]  # SVG counts downwards


def test_as_many_cells_are_drawn_as_hold_a_row() -> None:
    svg = pictures.predicted_against_actual(POINTS)
    drawn = sum(len(corners(d)) // 4 for n in range(1, 6) for d in paths(svg, f"--heat-{n},"))
    ends = np.percentile(np.concatenate(POINTS), (OUTER, 100 - OUTER))
    counts, _, _ = np.histogram2d(POINTS.target, POINTS.prediction, CELLS, [ends, ends])
    assert drawn == (counts > 0).sum()


def test_bars_of_residuals_have_the_heights_of_a_histogram() -> None:
    [bars] = pieces(pictures.residuals(POINTS), "line-1")
    missed = POINTS.target - POINTS.prediction
    counts, _ = np.histogram(missed, BARS, tuple(np.percentile(missed, (OUTER, 100 - OUTER))))
    heights = bars[1 : 2 * BARS : 2, 1] - bars[0, 1]
    assert heights / heights.max() == pytest.approx(counts / counts.max(), abs=2e-3)


def test_residuals_are_actual_less_predicted_and_reported_by_percentiles() -> None:
    points = Points(np.arange(101.0), np.zeros(101))
    result = description(pictures.residuals(points))
    assert "101 rows" in result and "above 50" in result and "between 5 and 95" in result


def test_a_feature_is_its_mean_in_a_band_of_one_standard_deviation() -> None:
    svg = pictures.numeric("x", SPANS, NUMBERS)  # means 1, 5, 2 and 3; all deviations are 2
    band, mean = (corners(d) for d in paths(svg, "--line-1,"))
    ups = -mean[1::2, 1]
    per_unit = (ups[1] - ups[0]) / 4
    assert (ups[2] - ups[0]) / per_unit == pytest.approx(1, abs=0.01)
    assert np.ptp(band[:, 1]) / per_unit == pytest.approx(5 - 1 + 2 * 2, abs=0.02)
    assert "Standard deviation: latest 2, least 2, greatest 2" in description(svg)


def test_the_commonest_values_are_drawn_as_percent_of_the_values_that_are_there() -> None:
    columns = [Categorical(count=8, nulls=2, values=dict.fromkeys("edcba", 1) | {"z": 3})]
    svg = pictures.categorical("c", SPANS[:1], columns)
    assert [text for text in texts(svg) if len(text) == 1 and text.isalpha()] == list("zabc")
    assert "z: latest 37.5, " in description(svg) and "a: latest 12.5" in description(svg)


def test_bars_of_importance_are_to_scale_the_greatest_first_no_more_than_eight() -> None:
    weights = {f"f{number}": float(number) for number in range(12)}
    svg = pictures.importance(weights, "share")
    assert texts(svg)[::2] == [f"f{number}" for number in range(11, 3, -1)]
    assert texts(svg)[1::2] == [str(number) for number in range(11, 3, -1)]
    widths = [np.ptp(corners(d)[:, 0]) for d in paths(svg, "--line-1,")]
    assert np.array(widths) / widths[0] == pytest.approx(np.arange(11, 3, -1) / 11, abs=1e-3)


def test_the_features_that_drifted_most_are_drawn() -> None:
    indices = {f"f{n}": np.array([np.nan, n / 10]) for n in range(7)}
    drawn = texts(pictures.drift(SPANS[:2], indices))
    assert [text for text in drawn if text.startswith("f")] == ["f6", "f5", "f4", "f3"]
    assert {"moderate", "large"} <= set(drawn)


EMPTY = Points(np.array([1.0]), np.array([1.0]))


NOTHING = Numeric(count=0, nulls=3, mean=None, variance=None, min=None, max=None)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: pictures.error([report(0)]),
        lambda: pictures.skill([report(0)]),
        lambda: pictures.rows([report(0, rows=0)]),
        lambda: pictures.residuals(EMPTY),
        lambda: pictures.predicted_against_actual(EMPTY),
        lambda: pictures.residuals_against_predicted(EMPTY),
        lambda: pictures.importance({"x": 0.0}, "share"),
        lambda: pictures.timeline("fits", "Seconds", SPANS[:1], np.zeros(1)),
        lambda: pictures.numeric("x", SPANS[:1], [NOTHING]),
        lambda: pictures.categorical("c", SPANS[:1], [Categorical(count=0, nulls=3, values={})]),
        lambda: pictures.rows([report(0), far_away()]),
        lambda: pictures.error([report(0, 1e150), report(1, 1e-150)]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_the_least_there_can_be_and_the_greatest_are_drawn(draw: Callable[[], str]) -> None:
    parse(draw())


def far_away() -> Metrics:
    """The last minute that there is."""
    times: dict[str, Any] = {
        "refresh_start": "9999-12-31T23:59:00Z",
        "refresh_end": "9999-12-31T23:59:59.999999Z",
    }
    return report(0, **times)


@pytest.mark.parametrize(
    "name", [MARKUP, "$\\frac{1}{0}$", "a\0b\nc\x1b", "日本語", "x" * 1000, "", "_x"]
)
@pytest.mark.filterwarnings("error", "ignore:Glyph .* missing")
def test_a_name_is_text_whatever_it_holds(name: str) -> None:
    columns = [Categorical(count=1, nulls=0, values={name: 1})]
    for svg in (
        pictures.categorical(name, SPANS[:1], columns),
        pictures.numeric(name, SPANS[:1], NUMBERS[:1]),
        pictures.importance({name: 1.0}, "share"),
        pictures.drift(SPANS[:1], {name: np.array([0.5])}),
    ):
        assert {element.tag.split("}")[1] for element in parse(svg).iter()} <= TAGS
        assert max(map(len, texts(svg))) <= LONGEST


@pytest.mark.parametrize(("name", "message"), [("_x", "_x"), ("", "(empty)"), ("a\0", "a\ufffd")])
def test_a_value_is_named_even_if_its_name_is_odd(name: str, message: str) -> None:
    columns = [Categorical(count=1, nulls=0, values={name: 1})]
    assert message in texts(pictures.categorical("c", SPANS[:1], columns))


TAGS = {"svg", "title", "desc", "g", "path", "defs", "use", "text", "clipPath", "rect"}


def test_a_picture_of_a_thousand_refreshes_is_small() -> None:
    reports = [report(minute, 1.0 + minute % 7) for minute in range(1_000)]
    assert len(pictures.error(reports)) < 100_000


SPARSE = [report(3 * 24 * 60 * day, 1.0 + day % 2, late=1, unlabelled=day) for day in range(40)]
"""A minute every three days: a step would be a hundredth of the picture's unit wide."""


def marks(svg: str, colour: str) -> np.ndarray:
    """Where the dots of a colour are, shape (dots, 2)."""
    uses = [use for use in parse(svg).iter() if use.tag.endswith("use")]
    found = [use for use in uses if f"--{colour}," in use.get("style", "")]
    return np.array([(float(use.attrib["x"]), float(use.attrib["y"])) for use in found])


@pytest.mark.parametrize("colour", ["line-1", "line-2"])
def test_steps_too_narrow_to_be_seen_have_dots_in_their_places(colour: str) -> None:
    dots = marks(pictures.error(SPARSE), colour)
    assert len(dots) == 40
    assert np.diff(dots[:, 0]) == pytest.approx(np.full(39, np.diff(dots[:, 0]).mean()), abs=0.05)
    heights = FLOOR - dots[:, 1]
    assert heights[1::2] == pytest.approx(np.full(20, 2 * heights[0]), abs=0.1)
    assert not len(marks(pictures.error(REPORTS), colour))


def test_no_line_joins_steps_over_a_gap() -> None:
    drawn = pieces(pictures.skill(SPARSE), "line-1")
    assert len(drawn) == 40
    assert max(np.ptp(piece[:, 0]) for piece in drawn) < 4


def test_bars_and_ticks_of_narrow_spans_are_wide_enough_to_be_seen() -> None:
    for svg, colour in ((pictures.rows(SPARSE), "line-1"), (pictures.error(SPARSE), "line-4")):
        widths = [np.ptp(piece[:, 0]) for piece in pieces(svg, colour)]
        assert len(widths) == 40 and min(widths) > 1.2


def test_a_single_value_among_many_refreshes_is_seen() -> None:
    reports = [report(minute, 1.0 if minute == 500 else None) for minute in range(1000)]
    assert len(marks(pictures.error(reports), "line-1")) == 1


def test_the_share_of_unlabelled_rows_is_in_percent() -> None:
    result = description(pictures.unlabelled([report(0, unlabelled=50), report(1, rows=0)]))
    assert "50 rows without a target" in result and "latest 50, least 50, greatest 50" in result


def test_the_columns_with_most_nulls_are_drawn() -> None:
    shares = {f"c{n}": np.full(4, n / 10) for n in range(6)}
    result = description(pictures.nulls(SPANS, shares))
    assert [name for name in shares if f"{name}:" in result] == ["c2", "c3", "c4", "c5"]
    assert "c5: latest 50" in result


@given(st.integers(LEAST, GREATEST))
def test_days_are_those_of_matplotlib(micros: int) -> None:
    time = EPOCH + timedelta(microseconds=micros)
    assert count_days(time.isoformat()) == min(LAST_DAY, float(date2num(time)))


def test_errors_of_values_are_pooled_by_their_rows() -> None:
    assert description(pictures.by_value(SPREAD, "c")).endswith("null 9; a 1.5")
