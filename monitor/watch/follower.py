"""What a run has written so far, of which a picture is made: reports, alerts, models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from model.alerts import Alert, from_ndjson
from model.metrics import Metrics
from model.runs import RunFolder
from model.store import Store
from monitor.newest import NewestFiles

KEPT = 60
"""Reports at hand: those of the error's line, and more than a terminal has lines."""
ALERTS = 5
"""Files of alerts at hand."""


class Update(NamedTuple):
    """What a look has found, by the name of the refresh, oldest first."""

    reports: dict[str, Metrics]
    alerts: dict[str, list[Alert]]


def alert_lines(found: Iterable[list[Alert]]) -> list[str]:
    """A line an alert."""
    return [f"alert: {alert}" for each in found for alert in each]


class RunFollower:
    """Follows what a run writes, by looking at its folder now and then.

    Attributes:
        reports, alerts: the newest of both.
        models: the names of the models in the store, oldest first.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.reports = NewestFiles(folder.metrics, "json", Metrics.model_validate_json, KEPT)
        self.alerts = NewestFiles(folder.alerts, "ndjson", from_ndjson, ALERTS)
        self.models: list[str] = []
        self._store = Store(folder.models)

    @property
    def damaged(self) -> dict[str, str]:
        """Why files cannot be read, by their paths."""
        return {**self.reports.damaged, **self.alerts.damaged}

    def look(self) -> Update:
        """Reads what is new.

        Models come and go with reports, so they are looked at with them.

        Raises:
            OSError: if the folder cannot be looked at.
        """
        raised = self.alerts.look()  # a refresh's alerts are there before its report
        new = self.reports.look()
        if new or not self.reports.count:
            self.models = self._store.names()
        return Update(new, raised)
