"""The lock of a run's folder: one process holds it, a crash releases it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.errors import UserError
from pipeline.lock import FolderLock, find_writer
from tests.kit.job import ROOT

HOLD = "import sys; from pipeline.lock import FolderLock; FolderLock(sys.argv[1]).acquire(); "
HOLD += "print('held', flush=True); sys.stdin.read()"


@contextmanager
def holder(folder: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder."""
    pipe = subprocess.PIPE
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, folder]
    with subprocess.Popen(command, env=paths, stdin=pipe, stdout=pipe, text=True) as running:
        assert running.stdout is not None and running.stdout.readline() == "held\n"
        try:
            yield running
        finally:
            running.kill()


def test_a_second_writer_is_refused_with_the_host_and_process_of_the_first(home: Path) -> None:
    with holder("o") as first:
        output = json.loads(Path("o/lock.json").read_text())
        who = f"host {socket.gethostname()}, pid {first.pid}, since {output['since']}"
        assert find_writer("o") == who
        with pytest.raises(UserError) as refused:
            FolderLock("o").acquire()
        assert str(refused.value).startswith(f"--output o: a run is writing there ({who}): ")
        assert Path("o/lock.json").exists()


def test_a_crash_releases_the_lock(home: Path) -> None:
    with holder("o") as first:
        first.kill()
        first.wait()
        assert find_writer("o") is None
        with FolderLock("o").acquire():
            assert json.loads(Path("o/lock.json").read_text())["pid"] == os.getpid()
    assert not Path("o/lock.json").exists()


def test_folders_that_were_made_and_are_empty_are_removed_again(home: Path) -> None:
    Path("a").mkdir()
    with FolderLock("a/b/c").acquire():
        assert Path("a/b/c/lock.json").exists()
    assert os.listdir() == ["a"] and os.listdir("a") == []
    with FolderLock("a/b/c").acquire():
        Path("a/b/c/x").touch()
    assert os.listdir("a/b/c") == ["x"]


def test_a_folder_that_has_to_be_new_is_made_by_one_alone(home: Path) -> None:
    with FolderLock("o").acquire(new=True), pytest.raises(FileExistsError):
        FolderLock("o").acquire(new=True)


def test_a_folder_that_cannot_be_written_is_refused(home: Path) -> None:
    Path("file").touch()
    for path in ("file/o", "/proc/o"):
        with pytest.raises(UserError, match=f"--output {path}: cannot be written: "):
            FolderLock(path).acquire()


def test_an_object_store_has_no_lock() -> None:
    with FolderLock("gs://bucket/runs/a").acquire():
        assert find_writer("gs://bucket/runs/a") is None
