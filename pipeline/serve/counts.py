"""What is counted, as Prometheus reads it; each server has a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model.asof import from_stamp
from model.batch import SECOND
from pipeline.serve.reports import Report
from pipeline.serve.serving import Serving

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds."""
PREFIX = "correnteza"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
"""Methods that are counted by name: a client may invent any number of others."""


class Counts:
    """Counters of requests, rows and models.

    Attributes:
        registry: what ``/metrics`` shows.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self.requests = self._counter("requests", "Requests answered", labels)
        self.seconds = Histogram(
            f"{PREFIX}_request_seconds",
            "Seconds to the end of an answer",
            ("path",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.rows = self._counter("rows_predicted", "Rows predicted")
        self.swaps = self._counter("model_swaps", "Models that were taken up")
        self.refused = self._counter("models_refused", "Models that were refused")

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Counts a request.

        Args:
            method: as it came; one that is not in ``METHODS`` counts as ``any``.
            path: of the route that answered, or ``other``.
            status: of the answer.
            seconds: to its end.
        """
        known = method if method in METHODS and path != "other" else "any"
        self.requests.labels(known, path, status).inc()
        self.seconds.labels(path).observe(seconds)

    def _counter(self, name: str, told: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"{PREFIX}_{name}_total", told, labels, registry=self.registry)


class Standing(Collector):
    """What holds at this moment: the model that serves, and the newest report.

    Attributes:
        serving: gives the model that serves, or None.
        report: gives the newest report, or None.
    """

    def __init__(
        self, serving: Callable[[], Serving | None], report: Callable[[], Report | None]
    ) -> None:
        self.serving = serving
        self.report = report

    def collect(self) -> Iterator[Metric]:
        """The gauges; none of what is not there."""
        serving, report = self.serving(), self.report()
        if serving is not None:
            yield from of_model(serving)
        if report is not None:
            yield from of_report(report)


def of_model(serving: Serving) -> Iterator[Metric]:
    """The gauges of a model that serves."""
    info = GaugeMetricFamily(f"{PREFIX}_model", "The model that serves", labels=("model", "sha256"))
    info.add_metric(serving.reference, 1)
    yield info
    end = from_stamp(serving.reference.name) / SECOND
    age = "Seconds since the end of the window that the model was trained on"
    yield GaugeMetricFamily(f"{PREFIX}_model_age_seconds", age, time.time() - end)
    since = "When the model was taken up, seconds since the epoch"
    yield GaugeMetricFamily(f"{PREFIX}_model_since_seconds", since, serving.since)


def of_report(report: Report) -> Iterator[Metric]:
    """The gauges of a report: each of its figures, and how far features and predictions drifted."""
    for name, value in report.items():
        if name != "format" and is_figure(value):
            told = f"{name} of the newest refresh"
            yield GaugeMetricFamily(f"{PREFIX}_refresh_{name}", told, value)
    drift = report.get("drift")
    if drift is not None:
        yield of_drift("drift", "Drift of a feature", "feature", drift["features"])
        predictions = {"prediction": drift["prediction"]}
        yield of_drift("prediction_drift", "Drift of the predictions", "of", predictions)


def of_drift(name: str, told: str, label: str, shifts: dict[str, dict[str, Any]]) -> Metric:
    """A gauge of how far columns have drifted: a value for each of them and each measure."""
    gauge = GaugeMetricFamily(f"{PREFIX}_refresh_{name}", told, labels=(label, "measure"))
    for column, measures in shifts.items():
        for measure, value in measures.items():
            if is_figure(value):
                gauge.add_metric((column, measure), value)
    return gauge


def is_figure(value: Any) -> bool:
    """Whether a report's value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
