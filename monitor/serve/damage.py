"""Files of the run that are not as a run writes them: skipped one by one, counted, and shown."""

from __future__ import annotations

import threading
from collections import Counter
from posixpath import basename

from monitor.serve.logs import log_event

MOST = 1000
"""Maximum number of files that are remembered."""
LONGEST = 300
"""Maximum number of characters of a reason."""
KINDS = (
    *("settings", "status", "metrics", "alerts", "skipped", "sample", "predictions"),
    *("cohorts", "outcomes", "other"),
)


class Damaged:
    """The files that could not be read at the last look at them; safe for many threads.

    Example:
        >>> damaged = Damaged()
        >>> damaged.note("metrics/20260101T000000Z.json", "is not an object")
        >>> damaged.files, damaged.by_kind()["metrics"]
        ({'metrics/20260101T000000Z.json': 'is not an object'}, 1)
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def files(self) -> dict[str, str]:
        """Why each of them cannot be read, by its path within the run's folder."""
        with self._lock:
            return dict(self._reasons)

    def note(self, file: str, reason: object) -> None:
        """Remembers a file, and logs it if it is new or its reason is another one."""
        line = " ".join(str(reason).split())[:LONGEST]
        with self._lock:
            new = self._reasons.get(file) != line
            if new and (file in self._reasons or len(self._reasons) < MOST):
                self._reasons[file] = line
        if new:
            log_event("file skipped", "warning", file=file, reason=line)

    def forget(self, file: str) -> None:
        """Forgets a file that can be read now, or is gone."""
        with self._lock:
            self._reasons.pop(file, None)

    def keep(self, kind: str, reasons: dict[str, str]) -> None:
        """Takes what a look at all files of a kind has found.

        Args:
            kind: the name of their folder.
            reasons: by the files' paths.
        """
        found = {f"{kind}/{basename(path)}": reason for path, reason in reasons.items()}
        for file in self.files:
            if file.startswith(f"{kind}/") and file not in found:
                self.forget(file)
        for file, reason in found.items():
            self.note(file, reason)

    def by_kind(self) -> Counter[str]:
        """How many files of each kind."""
        kinds = [file.partition("/")[0].partition(".")[0] for file in self.files]
        return Counter(kind if kind in KINDS else "other" for kind in kinds)
