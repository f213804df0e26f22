"""Shows how a run gets on while it works, and its summary when it has ended."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from model.asof import EPOCH, format_iso, format_name, parse_iso
from model.batch import SECOND
from model.cohorts import Clock
from model.errors import UserError
from model.metrics import Metrics
from model.pooling import NEWEST, pool, pool_newest
from model.runs import RunFolder
from model.wording import format_count, format_seconds
from monitor.labels import list_counts
from monitor.questions import QuestionFollower
from monitor.watch.figures import format_figure as shown
from monitor.watch.follower import RunFollower
from monitor.watch.table import ERRORS, QUESTION_CELLS, VIEWS, error_titles, format_error
from monitor.watch.view import View
from transforms import counters
from transforms.sources.topic_state import STATE

INTERVAL = 0.5
PLAIN_INTERVAL = 5.0
"""Seconds between pictures on a terminal, and else between progress lines."""
SHOWN = 24
"""Maximum number of refreshes that a summary shows."""
DELAYS = ("scored behind",)
"""What is observed of a live run, in seconds; see ``transforms.predict``."""
TRAINED = ("models trained", "models found", "windows skipped")
"""Counts of windows that are done with."""
SETTLED = 60.0
"""Seconds after which observations of the run's beginning count no more: they are of start-up."""


class Reported:
    """A run's counts, from the reports that were written since this was made.

    For a run whose workers are elsewhere: what they count does not reach this process.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._counts: Counter[str] = Counter()
        self._seen = set(folder.report_names())

    def look(self) -> None:
        """Reads the reports that are new."""
        for name in self.folder.report_names():
            if name not in self._seen:
                self._add(self.folder.read_report(name))
                self._seen.add(name)

    def end(self) -> int:
        """The end of the newest refresh that is reported, microseconds; 0 without one."""
        names = self.folder.report_names()
        if not names:
            return 0
        try:
            end = parse_iso(self.folder.read_report(names[-1]).refresh_end)
        except ValueError:  # not a report of ours: the run has ended all the same
            return 0
        return round(end.timestamp() * SECOND)

    @property
    def counts(self) -> dict[str, int]:
        """The counts as of the last look, by the names of ``transforms.counters``."""
        return dict(self._counts)

    def _add(self, report: Metrics) -> None:
        self._counts["rows read"] += report.rows + report.rejected
        self._counts["rows rejected"] += report.rejected
        self._counts["rows scored"] += report.scored
        self._counts["refreshes reported"] += 1


class Pace:
    """How many windows of how many are trained, and how long the rest may take.

    Args:
        refreshes: about how many windows there are in the whole run; 0: it is not known.
        before: how many of them an earlier run has trained and reported.
    """

    def __init__(self, refreshes: int, before: int = 0) -> None:
        self.refreshes = refreshes
        self.before = before
        self._began: tuple[int, float] | None = None

    def describe(self, windows: int, seconds: float) -> str:
        """The windows that are trained, of how many, and the time that is left.

        Args:
            windows: how many this run has trained so far.
            seconds: for how long it has worked.

        Example:
            >>> pace = Pace(12)
            >>> pace.describe(2, 10.0), pace.describe(6, 18.0)
            ('2 of 12 windows trained', '6 of 12 windows trained (about 12 s left)')
        """
        done = self.before + windows
        if done > self.refreshes:
            return f"{format_count(windows, 'window')} trained"
        line = f"{done:,} of {format_count(self.refreshes, 'window')} trained"
        if self._began is None:
            self._began = windows, seconds
        first, began = self._began
        if windows == first or done == self.refreshes:
            return line
        left = (self.refreshes - done) * (seconds - began) / (windows - first)
        return f"{line} (about {format_seconds(left)} left)"


class Progress:
    """Shows how a run stands, and keeps status.json, while it works.

    On a terminal that is the picture of ``python -m pipeline watch``, else a line now and then.

    Use as a context; set ``state`` before it ends, unless an error ends it.

    Args:
        folder, console: as below.
        refreshes: about how many there will be in the whole run; 0: it is not known.
        clock: when questions can be answered; None unless labels have a time of their own.

    Attributes:
        folder: the run's folder.
        console: where it is shown (standard error).
        state: running, done, failed or interrupted.
    """

    def __init__(
        self,
        folder: RunFolder,
        console: Console,
        refreshes: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.console = console
        self.state = "running"
        self._reported = Reported(folder)
        self._follower = RunFollower(folder, clock)
        self._pace = Pace(refreshes, len(folder.reported()) if refreshes else 0)
        self._began = self._looked = time.monotonic()
        self._settles = time.time() + SETTLED
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._try_write()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Writes the last status; nothing happens at a second end but that it is written again.

        Args:
            error: what ended the run; None: ``state`` holds how it ended.
        """
        if error is not None:
            self.state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        self._over.set()
        if self._thread.ident is not None:  # it was begun
            self._thread.join()
        self._try_write()

    def abandon(self) -> None:
        """Writes that the run was interrupted, in the moment in which the process ends."""
        self.state = "interrupted"
        self._try_write()

    @property
    def seconds(self) -> float:
        """How long the run has worked."""
        return time.monotonic() - self._began

    def counts(self) -> dict[str, int]:
        """What the run has done so far.

        That is what the workers in this process have counted or, if nothing, the reports';
        they are read every ``PLAIN_INTERVAL`` seconds, and at the end.
        """
        counts = counters.counts()
        if counts.get("rows read"):
            return counts
        if self._over.is_set() or time.monotonic() >= self._looked + PLAIN_INTERVAL:
            with suppress(OSError):  # the run itself reports a folder that is not reached
                self._reported.look()
            self._looked = time.monotonic()
        return self._reported.counts

    def line(self) -> str:
        """The progress line: rows, rate, windows."""
        questions = self._follower.questions
        asked: list[str] = []
        if questions is not None:
            self._look()
            asked = list_counts(questions.figures.counts)
        return f"{self.seconds:5.0f} s  " + ", ".join([*self.parts(), *asked])

    def parts(self) -> list[str]:
        """Rows, rate, windows: a short text each."""
        counts = self.counts()
        rows = counts.get("rows read", 0)
        parts = [f"{format_count(rows, 'row')} read ({self.rate(rows):,.0f}/s)"]
        windows = sum(counts.get(name, 0) for name in TRAINED)
        if windows:
            parts.append(self._pace.describe(windows, self.seconds))
        if counts.get("rows scored"):
            parts.append(f"{format_count(counts['rows scored'], 'row')} scored")
        if counts.get("refreshes reported"):
            parts.append(f"{format_count(counts['refreshes reported'], 'refresh')} reported")
        for name, seconds in self.delays().items():
            done, behind = name.split()
            parts.append(f"{done} {seconds['p95']:.1f} s {behind} (p95)")
        topic = STATE.status()
        return parts if topic is None else parts + topic.summary()

    def rate(self, rows: int) -> float:
        """Rows read a second, from the beginning until the last one was read."""
        last = counters.last_counted("rows read")
        seconds = self.seconds if last is None else last - self._began
        return rows / max(seconds, 1e-9)

    def view(self) -> View:
        """The run's picture."""
        self._look()
        parts = [f"{self.seconds:.0f} s", *self.parts()]
        return View(self.folder.path, self.state, parts, self._follower)

    def _look(self) -> None:
        with suppress(OSError, UserError):  # a file that cannot be read does not end the run
            self._follower.look()

    def delays(self) -> dict[str, dict[str, float]]:
        """How late a live run is, by kind: count, percentiles and maximum, in seconds.

        They are of the latest in this process (``transforms.counters.KEPT_LATENCIES``), without
        those of the run's first minute (``SETTLED``) as soon as it is over.
        """
        since = self._settles if time.time() >= self._settles else 0.0
        return {
            name: percentiles(seen) for name in DELAYS if (seen := counters.latencies(name, since))
        }

    def _watch(self) -> None:
        if not self.console.is_interactive:
            while not self._over.wait(PLAIN_INTERVAL):
                self.console.print(self.line(), soft_wrap=True)
                self._try_write()
            return
        live = Live(self.view(), console=self.console, auto_refresh=False, transient=True)
        with live, log_to_stderr():
            while not self._over.wait(INTERVAL):
                live.update(self.view(), refresh=True)
                self._try_write()

    def _try_write(self) -> None:
        with suppress(OSError):  # the run itself reports a full disk
            self._write()

    def _write(self) -> None:
        counts = self.counts()
        rows = counts.get("rows read", 0)
        watermark = counts.get("watermark")
        if self.state in ("done", "drained"):  # the last item's stamp is its first row's
            watermark = max(self._reported.end(), watermark or 0) or None
        delays, topic = self.delays(), STATE.status()
        self.folder.write_json(
            self.folder.status,
            {
                "state": self.state,
                "rows_read": rows,
                "rate": round(self.rate(rows), 1),
                "watermark": None if watermark is None else format_iso(watermark),
                "updated": format_iso(time.time_ns() // 1000),
                **({"delays": delays} if delays else {}),
                **({} if topic is None else {"topic": topic.model_dump()}),
            },
        )


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """What is logged goes to standard error as it is now: above a live picture, not into it."""
    handlers = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    before = [handler.stream for handler in handlers]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)


def percentiles(seen: Sequence[float]) -> dict[str, float]:
    """Count, median, 95th and 99th percentile and maximum of seconds, at least one of them.

    Example:
        >>> percentiles([0.25, 0.5, 0.75])
        {'count': 3, 'p50': 0.5, 'p95': 0.725, 'p99': 0.745, 'max': 0.75}
    """
    values = np.percentile(seen, (50, 95, 99, 100)).round(3).tolist()
    return {"count": len(seen), **dict(zip(("p50", "p95", "p99", "max"), values, strict=True))}


def print_summary(folder: RunFolder, console: Console, clock: Clock | None = None) -> None:
    """Prints a line a refresh, and where things are.

    Args:
        folder: the run's.
        console: where to print.
        clock: when questions can be answered; None unless labels have a time of their own.
    """
    reports = folder.reports()
    follower = RunFollower(folder, clock)
    if clock is not None:
        follower.look()
    if reports:
        console.print(_table(folder, reports[-SHOWN:], follower))
    if follower.questions is not None:
        console.print(VIEWS, soft_wrap=True)
        for line in follower.questions.describe():
            console.print(line, soft_wrap=True)
    for line in pooled_lines(reports):
        console.print(line, soft_wrap=True)
    if len(reports) > SHOWN:
        console.print(
            f"the last {SHOWN} of {len(reports):,} refreshes; all: {folder.metrics}",
            soft_wrap=True,
        )


def _table(folder: RunFolder, reports: list[Metrics], follower: RunFollower) -> Table:
    questions = follower.questions
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("refresh (UTC)", no_wrap=True)
    classes = any(report.classifies for report in reports)
    quality = "AUC" if classes else "R2"
    error = [ERRORS[classes]] if questions is None else error_titles(ERRORS[classes])
    best = () if classes else ("best",)
    for title in ("rows", "model", *error, quality, *best, "skill", "fit s"):
        table.add_column(title, justify="right", no_wrap=questions is None)
    for report in reports:
        fit = None if report.model is None else folder.fit_seconds(report.model)
        table.add_row(
            report.refresh_start.removesuffix("Z").replace("T", " "),
            f"{report.rows:,}",
            report.model or "-",
            shown(report.log_loss) if classes else format_error(report),
            *([] if questions is None else cells_by_question(report, questions)),
            shown(report.roc_auc if classes else report.r2),
            *([] if classes else [shown(report.skill_best)]),
            *map(shown, (report.skill, fit)),
        )
    return table


def pooled_lines(reports: Sequence[Metrics]) -> list[str]:
    """The figures of all refreshes together, and of the newest 20 if there are more."""
    found = [("all refreshes", pool(reports))]
    if found[0][1].refreshes > NEWEST:
        found.append((f"the newest {NEWEST}", pool_newest(reports)))
    if any(report.log_loss is not None for report in reports):
        return [
            f"{title}: log loss {shown(one.mae)}, skill {shown(one.skill)}"
            for title, one in found
            if one.labelled
        ]
    return [
        f"{title}: MAE {shown(one.mae)}, R2 {shown(one.r2)}, skill {shown(one.skill)}, beside the "
        f"best baseline {shown(one.skill_best)}"
        for title, one in found
        if one.labelled
    ]


def cells_by_question(report: Metrics, questions: QuestionFollower) -> list[str]:
    """The cells of a refresh by its questions."""
    start = parse_iso(report.refresh_start) - EPOCH
    asked = questions.of(format_name(start // timedelta(microseconds=1)))
    return [cell(asked) for cell in QUESTION_CELLS.values()]
