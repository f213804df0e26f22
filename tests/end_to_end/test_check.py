"""``python -m pipeline check --runner X``: real trials, and that nothing is left of them."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from pipeline.runners.prism import find_prism
from tests.end_to_end.flink import CLUSTER, WORDS, needs_flink
from tests.kit.job import Told, finish, process

pytestmark = pytest.mark.slow
FIRED = "trial: two windows fired, the second scored by the first one's model"


@pytest.fixture
def temporary(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command makes its temporary folders; it has to leave none."""
    (home / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    return home / "tmp"


def run_check(*argv: str) -> Told:
    """What the command told; no process that it started lives on."""
    running = process("check", *argv)
    seen: set[psutil.Process] = set()
    while running.poll() is None:
        seen |= children(running)
        time.sleep(0.2)
    assert seen and psutil.wait_procs(list(seen), timeout=120)[1] == []
    return finish(running)


def children(running: subprocess.Popen[str]) -> set[psutil.Process]:
    """All processes below one."""
    try:
        return set(psutil.Process(running.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def trials() -> dict[str, str]:
    """The states of the trials' jobs that the cluster remembers."""
    result = CLUSTER.get("/jobs/overview")["jobs"]
    return {job["jid"]: job["state"] for job in result if "correnteza-check-" in job["name"]}


def assert_nothing_is_left(home: Path) -> None:
    """Asserts that no file is left, in the temporary folder or where the command ran."""
    assert [path.name for path in home.rglob("*")] == ["tmp"]


def test_windows_fire_on_the_embedded_runner(home: Path, temporary: Path) -> None:
    result = run_check("--runner", "direct")
    assert result.code == 0, result.out + result.err
    assert result.out.splitlines()[-1].startswith(f"{FIRED} (")
    assert_nothing_is_left(home)


@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_windows_fire_on_prism_while_the_source_goes_on(home: Path, temporary: Path) -> None:
    result = run_check("--runner", "prism")
    assert result.code == 0, result.out + result.err
    assert result.out.splitlines()[-1].startswith(f"{FIRED}, while the source went on (")
    assert_nothing_is_left(home)


def test_a_prism_that_is_another_program_fails_its_trial(home: Path, temporary: Path) -> None:
    (home / "prism").write_text("#!/bin/sh\necho no prism >&2\nexit 3\n")
    (home / "prism").chmod(0o755)
    result = run_check("--runner", "prism", "--prism_location", str(home / "prism"))
    assert result.code == 1, result.out + result.err
    assert "trial: the job ended before two windows had fired: " in result.out
    assert list(temporary.iterdir()) == []


class TestFlink:
    """On the cluster that ``make flink-up`` started."""

    pytestmark = needs_flink

    def test_windows_fire_while_the_source_goes_on(self, home: Path, temporary: Path) -> None:
        before = trials()
        result = run_check(*WORDS)
        assert result.code == 0, result.out + result.err
        assert result.out.splitlines()[-1].startswith(f"{FIRED}, while the source went on (")
        new = {jid: state for jid, state in trials().items() if jid not in before}
        assert list(new.values()) == ["CANCELED"]
        assert_nothing_is_left(home)

    def test_ctrl_c_before_the_job_has_started_leaves_no_job(
        self, home: Path, temporary: Path
    ) -> None:
        before = trials()
        for seconds in (1, 6):  # it is being handed over; it is on its way
            running = process("check", *WORDS)
            while not list(temporary.glob("correnteza-check-*/status.json")):
                assert running.poll() is None, finish(running)
                time.sleep(0.1)
            time.sleep(seconds)
            interrupted = time.monotonic()
            running.send_signal(signal.SIGINT)
            result = finish(running)
            assert result.code == 130 and "interrupted" in result.err
            assert_nothing_is_left(home)
        time.sleep(max(1, interrupted + 25 - time.monotonic()))  # a job may come so late
        assert {state for jid, state in trials().items() if jid not in before} <= {"CANCELED"}
