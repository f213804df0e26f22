"""Drift, as reports tell of it."""

from __future__ import annotations

import numpy as np

from monitor.report.drift import indices
from tests.kit.report import report, with_drift


def test_indices_stand_by_feature_in_the_order_of_reports() -> None:
    found = indices(
        [
            with_drift(0, None),
            with_drift(
                1, {"features": {"x": {"psi": 0.25, "mean_shift": 1.0}}, "prediction": None}
            ),
            with_drift(2, {"features": {"x": {"psi": None}}, "prediction": {"psi": 0.5}}),
        ]
    )
    assert list(found) == ["x", "the prediction"]
    np.testing.assert_array_equal(found["x"], [np.nan, 0.25, np.nan])
    np.testing.assert_array_equal(found["the prediction"], [np.nan, np.nan, 0.5])


def test_reports_without_drift_have_none() -> None:
    assert indices([report(0, 1.0), with_drift(1, None)]) == {}
    assert indices([with_drift(0, {"features": {"x": {"psi": None}}, "prediction": None})]) == {}
