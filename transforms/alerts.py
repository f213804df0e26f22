"""WriteAlerts: what of a refresh's drift is more than allowed is written before its report."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from model import files
from model.alerts import Thresholds, alerts, as_ndjson
from model.asof import stamp
from model.metrics import Metrics
from transforms.tally import count


def write_alerts(
    keyed: tuple[int, Metrics], folder: str, thresholds: Thresholds
) -> tuple[int, Metrics]:
    """Writes a refresh's alerts, if it has any; gives on what came in."""
    start, metrics = keyed
    found = alerts(metrics, thresholds)
    if found:
        files.write_whole(files.join(folder, f"{stamp(start)}.ndjson"), as_ndjson(found))
        count("alerts", len(found))
    return keyed


class WriteAlerts(beam.PTransform[Any, Any]):
    """Refreshes' starts and figures in (``Evaluate``), the same out, when alerts are written.

    Who sees a report may rely on it that the refresh's ``<refresh start>.ndjson`` is there, or
    that it has no alerts.

    Attributes:
        folder: where.
        thresholds: what drift may be.
    """

    def __init__(self, folder: str, thresholds: Thresholds) -> None:
        super().__init__()
        self.folder = folder
        self.thresholds = thresholds

    def expand(self, figures: Any) -> Any:
        return figures | "Write" >> beam.Map(
            write_alerts, self.folder, self.thresholds
        ).with_output_types(tuple[int, Metrics])
