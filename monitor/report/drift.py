"""How features, and predictions, have drifted from what a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.metrics import Metrics
from model.schema import RESERVED

PREDICTION = "the prediction"


def indices(reports: Sequence[Metrics]) -> dict[str, npt.NDArray[np.float64]]:
    """Population stability indices by feature, and of the prediction, shape (reports,).

    NaN where a report has none; a feature that has none anywhere is left out, so a run whose
    reports have no drift gives nothing.
    """
    shifts = [_list_psi(report) for report in reports]
    names = {name: None for each in shifts for name in each}
    return {name: np.array([each.get(name, np.nan) for each in shifts]) for name in names}


def list_shares(reports: Sequence[Metrics]) -> list[dict[str, float] | None]:
    """The predicted shares by class of each report; None of one that has none."""
    return [(report.model_dump().get("drift") or {}).get("shares") for report in reports]


def _list_psi(report: Metrics) -> dict[str, float]:
    drift: Mapping[str, Any] = report.model_dump().get("drift") or {}
    features = drift.get("features") or {}
    name = PREDICTION if PREDICTION not in features else RESERVED + PREDICTION
    columns = {**features, name: drift.get("prediction") or {}}
    found = {name: column.get("psi") for name, column in columns.items()}
    return {name: float(psi) for name, psi in found.items() if psi is not None}
