"""Alerts: what of refreshes' figures is news beside their own past."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from model.alerts import Alert, as_ndjson, find_alerts, from_ndjson, replay_alerts
from model.asof import format_iso
from model.batch import SECOND
from model.changes import AlertRules, Thresholds
from model.drift import Drift, Shift
from model.memory import join, remember
from model.metrics import Metrics

HOUR = 3_600 * SECOND
FIRST = 1_767_225_600 * SECOND
REFRESHES, CHANGED = 60, 50
SECOND_CHANGED = format_iso(FIRST + (CHANGED + 1) * HOUR)
RULES = AlertRules(Thresholds(0.25, 0.5), "y", HOUR)


def shift(rng: np.random.Generator, **given: Any) -> Shift:
    found: dict[str, Any] = {
        "psi": 0.05 * float(np.exp(0.3 * rng.normal())),
        "mean_shift": 0.1 * float(rng.normal()),
        "psi_by_chance": 0.1,
        "mean_shift_by_chance": 0.2,
        "nulls": 0.0,
        **given,
    }
    return Shift(**found)


def report(number: int, **figures: Any) -> Metrics:
    """The report of a refresh in which figures are as ever, but for those that are given."""
    rng = np.random.default_rng(number)
    columns = {name: figures.pop(name, {}) for name in ("x", "z", "prediction")}
    shifts = {name: shift(rng, **given) for name, given in columns.items()}
    prediction = shifts.pop("prediction").model_copy(update={"nulls": None})
    known = {
        "mae": 10 * float(np.exp(0.1 * rng.normal())),
        "bias": float(rng.normal()),
        "slope": 1 + 0.1 * float(rng.normal()),
        "labelled": 100,
        **figures,
    }
    start = FIRST + number * HOUR
    return Metrics(
        refresh_start=format_iso(start),
        refresh_end=format_iso(start + HOUR),
        model="20261123T120000Z",
        rows=100,
        scored=100,
        unlabelled=0,
        late=0,
        rejected=0,
        drift=Drift(features=shifts, prediction=prediction),
        **known,
    )


def alerts(change: Callable[[int], dict[str, Any]], rules: AlertRules = RULES) -> list[Alert]:
    """All alerts of a stream that changes from the refresh ``CHANGED`` on."""
    reports = [report(n, **(change(n) if n >= CHANGED else {})) for n in range(REFRESHES)]
    return list(replay_alerts(reports, rules))


def named(found: list[Alert]) -> set[tuple[str, str]]:
    return {(one.column, one.what) for one in found}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"mae": 40.0}, {("y", "error")}),
        ({"mae": 2.0}, set()),
        ({"bias": 30.0, "mae": 31.0}, {("y", "bias")}),
        ({"bias": -30.0, "mae": 31.0}, {("y", "bias")}),
        ({"mae": 40.0, "slope": -1.0}, {("y", "flipped")}),
        ({"x": {"mean_shift": -4.0}}, {("x", "mean_shift")}),
        ({"x": {"psi": 4.0}}, {("x", "psi")}),
        ({"x": {"psi": 4.0, "mean_shift": 4.0}}, {("x", "mean_shift")}),
        ({"x": {"psi": 4.0, "mean_shift": 4.0, "nulls": 0.5}}, {("x", "nulls")}),
        ({"z": {"new": 0.3}}, set()),  # nothing is known of new values before
        ({"prediction": {"psi": 4.0}}, {("prediction", "psi")}),
    ],
)
def test_a_change_is_named(change: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    found = alerts(lambda number: change)
    assert named([one for one in found if one.refresh_start == SECOND_CHANGED]) == expected
    # the first one may have come when less was known
    assert {one.column for one in found} == {column for column, _ in expected}
    first = [one for one in found if one.state == "new"]
    assert all(one.refresh_start <= SECOND_CHANGED for one in first)


def test_a_smaller_change_of_a_column_is_news_where_the_error_has_changed_too() -> None:
    moved: dict[str, Any] = {"x": {"mean_shift": 0.55}}
    rare = RULES._replace(run_length=1e6)
    assert named(alerts(lambda number: moved, rare)) == set()
    found = alerts(lambda number: {**moved, "bias": 60.0, "mae": 61.0}, rare)
    assert named(found) == {("y", "bias"), ("x", "mean_shift")}


def test_the_error_of_few_rows_may_be_large_by_chance() -> None:
    odd = {"mae": 40.0, "bias": 35.0}
    assert ("y", "bias") in named(alerts(lambda number: odd))
    assert named(alerts(lambda number: {**odd, "labelled": 2})) == set()


def test_a_target_that_is_flipped_is_found_by_the_slope_alone() -> None:
    assert named(alerts(lambda number: {"slope": -1.0})) == {("y", "flipped")}


def test_a_value_that_was_new_a_refresh_before_is_why_a_distribution_has_changed() -> None:
    def change(number: int) -> dict[str, Any]:
        return {"x": {"psi": 4.0, "new": 0.02 if number == CHANGED else 0.0}}

    reports = [report(n, x={"new": 0.0}) for n in range(CHANGED)]
    reports += [report(n, **change(n)) for n in (CHANGED, CHANGED + 1)]
    [first, *_] = replay_alerts(reports, RULES)
    assert (first.column, first.what) == ("x", "new_values")


def test_what_is_small_is_no_alert_however_steady_the_past_was() -> None:
    assert alerts(lambda number: {"x": {"mean_shift": 4.0}}, small(None, 5.0)) == []
    assert alerts(lambda number: {"x": {"psi": 4.0}}, small(5.0, None)) == []
    assert alerts(lambda number: {"x": {"mean_shift": 4.0, "psi": 4.0}}, small(None, None)) == []
    assert alerts(lambda number: {"x": {"psi": 4.0, "psi_by_chance": 5.0}}) != []
    many_by_chance = {"psi": 4.0, "mean_shift": 2.0}
    by_chance = {"mean_shift_by_chance": 3.0}  # of the prediction: it is the same for all columns
    assert alerts(lambda number: {"x": many_by_chance, "prediction": by_chance}) == []
    assert alerts(lambda number: {"mae": 40.0}, RULES._replace(run_length=None)) == []


def small(psi: float | None, mean_shift: float | None) -> AlertRules:
    return RULES._replace(thresholds=Thresholds(psi, mean_shift))


def test_there_are_no_alerts_before_twenty_refreshes() -> None:
    reports = [report(n, **({"mae": 1e6} if n >= 15 else {})) for n in range(20)]
    assert list(replay_alerts(reports, RULES)) == []


def test_an_alert_is_new_then_on_then_over() -> None:
    found = alerts(lambda number: {"mae": 40.0} if number < CHANGED + 4 else {})
    states = [one.state for one in found]
    assert states[:2] == ["new", "on"] and states[-1] == "over"
    assert set(states[1:-1]) == {"on"}
    assert {one.since for one in found} == {found[0].refresh_start}
    assert found[0].refresh_start == format_iso(FIRST + (CHANGED + 1) * HOUR)
    assert found[0].value == 40.0 and found[-1].value < 20
    assert found[0].usual == pytest.approx(10, rel=0.1)


def test_one_odd_refresh_is_no_news_but_nulls_are() -> None:
    assert alerts(lambda n: {"mae": 1e6, "bias": 1e6} if n == CHANGED else {}) == []
    found = alerts(lambda n: {"x": {"nulls": 0.4}} if n == CHANGED else {})
    assert [(one.what, one.state) for one in found] == [("nulls", "new"), ("nulls", "over")]


def test_a_change_of_unit_has_its_factor() -> None:
    def usual(number: int) -> dict[str, float]:
        rng = np.random.default_rng(number)
        return {"mean": 20 + 0.1 * rng.normal(), "deviation": 5 + 0.1 * rng.normal()}

    reports = []
    for number in range(REFRESHES):
        found = usual(number)
        if number >= CHANGED:
            found = {name: 2.54 * value for name, value in found.items()}
            found["mean_shift"] = 6.0
        reports.append(report(number, x=found))
    result = [one for one in replay_alerts(reports, RULES) if one.state == "new"]
    assert [(one.column, one.what, one.value) for one in result] == [("x", "unit", 2.54)]


def test_those_of_the_error_come_first_then_what_explains_most_of_it() -> None:
    def change(number: int) -> dict[str, Any]:
        return {
            "mae": 40.0,
            "x": {"mean_shift": 1.0 if number % 2 else 2.0},
            "z": {"mean_shift": 5.0},
        }

    found = [one for one in alerts(change) if one.refresh_start == format_iso(FIRST + 52 * HOUR)]
    assert [one.column for one in found] == ["y", "z", "x"]
    explained = [one.explains for one in found[1:]]
    assert explained[0] is not None and explained[1] is not None
    assert 1 >= explained[0] > explained[1] > 0


def test_a_refresh_has_the_same_alerts_however_much_is_remembered_before() -> None:
    reports = [
        report(n, **({"mae": 40.0, "x": {"psi": 4.0}} if n >= 395 else {})) for n in range(400)
    ]
    memory = join(map(remember, reports))
    for last in (396, 397, 399):
        whole = memory.until(last, 400, HOUR)
        needed = memory.until(last, RULES.remembered + 24, HOUR)
        assert len(needed.starts) < len(whole.starts)
        found = find_alerts(needed, "m", RULES)
        assert found and found == find_alerts(whole, "m", RULES)


def test_a_refresh_without_figures_has_no_alerts() -> None:
    bare = [
        report(n).model_copy(update={"drift": None, "mae": None, "bias": None}) for n in range(60)
    ]
    assert list(replay_alerts(bare, RULES)) == []
    assert list(replay_alerts([], RULES)) == []


def test_a_file_has_a_line_an_alert_with_the_fields_of_the_contract() -> None:
    found = alerts(lambda number: {"mae": 40.0})
    lines = as_ndjson(found).decode().splitlines()
    first = json.loads(lines[0])
    assert list(first) == [
        *("format", "refresh_start", "model", "what", "column", "value", "threshold"),
        *("since", "state", "usual", "explains"),
    ]
    assert first["model"] == "20261123T120000Z" and first["threshold"] < 40
    assert from_ndjson(as_ndjson(found)) == found
    assert (as_ndjson([]), from_ndjson(b"")) == (b"", [])
    with pytest.raises(ValidationError):
        from_ndjson(b"{}\n")


def test_lines_of_older_versions_are_read_and_written_as_they_were() -> None:
    line = {
        "format": 1,
        "refresh_start": "2026-11-23T12:00:00Z",
        "model": "20261123T120000Z",
        "what": "mean_shift",
        "column": "x",
        "value": -1.23456,
        "threshold": 0.5,
    }
    [one] = from_ndjson(json.dumps(line).encode())
    assert json.loads(as_ndjson([one])) == line
    assert str(one) == (
        "2026-11-23T12:00:00Z x: mean shift -1.23, allowed 0.5 (model 20261123T120000Z)"
    )


def test_an_alert_is_reported_in_one_line() -> None:
    found = alerts(lambda number: {"mae": 40.0})
    usual = f"{found[0].usual:.3g}"
    assert str(found[0]) == (
        f"2026-01-03T03:00:00Z y: error 40, usually {usual} (model 20261123T120000Z)"
    )
    assert ", on since 2026-01-03T03:00:00Z (" in str(found[1])
