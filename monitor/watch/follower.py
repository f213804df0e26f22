"""What a run has written so far, of which a picture is made: reports, alerts, models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from model.alerts import Alert, describe_alerts, from_ndjson
from model.cohorts import Clock, Cohort
from model.metrics import Metrics
from model.runs import RunFolder
from model.store import Store
from monitor.newest import NewestFiles
from monitor.questions import ByQuestion, QuestionFollower, follow_reports

KEPT = 60
"""Reports at hand: those of the error's line, and more than a terminal has lines."""
ALERTS = 5
"""Files of alerts at hand."""


class Update(NamedTuple):
    """What a look has found, by the name of the refresh, oldest first.

    There are cohorts only if labels have a time of their own.
    """

    reports: dict[str, Metrics]
    alerts: dict[str, list[Alert]]
    cohorts: Mapping[str, Cohort] = MappingProxyType({})


def alert_lines(found: Iterable[list[Alert]]) -> list[str]:
    """A line for each refresh that has alerts."""
    return [f"alert: {describe_alerts(each)}" for each in found if each]


class RunFollower:
    """Follows what a run writes, by looking at its folder now and then.

    Attributes:
        reports, alerts: the newest of both.
        models: the names of the models in the store, oldest first.
        questions: the view by question; None unless labels have a time of their own.
    """

    def __init__(self, folder: RunFolder, clock: Clock | None = None) -> None:
        self.questions = None if clock is None else QuestionFollower(folder, clock, KEPT)
        self.reports = NewestFiles(folder.metrics, "json", Metrics.model_validate_json, KEPT)
        self.alerts = NewestFiles(folder.alerts, "ndjson", from_ndjson, ALERTS)
        self.models: list[str] = []
        self._store = Store(folder.models)

    @property
    def damaged(self) -> dict[str, str]:
        """Why files cannot be read, by their paths."""
        damaged = {**self.reports.damaged, **self.alerts.damaged}
        if self.questions is not None:
            damaged |= {**self.questions.damaged, **self.questions.cohorts.damaged}
        return damaged

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
        if self.questions is None:
            return Update(new, raised)
        found = self.questions.look(follow_reports(new.values()))
        return Update(new, raised, found)

    def by_question(self) -> dict[str, ByQuestion] | None:
        """The refreshes of the reports by their questions; None unless labels have a time."""
        if self.questions is None:
            return None
        return {name: self.questions.of(name) for name in self.reports.kept}
