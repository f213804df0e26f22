"""What a run has noted beside its reports: alerts, and windows that made no model."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Generic, TypeVar

from model.alerts import Alert, from_ndjson
from model.runs import RunFolder
from model.skipped import Skipped
from monitor.newest import NewestFiles
from monitor.serve.damage import Damaged
from monitor.serve.reports import Reports

ALERTED = 100
"""Maximum number of refreshes whose alerts are held: the newest that have any."""
SKIPPED = 10_000
"""Maximum number of skipped windows that are counted: the newest."""
T = TypeVar("T")


class Noted(Generic[T]):
    """The newest files of one of the run's folders; any thread may look and ask.

    Args:
        newest: follows the files.
        kind: the folder's name.
        damaged: is given those that cannot be read.
    """

    def __init__(self, newest: NewestFiles[T], kind: str, damaged: Damaged) -> None:
        self._newest = newest
        self._kind = kind
        self._damaged = damaged
        self._lock = threading.Lock()

    def look(self) -> dict[str, T]:
        """Reads what is new; gives all that is at hand, by name, oldest first.

        Raises:
            OSError: if the folder cannot be looked at.
        """
        with self._lock:
            self._newest.look()
            self._damaged.keep(self._kind, self._newest.damaged)
            return self._newest.kept


class Alerts(Noted[list[Alert]]):
    """The alerts of a run. They are written before their refresh is reported, and count then."""

    def __init__(self, folder: RunFolder, reports: Reports, damaged: Damaged) -> None:
        super().__init__(
            NewestFiles(folder.alerts, "ndjson", from_ndjson, ALERTED), "alerts", damaged
        )
        self._reports = reports

    @property
    def refreshes(self) -> int:
        """How many refreshes have alerts."""
        return self._newest.count

    def take(self, most: int) -> list[Alert]:
        """The newest alerts, newest first, as of this moment."""
        kept, reported = self.look(), self._reports.known
        found = [each for name in reversed(kept) if name in reported for each in kept[name]]
        return found[:most]

    def of_newest(self) -> list[Alert]:
        """The alerts of the newest refresh, as of the last look."""
        name = next(reversed(self._reports.known), "")
        return self._newest.kept.get(name, [])


class Skips(Noted[Skipped]):
    """The windows of a run that made no model."""

    def __init__(self, folder: RunFolder, damaged: Damaged) -> None:
        read = Skipped.model_validate_json
        super().__init__(NewestFiles(folder.skipped, "json", read, SKIPPED), "skipped", damaged)

    def take(self, most: int) -> list[Skipped]:
        """The newest ones, newest first, as of this moment."""
        return list(self.look().values())[: -most - 1 : -1]

    def by_kind(self) -> Counter[str]:
        """How many of each kind, as of the last look."""
        return Counter(skip.kind for skip in self._newest.kept.values())
