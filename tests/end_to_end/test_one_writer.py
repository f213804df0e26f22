"""Runs at the same time, and signals: one writer a folder; SIGTERM is as Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import (
    SMALL,
    content,
    finish,
    metrics,
    process,
    resume_options,
    status,
)

ENDLESS = """\
import time
from sklearn.linear_model import Ridge

class Endless(Ridge):
    def fit(self, matrix, target):
        if len(target) > 64:  # not the rows on which a learner is tried
            time.sleep(600)
        return super().fit(matrix, target)
"""
MINE = ("--learner", "endless:Endless", "--refreshes", "2", "--rate", "20")
LIVE = ("--live", "--learner", "ridge", "--rate", "200", "--window", "2", "--refreshes", "0")
needs_prism = pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")


def wait_for(what: Callable[[], object], running: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not what():
        assert running.poll() is None and time.monotonic() < until, running.communicate()
        time.sleep(0.05)


@contextmanager
def endless(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """A run in the folder ``o`` that goes on until it is stopped."""
    Path("endless.py").write_text(ENDLESS)
    running = process(*MINE, "--output", "o", *argv)
    try:
        wait_for(Path("o/status.json").exists, running)
        yield running
    finally:
        running.kill()
        running.communicate()


def test_a_second_writer_is_refused_while_a_run_lives_and_a_crash_frees_its_folder(
    home: Path,
) -> None:
    with endless() as first:
        before = Path("o/settings.json").read_bytes()
        for more in ((), ("--resume",), ("--overwrite",)):
            result = finish(process(*MINE, "--output", "o", *more))
            who = (
                f"--output o: a run is writing there (host {socket.gethostname()}, pid {first.pid}"
            )
            assert result.code == 2 and result.err.startswith(f"error: {who}, since ")
            assert result.err.count("\n") == 1
        assert first.poll() is None and Path("o/settings.json").read_bytes() == before
        first.kill()
        first.wait()
        result = finish(process(*SMALL, "--output", "o", "--overwrite"))
        assert result.code == 0, result.err
    assert not Path("o/lock.json").exists()


def test_runs_that_begin_at_once_have_a_folder_each_or_are_refused(home: Path) -> None:
    fresh = [process(*SMALL) for _ in range(2)]
    assert [finish(each).code for each in fresh] == [0, 0]
    folders = [path for path in Path("runs").iterdir() if not path.is_symlink()]
    assert len(folders) == 2 and content(folders[0]) == content(folders[1])
    same = [finish(process_) for process_ in [process(*SMALL, "--output", "o") for _ in range(2)]]
    assert sorted(each.code for each in same) == [0, 2]
    [refused] = [each for each in same if each.code == 2]
    assert "a run is writing there" in refused.error or "is not empty" in refused.error
    assert content("o") == content(folders[0])


def test_sigterm_interrupts_as_ctrl_c_does(home: Path) -> None:
    with endless() as running:
        running.send_signal(signal.SIGTERM)
        result = finish(running)
    assert (result.code, status("o")["state"]) == (143, "interrupted")
    assert result.err.splitlines()[-2] == "interrupted: 0 refreshes are complete in o; go on with:"
    assert resume_options(result) == [*MINE, "--output", "o", "--resume"]
    assert not Path("o/lock.json").exists() and "Traceback" not in result.err


@pytest.mark.slow
@needs_prism
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_on_prism_is_interrupted_without_a_word_but_ours(
    sent: signal.Signals, code: int, home: Path
) -> None:
    running = process(*LIVE, "--runner", "prism", "--output", "o", own_session=True)
    wait_for(lambda: len(list(Path("o").glob("metrics/*.json"))) >= 2, running)
    os.killpg(running.pid, sent)  # as a terminal does
    result = finish(running)
    assert (result.code, status("o")["state"]) == (code, "interrupted")
    lines = [line for line in result.err.splitlines() if not line.startswith(" ")]
    assert lines[0] == "people -> o (prism runner)" and lines[1].startswith("interrupted: ")
    assert len(lines) == 3 and resume_options(result) == [
        *(*LIVE, "--runner", "prism"),
        *("--output", "o", "--resume"),
    ]


@pytest.mark.slow
@needs_prism
def test_ctrl_c_in_a_terminal_drains_a_run_on_prism(home: Path) -> None:
    argv = (*LIVE, "--on-interrupt", "drain", "--runner", "prism", "--output", "o")
    running = process(*argv, own_session=True)
    wait_for(lambda: len(list(Path("o").glob("metrics/*.json"))) >= 2, running)
    os.killpg(running.pid, signal.SIGINT)
    result = finish(running)
    assert (result.code, status("o")["state"]) == (0, "drained"), result.err
    assert "Traceback" not in result.err and len(metrics("o")) >= 3


@pytest.mark.slow
@needs_prism
def test_a_second_signal_ends_a_run_at_once_and_prism_with_it(home: Path) -> None:
    with endless("--runner", "prism") as running:
        wait_for(lambda: psutil.Process(running.pid).children(recursive=True), running)
        started = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGTERM)
        running.send_signal(signal.SIGTERM)
        result = finish(running)
    assert (result.code, status("o")["state"]) == (
        143,
        "interrupted",
    ) and "Traceback" not in result.err
    assert psutil.wait_procs(started, timeout=120)[1] == []
