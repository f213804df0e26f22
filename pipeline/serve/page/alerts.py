"""The newest alerts of a run; each file of them is read once."""

from __future__ import annotations

import threading
from posixpath import basename

from model.alerts import Alert, from_ndjson
from pipeline.serve.core import Core
from pipeline.watch.newest import Newest

KEPT = 100
"""The alerts of so many refreshes, the newest that have any, are at hand."""


class Alerts:
    """The alerts of a run; any thread may ask for them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._newest = Newest(core.folder.alerts, "ndjson", from_ndjson, KEPT)
        self._lock = threading.Lock()

    def take(self, most: int) -> list[Alert]:
        """The newest alerts, newest first.

        Alerts are written before their refresh is reported; until then they do not count.

        Args:
            most: maximum number.
        """
        with self._lock:
            self._newest.look()
            damaged = {basename(path): why for path, why in self._newest.damaged.items()}
            self._core.damaged.keep("alerts", damaged)
            kept = self._newest.kept
        reported = self._core.reports.known
        found = [each for name in reversed(kept) if name in reported for each in kept[name]]
        return found[:most]
