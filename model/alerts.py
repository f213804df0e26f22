"""Alerts: the figures of a refresh's drift that exceed their thresholds.

A figure alerts if it is over its threshold and over what chance exceeds once in a million for so
few rows (``model.drift``): two windows of twenty rows have a PSI of a half without any drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from model.display import DISPLAY
from model.drift import Drift, Shift
from model.metrics import Metrics
from model.schema import RESERVED

PREDICTION = "prediction"
"""The column of an alert of the prediction."""


class Thresholds(NamedTuple):
    """The limits of drift; None: no limit.

    Attributes:
        psi: a population stability index.
        mean_shift: how far a mean may move either way, in training standard deviations.
    """

    psi: float | None
    mean_shift: float | None


class Alert(BaseModel):
    """A column that drifted; a line of ``alerts/<refresh start>.ndjson``, a contract.

    Attributes:
        refresh_start: the refresh, ISO 8601.
        model: the name of the artefact that it drifted from.
        what: the figure that exceeds its threshold.
        column: the feature, or ``prediction`` (see ``list_shifts``).
        value: the figure.
        threshold: what it exceeds: the threshold that was set or, with few rows, what chance
            alone would exceed.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    refresh_start: str
    model: str | None
    what: Literal["psi", "mean_shift"]
    column: str
    value: float
    threshold: float

    def __str__(self) -> str:
        title = DISPLAY["alerts"][self.what]
        figures = f"{title} {self.value:.3g}, allowed {self.threshold:.3g}"
        return f"{self.refresh_start} {self.column}: {figures} (model {self.model})"


def find_alerts(metrics: Metrics, thresholds: Thresholds) -> list[Alert]:
    """The alerts of a refresh, in the order of its features; the prediction's are the last."""
    if metrics.drift is None:
        return []
    return [
        Alert(
            refresh_start=metrics.refresh_start,
            model=metrics.model,
            what=what,
            column=name,
            value=value,
            threshold=bound,
        )
        for name, shift in list_shifts(metrics.drift)
        for what, value, bound in find_exceeded(shift, thresholds)
    ]


def list_shifts(drift: Drift) -> list[tuple[str, Shift]]:
    """All shifts of a refresh by column, the prediction's last.

    The prediction is called ``prediction``; where a feature has that name, ``__prediction``,
    which no column of a schema can have.
    """
    name = PREDICTION if PREDICTION not in drift.features else RESERVED + PREDICTION
    return [*drift.features.items(), (name, drift.prediction)]


def find_exceeded(
    shift: Shift, thresholds: Thresholds
) -> Iterator[tuple[Literal["psi", "mean_shift"], float, float]]:
    """The figures of a column that exceed their thresholds, each with its threshold."""
    if thresholds.psi is not None:
        bound = max(thresholds.psi, shift.psi_by_chance)
        if shift.psi > bound:
            yield "psi", shift.psi, bound
    if thresholds.mean_shift is not None and shift.mean_shift is not None:
        bound = max(thresholds.mean_shift, shift.mean_shift_by_chance or 0.0)
        if abs(shift.mean_shift) > bound:
            yield "mean_shift", shift.mean_shift, bound


def as_ndjson(found: Iterable[Alert]) -> bytes:
    """Alerts as NDJSON, a line each: the bytes of their file."""
    return "".join(alert.model_dump_json() + "\n" for alert in found).encode()


def from_ndjson(data: bytes) -> list[Alert]:
    """The alerts of a file that ``as_ndjson`` made.

    Raises:
        pydantic.ValidationError: if a line is not an alert.
    """
    return [Alert.model_validate_json(line) for line in data.splitlines()]
