"""Alerts: which figures of a refresh's drift are over what they may be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from model.alerts import Thresholds, as_ndjson, find_alerts, from_ndjson
from model.drift import Drift, Shift
from model.metrics import Metrics, Sums, compute_metrics
from tests.kit.rows import NOON

BOTH = Thresholds(0.25, 0.5)


def column(psi: float = 0.0, mean_shift: float | None = None, chance: float = 0.0) -> Shift:
    far = None if mean_shift is None else chance
    return Shift(psi=psi, mean_shift=mean_shift, psi_by_chance=chance, mean_shift_by_chance=far)


def refresh(prediction: Shift, **features: Shift) -> Metrics:
    result = compute_metrics(
        Sums(rows=9, scored=9, model="20261123T120000Z"), NOON, NOON + 60_000_000
    )
    return result.model_copy(update={"drift": Drift(features=features, prediction=prediction)})


def find(prediction: Shift, thresholds: Thresholds = BOTH, **features: Shift) -> list[Any]:
    result = find_alerts(refresh(prediction, **features), thresholds)
    return [(one.column, one.what, one.value, one.threshold) for one in result]


def test_each_figure_over_its_threshold_is_an_alert_in_the_order_of_features() -> None:
    result = find(column(0.26, -0.6), x=column(0.3, 0.5), z=column(0.25, 0.51), c=column(7.0))
    assert result == [
        ("x", "psi", 0.3, 0.25),
        ("z", "mean_shift", 0.51, 0.5),
        ("c", "psi", 7.0, 0.25),
        ("prediction", "psi", 0.26, 0.25),
        ("prediction", "mean_shift", -0.6, 0.5),
    ]


def test_what_chance_may_do_is_no_alert() -> None:
    assert find(column(), x=column(0.9, 0.9, chance=1.0)) == []
    assert find(column(), x=column(1.1, -1.1, chance=1.0)) == [
        ("x", "psi", 1.1, 1.0),
        ("x", "mean_shift", -1.1, 1.0),
    ]


@pytest.mark.parametrize(
    ("thresholds", "left"),
    [((None, 0.5), ["mean_shift"]), ((0.25, None), ["psi"]), ((None, None), [])],
)
def test_a_threshold_of_none_has_no_alerts(thresholds: Any, left: list[str]) -> None:
    result = find(column(), Thresholds(*thresholds), x=column(9.0, 9.0))
    assert [what for _, what, _, _ in result] == left


def test_a_refresh_without_drift_has_no_alerts() -> None:
    assert find_alerts(compute_metrics(Sums(rows=3), NOON, NOON + 60_000_000), BOTH) == []


def test_a_file_has_a_line_an_alert_with_the_fields_of_the_contract() -> None:
    result = find_alerts(refresh(column(0.75), x=column(0.5, 1.0)), BOTH)
    lines = as_ndjson(result).decode().splitlines()
    assert json.loads(lines[1]) == {
        "format": 1,
        "refresh_start": "2026-11-23T12:00:00Z",
        "model": "20261123T120000Z",
        "what": "mean_shift",
        "column": "x",
        "value": 1.0,
        "threshold": 0.5,
    }
    assert [json.loads(line)["column"] for line in lines] == ["x", "x", "prediction"]
    assert from_ndjson(as_ndjson(result)) == result
    assert (as_ndjson([]), from_ndjson(b"")) == (b"", [])
    with pytest.raises(ValidationError):
        from_ndjson(b"{}\n")


def test_an_alert_is_reported_in_one_line() -> None:
    [one] = find_alerts(refresh(column(), x=column(0.0, -1.23456)), BOTH)
    assert str(one) == (
        "2026-11-23T12:00:00Z x: mean shift -1.23, allowed 0.5 (model 20261123T120000Z)"
    )


def test_a_feature_called_prediction_keeps_its_name_and_the_models_own_has_another() -> None:
    result = find(column(0.3), prediction_=column(0.3))
    assert [name for name, *_ in result] == ["prediction_", "prediction"]
    metrics = refresh(column(0.4))
    drift = Drift(features={"prediction": column(0.3)}, prediction=column(0.4))
    result = find_alerts(metrics.model_copy(update={"drift": drift}), BOTH)
    assert [(one.column, one.value) for one in result] == [
        ("prediction", 0.3),
        ("__prediction", 0.4),
    ]
