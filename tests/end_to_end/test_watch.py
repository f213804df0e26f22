"""``python -m pipeline watch`` in a terminal of its own, beside a run that goes on."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import ROOT, finish, process

pytestmark = pytest.mark.slow
LIVE = (
    *("--runner", "prism", "--live", "--refreshes", "0", "--learner", "ridge"),
    *("--window", "3", "--rate", "200", "--output", "run"),
)
SCREEN, LEFT = "\x1b[?1049h", "\x1b[?1049l"
"""How a program takes the whole terminal, and gives it back."""


class Terminal:
    """A program in a terminal, and all that it has shown."""

    def __init__(self, *argv: str, width: int = 100, height: int = 30, **env: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        given = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        given |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **env}
        command = [sys.executable, "-m", "pipeline", *argv]
        self.running = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=given, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""

    def look(self, seconds: float = 0.05) -> bool:
        """Reads what is shown within some time; whether the program goes on."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.ours, 1 << 16)
        except OSError:  # it has ended
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def until(self, text: str, seconds: float = 300.0) -> None:
        """Waits until a text is shown."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert self.look() and time.monotonic() < deadline, (text, self.shown[-2000:])

    def has_ended(self) -> int:
        """Waits until the program has ended; gives its exit code."""
        deadline = time.monotonic() + 300
        while self.look():
            assert time.monotonic() < deadline, self.shown[-2000:]
        return self.running.wait(120)


@contextmanager
def terminal(*argv: str, **more: Any) -> Iterator[Terminal]:
    """A program in a terminal, ended at last."""
    made = Terminal(*argv, **more)
    try:
        yield made
    finally:
        made.running.kill()
        made.running.wait()
        os.close(made.ours)


def clock(report: Path) -> str:
    """The time of a report as the table shows it."""
    return re.sub(r".*T(\d\d)(\d\d)(\d\d)Z", r"\1:\2:\3", report.stem)


def next_report(folder: Path, seen: set[Path]) -> Path:
    """Waits for a report that is not seen yet."""
    deadline = time.monotonic() + 300
    while not (new := set(folder.glob("metrics/*.json")) - seen):
        assert time.monotonic() < deadline, "no report"
        time.sleep(0.02)
    return min(new)


@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_a_live_runs_new_refreshes_are_seen_while_it_goes_on(home: Path) -> None:
    running = process(*LIVE)
    try:
        next_report(home / "run", set())
        with terminal("watch", "run") as seen:
            seen.until("people -> run")
            assert SCREEN in seen.shown and "\x1b[3" in seen.shown
            for _ in range(2):
                report = next_report(home / "run", set((home / "run").glob("metrics/*.json")))
                seen.until(clock(report))
            seen.until("s behind)")  # the watermark
            seen.shown = ""
            running.send_signal(signal.SIGINT)
            assert seen.has_ended() == 1
            assert "the run has ended (interrupted)" in seen.shown.partition(LEFT)[2]
    finally:
        running.send_signal(signal.SIGINT)
        finish(running)


@pytest.mark.parametrize(
    ("sent", "code", "message"),
    [
        (signal.SIGINT, 130, "stopped watching; the run goes on"),
        (signal.SIGTERM, 143, ""),
    ],
)
def test_who_stops_watching_gets_the_terminal_back_and_leaves_the_run_alone(
    sent: signal.Signals, code: int, message: str, home: Path
) -> None:
    folder = home / "run"
    running = process(
        *("--learner", "ridge", "--refreshes", "3", "--rate", "20", "--output", str(folder))
    )
    assert finish(running).code == 0
    status = folder / "status.json"
    status.write_text(re.sub('"done"', '"running"', status.read_text()))
    (folder / "ended.json").unlink()
    with terminal("watch", "run", NO_COLOR="1") as seen:
        seen.until("00:02:00")
        assert not re.search("\x1b\\[[34]\\d", seen.shown)
        os.killpg(seen.running.pid, sent)
        assert seen.has_ended() == code
        after = seen.shown.partition(LEFT)[2]
        assert "00:02:00" in after and message in after


def test_the_run_itself_shows_its_refreshes_on_a_terminal_and_warnings_above_them(
    home: Path,
) -> None:
    Path("loud.py").write_text(LOUD)
    argv = ("--learner", "loud:Loud", "--refreshes", "4", "--rate", "20", "--output", "run")
    with terminal(*argv, width=70) as seen:
        assert seen.has_ended() == 0
        lines = re.split("\r|\n|\x1b\\[[12][AK]", seen.shown)
        warned = {line for line in lines if "a warning" in line}
        assert warned == {"WARNING loud: a warning of the learner's"}  # each on its own line
        assert "run\x1b[32m  running\x1b[0m" in lines
        assert "20260101T000300Z" in seen.shown  # the summary
        assert SCREEN not in seen.shown


LOUD = """
import logging
import time
from sklearn.linear_model import Ridge

class Loud(Ridge):
    def fit(self, matrix, target):
        if len(target) > 64:  # not the rows on which a learner is tried
            time.sleep(0.7)
            logging.getLogger("loud").warning("a warning of the learner's")
        return super().fit(matrix, target)
"""
