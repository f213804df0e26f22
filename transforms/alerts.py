"""WriteAlerts: what of a refresh's drift is more than allowed is written before its report."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from model.alerts import Thresholds, as_ndjson, find_alerts
from model.asof import format_name
from model.metrics import Metrics
from transforms.counters import count
from transforms.writing import WriteFn, write_file


def write_alerts(
    keyed: tuple[int, Metrics], folder: str, thresholds: Thresholds, window: object = None
) -> Iterator[tuple[int, Metrics]]:
    """Writes a refresh's alerts, if it has any, and adds their file to the refresh's figures."""
    start, metrics = keyed
    found = find_alerts(metrics, thresholds)
    if found:
        written = write_file(folder, (f"{format_name(start)}.ndjson",), as_ndjson(found))
        metrics = metrics.with_files([written])
        count("alerts", len(found))
    yield start, metrics


Figures = beam.PCollection[tuple[int, Metrics]]


class WriteAlerts(beam.PTransform[Figures, Figures]):
    """Refreshes' starts and figures in, the same out, when their alerts are written.

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

    def expand(self, figures: Figures) -> Figures:
        writing = beam.ParDo(WriteFn(write_alerts, self.folder, self.thresholds))
        return figures | "Write" >> writing.with_output_types(tuple[int, Metrics])
