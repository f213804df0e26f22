"""What is counted, as Prometheus reads it; each server has a registry of its own.

Labels are from closed lists only (routes, methods, states, kinds) or of the run's own schema, so
no client can make the registry grow. ``docs/monitoring.md`` lists all of it.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector

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
        ProcessCollector(registry=self.registry)  # memory, files, CPU
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

    def _counter(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"{PREFIX}_{name}_total", documentation, labels, registry=self.registry)
