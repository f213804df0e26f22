"""Kills parts of a live job on Flink at random moments, and looks whether anything shows.

``make chaos`` kills each part ten times; the tests kill each once. A run that was disturbed must
end with the files of one that was not: the same people, replayed embedded. The broker is killed
under a run on a topic (``broker_chaos``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import psutil

from tests.end_to_end import flink
from tests.end_to_end.broker_chaos import disturb_broker
from tests.end_to_end.exactness import Cadence, assert_exact
from tests.kit.job import ROOT, assert_whole, content, metrics

RATE, WINDOW = 1_000, 5
LIVE = (
    *("--learner", "ridge", "--window", str(WINDOW), "--latency", "1", "--keep", "0"),
    *("--rate", str(RATE)),
)
BATCH = RATE // 5
"""Rows of a live batch: those of 200 ms."""
ENDLESS = ("--refreshes", "0", "--on-interrupt", "drain")
"""A job that is killed goes on until it is drained: it cannot have ended before it is killed."""
POOL_PORT = 32_321


class Live:
    """A live job on Flink, in a process of its own; what it says goes into a file.

    Attributes:
        folder: the run's.
        argv: its options, without those that resume it.
        patience: seconds until it counts as stuck.
    """

    def __init__(self, folder: Path, argv: tuple[str, ...], patience: float = 600) -> None:
        self.folder = folder
        start = datetime.fromtimestamp(time.time() // WINDOW * WINDOW, timezone.utc)
        begun: tuple[str, ...] = ("--start", f"{start:%Y-%m-%dT%H:%M:%SZ}")  # with a whole refresh
        begun = () if "--resume" in argv else begun  # its settings have its start
        self.words = (*LIVE, "--live", *begun, *flink.WORDS, *argv, "--output", str(folder))
        self.patience = patience
        self.log = folder.with_name(folder.name + ".log")
        self.process: subprocess.Popen[bytes] = self._start(())

    def _start(self, more: tuple[str, ...]) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "pipeline", *self.words, *more]
        with self.log.open("ab") as out:
            return subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=out)

    @property
    def reports(self) -> int:
        """How many refreshes it has reported."""
        return len(list(self.folder.glob("metrics/*.json")))

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        """Waits while it works.

        Raises:
            AssertionError: if it ends or takes too long before; shows what it said.
        """
        until = time.monotonic() + self.patience
        while not ready():
            assert self.process.poll() is None, f"it ended before {what}: {self.said}"
            assert time.monotonic() < until, f"too long until {what}: {self.said}"
            time.sleep(0.1)

    def wait_for_more(self) -> None:
        """Waits until it has reported a refresh more than now, or has ended.

        It may have, if its start took so long that all its refreshes came at once.
        """
        before = self.reports
        self.wait_for(
            lambda: self.reports > before or self.process.poll() is not None, "another report"
        )

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def end(self, longest: float = 0.0) -> int:
        """Waits for its end, which may be so many seconds away; gives the exit code."""
        return self.process.wait(self.patience + longest)

    def drain(self) -> None:
        """Ends it with the refresh that has begun."""
        self.process.send_signal(signal.SIGINT)
        assert self.end() == 0, self.said

    def go_on(self) -> None:
        """Starts it again as it said that it goes on: from its last checkpoint."""
        result = re.findall(r"; go on with:\n.* --output \S+ (--resume.*)", self.said)
        assert result, self.said
        self.process = self._start(tuple(shlex.split(result[-1])))


def taskmanager(live: Live) -> None:
    """Kills Flink's TaskManager, and has another started."""
    flink.kill("taskmanager")
    flink.mend()


def worker(live: Live) -> None:
    """Kills the Python worker; the job may still be about to start another after the last kill."""
    live.wait_for(lambda: bool(workers()), "a worker to kill")
    for process in workers():
        process.kill()


def workers() -> list[psutil.Process]:
    """The Python workers of this machine."""
    every = psutil.process_iter(["cmdline"])
    return [one for one in every if any("SdkHarness(" in w for w in one.info["cmdline"] or ())]


def jobmanager(live: Live) -> None:
    """Kills Flink's JobManager, has another started, and goes on from the last checkpoint."""
    flink.kill("jobmanager")
    flink.mend()
    assert live.end() == 1, live.said
    live.go_on()


BROKER = "broker"
"""The part that is killed under a run on a topic."""
KILLS = {"taskmanager": taskmanager, "worker": worker, "jobmanager": jobmanager}
WORDS = {
    "worker": ("--environment_type=EXTERNAL", f"--environment_config=localhost:{POOL_PORT}"),
}


@contextmanager
def pool(log: Path) -> Iterator[None]:
    """Beam's pool of Python workers, in a process of its own."""
    argv = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    out: IO[bytes]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*argv, f"--service_port={POOL_PORT}"],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        yield
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


def disturb(part: str, kills: int, folder: Path, seed: int) -> Path:
    """Runs a live job, kills a part of it at random moments, and drains it.

    Args:
        part: which of ``KILLS``.
        kills: how often.
        folder: an empty one.
        seed: of the moments.

    Returns:
        The run's folder.
    """
    moments = random.Random(seed)
    live = Live(folder / part, (*ENDLESS, *WORDS.get(part, ())))
    live.wait_for(lambda: live.reports >= 2, "its second report")
    for number in range(kills):
        pause = moments.uniform(0, WINDOW + 3)
        time.sleep(pause)
        message = f"{part}: kill {number + 1} of {kills}, {pause:.1f} s after a report"
        print(f"   {message}, {live.reports} reported", flush=True)
        KILLS[part](live)
        live.wait_for_more()
    live.drain()
    return live.folder


def undisturbed(run: Path, folder: Path) -> Path:
    """The same people, cut the same, replayed on the embedded runner."""
    settings = json.loads((run / "settings.json").read_text())
    refreshes = settings["windows"] or len(metrics(run))
    argv = ("--start", settings["start"], "--refreshes", refreshes)
    job = [sys.executable, "-m", "pipeline", *LIVE, "--batch-rows", BATCH, *argv]
    done = subprocess.run(
        [str(word) for word in (*job, "--output", folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def assert_nothing_shows(run: Path, replayed: Path) -> None:
    """Asserts that a run's files are whole, exact, and the undisturbed run's to the byte."""
    assert_whole(run)
    one, other = content(run), content(replayed)
    one.pop("settings.json"), other.pop("settings.json")  # they differ in --live
    one.pop("drain.json", None)
    differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    assert not differ, f"{len(differ)} files differ: {differ[:5]}"
    read = sum(report["rows"] for report in metrics(replayed))
    assert_exact(run, Cadence(WINDOW), read)


def main() -> int:
    """``make chaos``: kills each part so many times, and says what it saw."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each part (10)")
    parts = [*KILLS, BROKER]
    parser.add_argument("--parts", nargs="*", choices=parts, default=parts)
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "chaos")
    given = parser.parse_args()
    flink.mend()
    failed = 0
    for part in given.parts:
        folder = given.folder / part
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        failed += not judge(part, given.kills, folder, given.seed)
    print(f"{len(given.parts) - failed} passed, {failed} failed")
    return 1 if failed else 0


def judge(part: str, kills: int, folder: Path, seed: int) -> bool:
    """Disturbs a job and compares it; says how it went."""
    began = time.monotonic()
    expected = "the undisturbed run's files"
    try:
        if part == BROKER:
            expected = "no row lost or twice, and the files of its own replay"
            run = disturb_broker(kills, folder, seed)
        else:
            with pool(folder / "pool.log"):
                run = disturb(part, kills, folder, seed)
            assert_nothing_shows(run, undisturbed(run, folder / "undisturbed"))
    except AssertionError as error:
        print(f"{part}: FAILED: {error}", flush=True)
        return False
    message = f"{kills} kills, {len(metrics(run))} refreshes, {time.monotonic() - began:.0f} s"
    print(f"{part}: {expected} to the byte ({message})", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
