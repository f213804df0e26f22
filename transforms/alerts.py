"""WriteAlerts: what of a refresh is news beside its past is written before its report."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from model import files
from model.alerts import as_ndjson, find_alerts
from model.asof import format_name
from model.changes import AlertRules
from model.history import History
from model.memory import join, remember
from model.metrics import Metrics
from model.runs import RunFolder
from transforms.counters import count
from transforms.writing import write_file

Figures = beam.PCollection[tuple[int, Metrics]]


class WriteAlertsFn(beam.DoFn):
    """Writes a refresh's alerts, if it has any, and adds their file to the refresh's figures.

    What is remembered of the refreshes before lies in ``summaries/``: all of it is written when a
    refresh's figures come (``transforms.evaluate``).

    Attributes:
        folder: the run's folder.
        rules: what is an alert.
    """

    def __init__(self, folder: RunFolder, rules: AlertRules) -> None:
        self.folder = folder
        self.rules = rules

    def setup(self) -> None:
        folder, rules = self.folder, self.rules
        self.history = History(folder.summaries, folder.metrics, rules.every, rules.remembered)

    def process(self, keyed: tuple[int, Metrics]) -> Iterator[tuple[int, Metrics]]:
        start, metrics = keyed
        if self.rules.run_length is not None:
            memory = join([self.history.before(start), remember(metrics)])
            found = find_alerts(memory, metrics.model, self.rules)
            if found:
                name = f"{format_name(start)}.ndjson"
                written = write_file(self.folder.alerts, (name,), as_ndjson(found))
                metrics = metrics.with_files([written])
                count("alerts", len(found))
        yield start, metrics

    def finish_bundle(self) -> None:
        files.flush()


class WriteAlerts(beam.PTransform[Figures, Figures]):
    """Refreshes' starts and figures in, the same out, when their alerts are written.

    Who sees a report may rely on it that the refresh's ``<refresh start>.ndjson`` is there, or
    that it has no alerts.

    Attributes:
        folder: the run's folder.
        rules: what is an alert.
    """

    def __init__(self, folder: RunFolder, rules: AlertRules) -> None:
        super().__init__()
        self.folder = folder
        self.rules = rules

    def expand(self, figures: Figures) -> Figures:
        writing = beam.ParDo(WriteAlertsFn(self.folder, self.rules))
        return figures | "Write" >> writing.with_output_types(tuple[int, Metrics])
