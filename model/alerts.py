"""Alerts: what of a refresh's drift is more than its thresholds allow.

A figure alerts if it is over its threshold and over what chance exceeds once in a million for so
few rows (``model.drift``): two windows of twenty rows have a PSI of a half without any drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from model.drift import Drift, Shift
from model.metrics import Metrics
from model.schema import RESERVED

PREDICTION = "prediction"
"""The column of an alert of the prediction."""


class Thresholds(NamedTuple):
    """What drift may be; None: whatever it is.

    Attributes:
        psi: a population stability index.
        mean_shift: how far a mean may move either way, in training standard deviations.
    """

    psi: float | None
    mean_shift: float | None


class Alert(BaseModel):
    """That a column drifted; a line of ``alerts/<refresh start>.ndjson``, a contract.

    Attributes:
        refresh_start: of which refresh.
        model: the name of the artefact that it drifted from.
        what: which figure.
        column: the feature, or ``prediction`` (see ``list_shifts``).
        value: the figure.
        threshold: what it is over: the threshold that was set or, with few rows, chance.
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
        told = {"psi": "PSI", "mean_shift": "mean shift"}[self.what]
        figures = f"{told} {self.value:.3g}, allowed {self.threshold:.3g}"
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

    That is called ``prediction``, or ``__prediction`` (as no column of a schema is) where a
    feature has that name.
    """
    name = PREDICTION if PREDICTION not in drift.features else RESERVED + PREDICTION
    return [*drift.features.items(), (name, drift.prediction)]


def find_exceeded(
    shift: Shift, thresholds: Thresholds
) -> Iterator[tuple[Literal["psi", "mean_shift"], float, float]]:
    """The figures of a column that are over what they may be, with that."""
    if thresholds.psi is not None:
        bound = max(thresholds.psi, shift.psi_by_chance)
        if shift.psi > bound:
            yield "psi", shift.psi, bound
    if thresholds.mean_shift is not None and shift.mean_shift is not None:
        bound = max(thresholds.mean_shift, shift.mean_shift_by_chance or 0.0)
        if abs(shift.mean_shift) > bound:
            yield "mean_shift", shift.mean_shift, bound


def as_ndjson(found: Iterable[Alert]) -> bytes:
    """Alerts as the bytes of a file, a line each."""
    return "".join(alert.model_dump_json() + "\n" for alert in found).encode()


def from_ndjson(data: bytes) -> list[Alert]:
    """The alerts of such a file.

    Raises:
        pydantic.ValidationError: if a line is none.
    """
    return [Alert.model_validate_json(line) for line in data.splitlines()]
