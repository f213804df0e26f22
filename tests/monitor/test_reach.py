"""A file system far away that does not answer is told of within seconds, in one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from model import files
from model import reach as reaching
from model.errors import UserError
from model.reach import reach
from tests.kit.job import SMALL, Job

STORE = "gs://bucket/runs/a"


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store whose client waits until the test has ended."""
    over = threading.Event()
    monkeypatch.setattr(files, "exists", lambda path: over.wait(600))
    monkeypatch.setattr(reach, "__defaults__", (0.2,))
    yield
    over.set()


@pytest.mark.parametrize("command", ["models", "report", "serve", "watch"])
def test_a_store_that_does_not_answer_is_reported_soon(
    command: str, asleep: None, job: Job
) -> None:
    assert job.refused(command, STORE) == (
        f"run folder {STORE}: does not answer within 0 s: is there a network, and "
        "are there credentials?"
    )


def test_a_run_that_would_read_or_write_there_is_refused_too(asleep: None, job: Job) -> None:
    message = job.refused(*SMALL, "--output", STORE)
    assert message.startswith(f"--output {STORE}: does not answer within ")


def test_what_its_client_raises_is_reported_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_error(path: str) -> bool:
        raise RuntimeError("Timeout of 120 s exceeded\nand more")

    monkeypatch.setattr(files, "exists", raise_error)
    with pytest.raises(UserError) as refused:
        reach(STORE, "--output")
    assert str(refused.value) == f"--output {STORE}: cannot be reached: Timeout of 120 s exceeded"


def test_a_store_that_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "exists", lambda path: False)
    reach(STORE, "--output")


@pytest.mark.parametrize("path", ["runs/a", "/runs/a", "foo://a", "in-memory://a"])
def test_other_paths_are_not_looked_at(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(files, "exists")
    reach(path, "--output")


def test_the_wait_is_some_seconds() -> None:
    assert 2 <= reaching.PATIENCE <= 15
