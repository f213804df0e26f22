"""The thread that looks at the run's folder, and tells of what is new in it."""

from __future__ import annotations

import threading

from pipeline.serve.core import Core
from pipeline.serve.logs import say
from pipeline.serve.reports import read_json

STOP = 5.0
"""Seconds: a look that takes longer is not waited for at the end."""


class Watch:
    """Looks at a run's folder again and again, until it is stopped.

    Attributes:
        core: of the server; its models and reports are kept up to date.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._status: object = None
        self._failure = ""
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
        try:
            self.look_at_models()
            self.look_at_reports()
        except (OSError, ValueError) as error:
            if str(error) != self._failure:
                say("cannot read the run", "warning", reason=str(error))
            self._failure = str(error)
        else:
            self._failure = ""

    def look_at_models(self) -> None:
        """Takes up a new model, and refuses damaged ones."""
        counts, events = self.core.counts, self.core.events
        for change in self.core.models.look():
            if change.refused is None:
                counts.swaps.inc()
                say("model", model=change.name)
                events.publish("model", {"model": change.name})
            else:
                counts.refused.inc()
                say("model refused", "warning", model=change.name, reason=change.refused)

    def look_at_reports(self) -> None:
        """Tells of reports and of a status that have changed."""
        for report in self.core.reports.look():
            self.core.events.publish("window", report)
        status = read_json(self.core.folder.status)
        if status != self._status:
            self._status = status
            self.core.events.publish("status", status or {})

    def _work(self) -> None:
        while not self._over.wait(self.core.options.refresh):
            self.look()
