"""The command line of ``watch``: follows a run until it has ended."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from itertools import starmap

from rich.console import Console
from rich.live import Live

from model.runs import RunFolder
from monitor.commandline import Parser
from monitor.console import consoles
from monitor.watch.figures import clean
from monitor.watch.follower import Update, alert_lines
from monitor.watch.table import cohort_line, line
from monitor.watch.view import WAITING
from monitor.watch.watched import WatchedRun

INTERVAL, SHARE = 0.5, 10
"""Seconds between two looks, and so many times as long as a look takes if that is more."""
EXAMPLES = """\
examples:
  python -m pipeline watch runs/latest                   until the run has ended, or Ctrl-C
  python -m pipeline watch runs/latest | tee watch.log

On a terminal it is a table that fills it, else a line a refresh. It ends with 0 when the run is
done or drained, and with 1 when it failed, was interrupted or gives no sign of life. Ctrl-C
leaves the run alone and ends with 130, so that in "watch runs/a && next" nothing follows.
"""


def parser() -> Parser:
    """The parser of ``python -m pipeline watch``."""
    made = Parser(
        prog="python -m pipeline watch",
        description="A run's newest refreshes, as they are reported.",
        epilog=EXAMPLES,
    )
    made.add_folder()
    return made


def run(argv: list[str]) -> int:
    """Runs the command; see ``monitor.watch.main``."""
    given = parser().parse_args(argv)
    watched = WatchedRun(RunFolder(given.folder.rstrip("/") or "/"))
    out, err = consoles()
    show = show_picture if out.is_interactive else show_lines
    try:
        show(watched, out)
    except KeyboardInterrupt:
        err.print("stopped watching; the run goes on")
        return 130
    out.print(watched.farewell(), soft_wrap=True)
    return 0 if watched.state in ("done", "drained") else 1


def follow(watched: WatchedRun, show: Callable[[Update], None]) -> None:
    """Looks at a run again and again until it has ended.

    Args:
        watched: the run.
        show: shows it; is given what is new.
    """
    while True:
        began = time.monotonic()
        show(watched.look())
        if watched.over:
            return
        time.sleep(max(INTERVAL, SHARE * (time.monotonic() - began)))


def show_picture(watched: WatchedRun, out: Console) -> None:
    """Shows a run on the whole of a terminal; what it looked like at the end stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the terminal is given back first
    try:
        with Live(console=out, screen=True, auto_refresh=False) as live:
            follow(watched, lambda new: live.update(watched.view(), refresh=True))
    finally:
        out.print(watched.view(), height=max(out.height - 3, 1))  # two lines and the prompt follow


def show_lines(watched: WatchedRun, out: Console) -> None:
    """Prints a line a refresh and an alert, first those of the newest refreshes that are there."""

    def print_line(text: str) -> None:
        out.print(clean(text, out.encoding), soft_wrap=True)

    trouble = ""

    def show(new: Update) -> None:
        nonlocal trouble
        if watched.trouble not in ("", trouble):
            print_line(watched.trouble)
        trouble = watched.trouble
        asked = starmap(cohort_line, new.cohorts.items())
        shown = *starmap(line, new.reports.items()), *asked, *alert_lines(new.alerts.values())
        for text in shown:
            print_line(text)

    print_line(watched.title)
    show(watched.look())
    if not (watched.seen.reports.count or watched.over):
        print_line(WAITING)
    follow(watched, show)
    if watched.seen.questions is not None:
        for text in watched.seen.questions.describe():
            print_line(text)
