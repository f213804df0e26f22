"""The thread that looks at the run's folder, and announces what is new in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from model import files
from model.runs import parse_json
from monitor.labels import TITLES
from monitor.questions import Reported
from monitor.serve.core import Core
from monitor.serve.logs import log_event
from monitor.serve.reports import Report, explain_unreadable

STOP = 5.0
"""Seconds: a look that takes longer is not waited for at the end."""


class FolderWatcher:
    """Looks at a run's folder again and again, until it is stopped.

    Whatever goes wrong in one part of a look, the other parts are done, and so is the next look.

    Attributes:
        core: of the server; its models and reports are kept up to date.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        """Starts to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._over.set()
        self._thread.join(STOP)

    def look(self) -> None:
        """Looks once; a folder that cannot be read is logged, and read again the next time."""
        core = self.core
        parts: tuple[Callable[[], object], ...] = (
            *(self.look_at_models, core.alerts.look, core.skips.look),
            *(self.look_at_reports, self.look_at_status),
        )
        failures = [failure for part in parts if (failure := self._failure_of(part))]
        failure = "; ".join(dict.fromkeys(failures))
        if failure and failure != self.core.failure:
            log_event("cannot read the run", "warning", reason=failure)
        self.core.failure = failure
        self.core.looked = time.monotonic()

    def look_at_models(self) -> None:
        """Takes up a new model, and refuses damaged ones."""
        counts, events = self.core.counts, self.core.events
        for change in self.core.models.look():
            if change.refused is None:
                counts.swaps.inc()
                log_event("model", model=change.name)
                events.publish("model", {"model": change.name})
            else:
                counts.refused.inc()
                log_event("model refused", "warning", model=change.name, reason=change.refused)

    def look_at_reports(self) -> None:
        """Publishes new reports."""
        new = self.core.reports.look()
        for report in new:
            self.core.events.publish("refresh", report)
            self.core.events.publish("window", report)  # its old name, for one release more
        self.core.damaged.keep("metrics", self.core.reports.damaged)
        self._look_at_questions(new)

    def _look_at_questions(self, new: list[Report]) -> None:
        """Reads what became of the questions, where labels have a time of their own."""
        questions = self.core.questions
        if questions is None:
            return
        questions.look(
            Reported(
                *(report["refresh_start"], report["rows"], report.get("answered", 0)),
                report.get("files") or (),
                {name: report[name] for name in TITLES if type(report.get(name)) is int},
            )
            for report in new
        )
        self.core.damaged.keep("cohorts", questions.cohorts.damaged)
        self.core.damaged.keep("outcomes", questions.damaged)

    def look_at_status(self) -> None:
        """Publishes a status that has changed."""
        try:
            status = parse_json(files.read_whole(self.core.folder.status))
        except FileNotFoundError:
            status = {}
        except ValueError as error:
            self.core.damaged.note("status.json", explain_unreadable(error))
            return
        self.core.damaged.forget("status.json")
        if status != self.core.status:
            self.core.status = status
            self.core.events.publish("status", status)

    def _failure_of(self, part: Callable[[], object]) -> str:
        """Why a part of a look has failed; empty if it has not."""
        try:
            part()
        except OSError as error:
            return str(error)
        except Exception as error:
            log_event("a look failed", "error", trace=error)
            return f"{type(error).__name__}: {error}"
        return ""

    def _work(self) -> None:
        while not self._over.wait(self.core.options.poll):
            self.look()
