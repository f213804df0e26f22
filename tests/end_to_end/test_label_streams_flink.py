"""Labels as a stream of their own on Flink: the bytes of the embedded runner, also after a kill."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end import flink, streams
from tests.end_to_end.test_label_streams import arguments, write_apart
from tests.end_to_end.test_labels import delayed
from tests.kit.job import ROOT, content, finish, process

pytestmark = flink.needs_flink
SECONDS = 240
"""A run on Flink has so long to end."""


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "a TaskManager is killed"])
def test_labels_apart_have_the_bytes_of_the_embedded_runner(tmp_path: Path, killed: bool) -> None:
    rows = delayed(streams.make_stream(windows=30, rows_a_window=60, seed=5))
    sources = write_apart(rows, tmp_path / "in")
    more = ("--latest", "2030-01-01", "--keep", "0")
    embedded = finish(process(*arguments(tmp_path / "direct", sources, *more)))
    assert embedded.code == 0, embedded.err
    argv = arguments(tmp_path / "flink", sources, *more, *flink.WORDS)
    job = [sys.executable, "-m", "pipeline", *argv]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(job, cwd=ROOT, stdout=log, stderr=log)
        try:
            if killed:
                wait_for_a_report(tmp_path / "flink", running)
                flink.kill("taskmanager")
                flink.mend()
            assert running.wait(SECONDS) == 0, (tmp_path / "log").read_text()
        finally:
            running.kill()
    found = content(tmp_path / "flink")
    assert found == content(tmp_path / "direct")
    assert any(str(path).startswith("outcomes") for path in found)


def wait_for_a_report(folder: Path, running: subprocess.Popen[bytes]) -> None:
    """Waits until a run has reported a refresh, or has ended."""
    end = time.monotonic() + SECONDS
    while not list(folder.glob("metrics/*.json")) and running.poll() is None:
        assert time.monotonic() < end, "no report came"
        time.sleep(0.05)
