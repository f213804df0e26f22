"""How a run stands, from its status.json: state, rows, rates, watermark, and whether it lives."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timezone

from pydantic import ValidationError

from model.display import QUIET, STALE
from model.errors import UserError
from model.problems import explain
from model.runs import RunFolder, Status
from model.wording import format_count
from monitor.watch.figures import clean

RECENT = 10.0
"""Over so many seconds, or a little more, the rate of now is taken."""


class RunStatus:
    """A run's status as of the last look, and the last few before.

    Attributes:
        folder: the run's.
        live: whether the run's event time is the wall clock, so that it can lag behind.
        status: the last; None if the run has not written one yet.
    """

    def __init__(self, folder: RunFolder, live: bool) -> None:
        self.folder = folder
        self.live = live
        self.status: Status | None = None
        self._recent: deque[tuple[datetime, int]] = deque()
        self._moved = time.monotonic()

    def look(self) -> None:
        """Reads the status.

        Raises:
            OSError: if the folder cannot be looked at.
            UserError: if it is not what a run writes.
        """
        try:
            status = self.folder.read_status()
        except FileNotFoundError:
            return
        except ValidationError as error:
            raise UserError(f"{self.folder.status}: is not a run's: {explain(error)}") from error
        if self.status is None or status.updated != self.status.updated:
            self.mark_alive()
            self._remember(status)
        self.status = status

    def mark_alive(self) -> None:
        """Something was seen that only a run that goes on does."""
        self._moved = time.monotonic()

    def _remember(self, status: Status) -> None:
        self._recent.append((status.updated, status.rows_read))
        while len(self._recent) > 1 and seconds(self._recent[1][0], status.updated) >= RECENT:
            self._recent.popleft()

    @property
    def state(self) -> str:
        """The run's, ``starting`` before its first status, or ``stale``."""
        if self.status is None:
            return "starting"
        return "stale" if not self.status.has_ended and self._stale() else self.status.state

    def _stale(self) -> bool:
        """Whether the run's launcher is gone, though it has not recorded its end.

        By this machine's clock, which may be another than the run's, no run is given up before
        it has been watched for a while.
        """
        quiet = time.monotonic() - self._moved
        return quiet > STALE or (quiet > QUIET and self.age > STALE)

    @property
    def age(self) -> float:
        """Seconds since the status was written."""
        if self.status is None:
            return 0.0
        return self.status.age(datetime.now(timezone.utc))

    def summary(self) -> list[str]:
        """The status, as short texts."""
        status = self.status
        if status is None:
            return ["no status.json yet"]
        running = not status.has_ended
        heard = time.monotonic() - self._moved <= QUIET
        rated = running and heard and len(self._recent) > 1
        now = f", now {self._rate():,.0f}" if rated else ""
        parts = [f"{format_count(status.rows_read, 'row')} read ({status.rate:,.0f}/s{now})"]
        if status.watermark is not None:
            parts.append(f"watermark {self._watermark(status, status.watermark)}")
        for name, delay in status.delays.items():
            done, _, behind = clean(name).partition(" ")
            parts.append(f"{done} {delay.p95:.1f} s {behind} (p95)")
        pinned = self.folder.describe_pin()
        if pinned is not None:
            parts.append(clean(pinned))
        if status.topic is not None and running:
            parts += status.topic.summary()
        if running and self.age > QUIET:
            parts.append(f"status is {self.age:,.0f} s old")
        return parts

    def _rate(self) -> float:
        """Rows read a second, of late."""
        (first, before), (last, rows) = self._recent[0], self._recent[-1]
        return (rows - before) / max(seconds(first, last), 1e-9)

    def _watermark(self, status: Status, watermark: datetime) -> str:
        """The watermark and, live, how far it is behind, both as of when the status was written."""
        text = watermark.strftime("%Y-%m-%d %H:%M:%S")
        if not self.live or status.has_ended:
            return text
        return f"{text[11:]} ({seconds(watermark, status.updated):.1f} s behind)"


def seconds(first: datetime, last: datetime) -> float:
    """From one time to another, in seconds."""
    return (last - first).total_seconds()
