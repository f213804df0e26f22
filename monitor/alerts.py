"""Tells of a run's new alerts while it works: on the terminal, and to a webhook if one is set.

The launcher reads them in the run folder, so it is the same on every runner. An alert is shown
when its refresh is reported, so a resumed run shows none a second time. It never ends a run:
a webhook that is not reached is tried again a few times and reported once.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from model.alerts import Alert, describe_alerts
from model.asof import format_name
from model.remote import storage_errors
from model.runs import RunFolder
from model.wording import format_count
from monitor.watch.figures import clean

INTERVAL = 1.0
"""Seconds between two looks."""
SHOWN = 12
"""Maximum number of refreshes whose alerts are printed at a time, in a line each."""
TIMEOUT = 5.0
"""Seconds that a webhook has to answer."""
TRIES = 4
BACKOFF = 1.0
"""Seconds until a webhook is tried again; twice as many each time."""
POSTED = 1_000
"""Maximum number of alerts in a POST."""
PATIENCE = 15.0
"""Seconds that a run's end waits for what is still to be posted."""


class NotReached(Exception):
    """A webhook did not accept what was posted; the message has the reason, without the address."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: alerts go where they were meant to go, or nowhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def post(address: str, run: str, alerts: Sequence[Alert]) -> None:
    """Posts alerts as JSON: ``{"format": 1, "run": ..., "alerts": [...], "lines": [...]}``.

    ``lines`` has one for each refresh.

    Raises:
        NotReached: if the answer is not a 2xx, or none came in time.
    """
    payload = {
        "format": 1,
        "run": run,
        "alerts": [alert.model_dump() for alert in alerts],
        "lines": describe_refreshes(alerts),
    }
    headers = {"Content-Type": "application/json", "User-Agent": "correnteza"}
    request = urllib.request.Request(address, json.dumps(payload).encode(), headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT):
            pass
    except urllib.error.HTTPError as error:
        raise NotReached(f"it answers {error.code}") from None
    except Exception as error:  # what any of http, ssl and sockets raise
        raise NotReached(reason(error)) from None


def reason(error: BaseException) -> str:
    """Why a connection failed, without the address that an error's own text may have."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, ConnectionError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return type(cause).__name__


class Webhook:
    """Posts alerts in their order, and tries again later what was not taken.

    Attributes:
        address: where they are posted; it may hold a secret and is not logged.
        run: the run folder's path.
        show: called with a line, once, if alerts could not be posted.
    """

    def __init__(self, address: str, run: str, show: Callable[[str], None]) -> None:
        self.address = address
        self.run = run
        self.show = show
        self._waiting: list[Alert] = []
        self._tries = 0
        self._again = 0.0
        self._why = "there was no time left"
        self._told = False

    def add(self, alerts: Sequence[Alert]) -> None:
        """Has alerts posted after those that wait already."""
        self._waiting.extend(alerts)

    def work(self) -> None:
        """Posts what waits, if it is time to; takes no longer than ``TIMEOUT``, all but."""
        if not self._waiting or time.monotonic() < self._again:
            return
        first = self._waiting[:POSTED]
        try:
            post(self.address, self.run, first)
        except NotReached as error:
            self._why = str(error)
            self._note_failure()
        else:
            del self._waiting[: len(first)]
            self._tries = 0

    def finish(self) -> None:
        """Posts what waits, within ``PATIENCE`` seconds."""
        end = time.monotonic() + PATIENCE
        while self._waiting and time.monotonic() < end:
            self.work()
            time.sleep(min(0.1, BACKOFF / 10))
        if self._waiting:
            self._give_up()

    def _note_failure(self) -> None:
        self._tries += 1
        self._again = time.monotonic() + BACKOFF * 2 ** (self._tries - 1)
        if self._tries == TRIES:
            self._give_up()

    def _give_up(self) -> None:
        if not self._told:
            self.show(
                f"the webhook did not take {format_count(len(self._waiting), 'alert')}: {self._why}"
            )
        self._told = True
        self._waiting.clear()
        self._tries = 0


class AlertWatch:
    """Tells of a run's new alerts while it works; use it as a context.

    Attributes:
        folder: the run's folder.
        show: shows a line.
        webhook: where alerts are posted too, or None.
    """

    def __init__(
        self, folder: RunFolder, show: Callable[[str], None], address: str | None = None
    ) -> None:
        self.folder = folder
        self.show = show
        self.webhook = None if address is None else Webhook(address, folder.path, show)
        self._seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="alerts", daemon=True)

    def __enter__(self) -> AlertWatch:
        try:
            # by the reports: a resumed run may make a lost file of alerts again
            self._seen.update(map(format_name, self.folder.reported()))
        except storage_errors():  # it is looked at again soon
            pass
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE + 2 * TIMEOUT)

    def look(self) -> None:
        """Tells of the alerts that are new."""
        new = self.folder.alerted(besides=self._seen)
        found: list[Alert] = []
        for name in new:
            with suppress(ValueError):  # a file that something else has changed
                found += self.folder.read_alerts(name)
        self._seen.update(new)
        for line in lines(found, self.folder.alerts):
            self.show(line)
        if self.webhook is not None:
            self.webhook.add(found)

    def _watch(self) -> None:
        over = False
        while not over:
            over = self._over.wait(INTERVAL)
            try:
                self.look()
            except storage_errors():  # the run itself reports a folder that is not reached
                pass
            if self.webhook is not None:
                self.webhook.work()
        if self.webhook is not None:
            self.webhook.finish()


def lines(alerts: Sequence[Alert], where: str) -> list[str]:
    """The terminal's lines on new alerts, in the order of their refreshes.

    Args:
        alerts: those of a refresh stand together.
        where: the folder that has all of them.
    """
    refreshes = describe_refreshes(alerts)
    shown = [clean(f"alert: {text}") for text in refreshes[:SHOWN]]
    if len(shown) < len(refreshes):
        more = format_count(len(refreshes) - len(shown), "refresh")
        shown.append(f"alerts of {more} are not shown; see {where}")
    return shown


def describe_refreshes(alerts: Sequence[Alert]) -> list[str]:
    """A line for each refresh that has alerts, in the order given: those of one stand together."""
    grouped = groupby(alerts, key=lambda alert: alert.refresh_start)
    return [describe_alerts(list(found)) for _, found in grouped]
