"""A live job on Flink is stopped with a savepoint, and started from it: as it was, or changed.

A changed program goes on from a savepoint if it reads what is kept there; else it refuses it,
says why, and leaves nothing behind that its next start would not mend.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.runners.cluster import OVER, Job
from pipeline.runners.flink import job_name
from tests.end_to_end import flink
from tests.end_to_end.chaos import Live, assert_nothing_shows, undisturbed
from tests.kit.job import ROOT, assert_whole, metrics, status

pytestmark = flink.needs_flink
REFRESHES = 12
"""So many that a slow start is over before the last one."""
WORDS = ("--refreshes", str(REFRESHES), "--on-interrupt", "savepoint")
PACKAGES = ("model", "reading", "transforms", "monitor", "pipeline")


class Change(NamedTuple):
    """A change of the program.

    Attributes:
        path: the file.
        before: a pattern of what stands in it, once.
        after: what stands there instead.
    """

    path: str
    before: str
    after: str


ANOTHER_WAY = Change(
    "transforms/sources/read.py",
    r"        return self\.stamp\(item, self\.reader\(item\)\)\n",
    "        batches = list(self.reader(item))\n"
    "        open(__file__ + '.ran', 'w').close()\n"
    "        return self.stamp(item, iter(batches))\n",
)
"""``ReadFn`` makes all batches of a work item before it hands on the first, and leaves a mark."""
BATCH = Change("transforms/coders.py", r'header\(b"B", \d+\)', 'header(b"B", 99)')
PLANNER = Change("transforms/sources/planner.py", r"    version = \d+\n", "    version = 99\n")


def program(folder: Path, source: Path = ROOT) -> Path:
    """A copy of a program; gives its folder."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source / package, folder / package, ignore=ignored)
    return folder


def changed(copy: Path, change: Change) -> Path:
    """A program's folder, after a change."""
    path = copy / change.path
    text, places = re.subn(change.before, lambda found: change.after, path.read_text())
    assert places == 1
    path.write_text(text)
    return copy


class Program(Live):
    """A live job on Flink, started from a copy of the program."""

    def __init__(self, copy: Path, folder: Path, more: tuple[str, ...] = ()) -> None:
        self.copy = copy
        super().__init__(folder, (*WORDS, *more))

    def _start(self, more: tuple[str, ...]) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "pipeline", *self.words, *more]
        with self.log.open("ab") as out:
            return subprocess.Popen(words, cwd=self.copy, stdout=out, stderr=out)

    @property
    def jobs(self) -> list[Job]:
        """What the cluster remembers of the jobs of its folder."""
        return flink.CLUSTER.jobs(job_name(str(self.folder)))


@contextmanager
def started(copy: Path, folder: Path, more: tuple[str, ...] = ()) -> Iterator[Program]:
    """A job that is not left on the cluster if a test fails."""
    live = Program(copy, folder, more)
    try:
        yield live
    finally:
        live.process.kill()
        for job in live.jobs:
            job.cancel()


class Stopped(NamedTuple):
    """A live job that was stopped with a savepoint.

    Attributes:
        program: the folder of what ran.
        folder: the run's, as it was then.
        said: what it said.
        states: the states of its jobs on the cluster, when it had ended.
        replayed: the folder of the same run, undisturbed.
    """

    program: Path
    folder: Path
    said: str
    states: list[str]
    replayed: Path

    @property
    def way_on(self) -> tuple[str, ...]:
        """The options with which it said that it goes on."""
        result = re.findall(r"; go on with:\n.* --output \S+ (--resume .*)", self.said)
        assert result, self.said
        return tuple(shlex.split(result[-1]))

    def copied(self, folder: Path) -> Path:
        """Its run, in another folder."""
        return Path(shutil.copytree(self.folder, folder))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """A job that was stopped by Ctrl-C after its first report."""
    home = tmp_path_factory.mktemp("stopped")
    with started(program(home / "program"), home / "run") as live:
        live.wait_for(lambda: live.reports >= 1, "its first report")
        live.process.send_signal(signal.SIGINT)
        assert live.end() == 130, live.said
        states = [job.state for job in live.jobs]
    replayed = undisturbed(live.folder, home / "undisturbed")
    return Stopped(live.copy, live.folder, live.said, states, replayed)


def test_ctrl_c_takes_a_savepoint_and_shows_how_the_job_goes_on_from_it(stopped: Stopped) -> None:
    assert "taking a savepoint" in stopped.said and "Traceback" not in stopped.said
    assert stopped.way_on[0] == "--resume" and len(stopped.way_on) == 2
    name, _, path = stopped.way_on[1].partition("=file:")
    assert name == "--savepoint_path" and Path(path, "_metadata").is_file()
    assert stopped.states == ["CANCELED"]
    assert status(stopped.folder)["state"] == "interrupted"
    assert_whole(stopped.folder)


def test_a_program_that_was_changed_in_a_step_goes_on_as_if_nothing_had_been(
    stopped: Stopped, tmp_path: Path
) -> None:
    copy = changed(program(tmp_path / "program", stopped.program), ANOTHER_WAY)
    with started(copy, stopped.copied(tmp_path / "run"), stopped.way_on) as live:
        assert live.end() == 0, live.said
    assert_nothing_shows(live.folder, stopped.replayed)
    assert (copy / f"{ANOTHER_WAY.path}.ran").exists()


REFUSED = {
    "a batch": (BATCH, r"a batch of version \d+: this program reads a batch of version 99\. "),
    "the source": (PLANNER, r"a source of version \d+, where 99 is known"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_a_program_that_does_not_read_the_savepoint_reports_it_and_goes_on_without_it(
    kind: str, stopped: Stopped, tmp_path: Path
) -> None:
    change, why = REFUSED[kind]
    copy = changed(program(tmp_path / "program", stopped.program), change)
    with started(copy, stopped.copied(tmp_path / "run"), stopped.way_on) as live:
        assert live.end() == 1, live.said
        assert {job.state for job in live.jobs} <= OVER
        errors = [line for line in live.said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and re.search(f"OtherVersion: {why}", errors[0]), live.said
        assert "Traceback" not in live.said
        assert_whole(live.folder)
        assert len(metrics(live.folder)) < REFRESHES
    with started(copy, live.folder, ("--resume",)) as again:
        assert again.end() == 0, again.said
    assert_nothing_shows(again.folder, stopped.replayed)
