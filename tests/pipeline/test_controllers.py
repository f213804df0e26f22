"""What a run's job is told while it runs elsewhere: Ctrl-C, and what Flink tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.runs import RunFolder
from pipeline.runners import controllers
from pipeline.runners.cluster import Cluster
from pipeline.runners.controllers import FlinkController, RunController
from tests.kit.fake_flink import FakeFlink, FakeJob, serving
from tests.kit.job import make_settings
from tests.kit.ports import find_port
from transforms.versions import OtherVersion

NAME = "correnteza-a"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFlink]:
    """A Flink that is asked whenever it can be."""
    monkeypatch.setattr(controllers, "LOOK_SECONDS", 0)
    with serving() as fake:
        yield fake


@pytest.fixture
def messages() -> list[str]:
    """The lines that the user is shown."""
    return []


def flink_controller(
    cluster: FakeFlink, folder: Path, messages: list[str], on_interrupt: str = "cancel"
) -> FlinkController:
    settings = make_settings(runner="flink", on_interrupt=on_interrupt)
    found = Cluster(f"localhost:{cluster.port}")
    return FlinkController(RunFolder(str(folder)), settings, messages.append, found, NAME)


def start_job(cluster: FakeFlink, controller: FlinkController, **values: Any) -> FakeJob:
    """The controller's job, after it has been seen."""
    job = FakeJob(NAME, id="b", start=2, **values)
    cluster.jobs.append(job)
    controller.tick()
    return job


def test_the_first_ctrl_c_drains_and_the_second_cancels(
    tmp_path: Path, messages: list[str]
) -> None:
    settings = make_settings(runner="prism", on_interrupt="drain", window="3m", every="1m")
    controller = RunController(RunFolder(str(tmp_path)), settings, messages.append)
    assert controller.on_interrupt() and controller.draining
    assert json.loads((tmp_path / "drain.json").read_text())["format"] == 1
    assert len(messages) == 1 and "at most 60 s of event time" in messages[0]
    assert "Ctrl-C again cancels" in messages[0]
    assert not controller.on_interrupt()
    assert " ".join(controller.resume_options) == f"--output {tmp_path} --resume"


def test_without_on_interrupt_the_first_ctrl_c_cancels(tmp_path: Path, messages: list[str]) -> None:
    controller = RunController(
        RunFolder(str(tmp_path)), make_settings(runner="prism"), messages.append
    )
    assert not controller.on_interrupt() and not controller.draining
    assert messages == [] and list(tmp_path.iterdir()) == []


def test_a_savepoint_ends_the_job_and_the_way_on_starts_from_it(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages, "savepoint")
    job = start_job(cluster, controller, saved="file:/s/savepoint-1")
    assert not controller.on_interrupt()  # the job is over: no more waiting
    assert " ".join(controller.resume_options) == (
        f"--output {tmp_path} --resume --savepoint_path=file:/s/savepoint-1"
    )
    assert job.state == "CANCELED"


def test_a_savepoint_that_was_taken_is_the_way_on_though_the_cluster_still_names_a_checkpoint(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages, "savepoint")
    start_job(cluster, controller, saved="file:/s/savepoint-1", checkpoint="file:/c/b/chk-3")
    assert controller.checkpoint == "file:/c/b/chk-3"
    assert not controller.on_interrupt()
    controller.on_cancel()  # looks once more
    assert controller.resume_options[-1] == "--savepoint_path=file:/s/savepoint-1"


def test_the_way_on_starts_from_the_newest_checkpoint_though_the_cluster_ended_before_a_look(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    for name in ("chk-9/_metadata", "chk-10/_metadata", "chk-11/half", "shared/_metadata"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    controller = flink_controller(cluster, tmp_path, messages)
    start_job(cluster, controller, checkpoint=f"file:{tmp_path}/chk-2")
    assert controller.resume_options[-1] == f"--savepoint_path=file:{tmp_path}/chk-10"


def test_a_savepoint_is_waited_for_though_the_cluster_does_not_answer_a_look(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages, "savepoint")
    start_job(cluster, controller, saved="file:/s/savepoint-1", silences=1)
    assert not controller.on_interrupt()
    assert controller.checkpoint == "file:/s/savepoint-1"


def test_after_a_drain_the_run_goes_on_without_the_checkpoint_of_the_ended_stream(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages, "drain")
    start_job(cluster, controller, checkpoint="file:/c/b/chk-1")
    assert " ".join(controller.resume_options).endswith("--savepoint_path=file:/c/b/chk-1")
    assert controller.on_interrupt()
    assert " ".join(controller.resume_options) == f"--output {tmp_path} --resume"


def test_a_savepoint_that_fails_leaves_the_job_running_and_the_next_ctrl_c_cancels(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages, "savepoint")
    job = start_job(cluster, controller)
    assert controller.on_interrupt()
    assert job.state == "RUNNING"
    assert messages[-1].startswith(
        "no savepoint: Caused by: a.B: the disk is full; the job goes on"
    )
    controller.tick()
    job.saved = "file:/s/savepoint-1"  # it could by now, but was announced otherwise
    assert not controller.on_interrupt()
    controller.on_cancel()
    assert job.state == "CANCELED" and controller.checkpoint is None


def test_a_savepoint_of_a_job_that_has_not_begun_is_not_waited_for(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    assert not flink_controller(cluster, tmp_path, messages, "savepoint").on_interrupt()
    assert messages == []


def test_an_earlier_job_of_the_same_folder_is_not_taken_for_this_one(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    earlier = FakeJob(NAME, id="a", checkpoint="file:/c/a/chk-9", start=1)
    other = FakeJob("correnteza-b", id="c", checkpoint="file:/c/c/chk-9", start=3)
    cluster.jobs += [earlier, other]
    controller = flink_controller(cluster, tmp_path, messages)
    controller.tick()
    assert controller.checkpoint is None
    job = start_job(cluster, controller, checkpoint="file:/c/b/chk-1")
    assert controller.checkpoint == "file:/c/b/chk-1"
    assert " ".join(controller.resume_options).endswith("--resume --savepoint_path=file:/c/b/chk-1")
    controller.on_cancel()
    assert [each.state for each in (earlier, job, other)] == ["RUNNING", "CANCELED", "RUNNING"]


def test_each_restart_is_reported_once(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    job = start_job(cluster, controller)
    for restarts in (0, 1, 1, 3):
        job.restarts = restarts
        controller.tick()
    assert [line[-9:] for line in messages] == ["(1 times)", "(3 times)"]
    assert controller.restarts == 3


CHAINED = """\
Traceback (most recent call last):
  File "queue.py", line 1, in get
queue.Empty

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "coders.py", line 1, in decode
{error}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "bundle_processor.py", line 260, in process_encoded
ValueError: Error decoding input stream
"""


def python_trace(error: str) -> str:
    """How Flink tells of an error in a Python worker from which Beam has raised another."""
    messages = f"Error received from SDK harness for instruction 3: {CHAINED.format(error=error)}"
    return f"a.B: failed\n\tat c.D\nCaused by: java.lang.E: {messages}\n\tat f.G\n\t... 3 more"


def test_a_restart_is_reported_with_its_root_cause(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    job = start_job(cluster, controller)
    job.restarts, job.trace = 1, python_trace("ZeroDivisionError: division by zero")
    controller.tick()
    assert messages[-1].endswith("(1 times): ZeroDivisionError: division by zero")


def test_a_job_that_meets_bytes_of_another_version_is_given_up_and_can_be_cancelled(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    job = start_job(cluster, controller, checkpoint="file:/c/b/chk-1")
    why = "a batch of version 1: this program reads a batch of version 2"
    job.trace = python_trace(f"transforms.versions.OtherVersion: {why}")
    with pytest.raises(OtherVersion, match=why):
        controller.tick()
    assert (
        " ".join(controller.resume_options) == f"--output {tmp_path} --resume"
    )  # its checkpoints hold them too
    controller.on_cancel()
    assert job.state == "CANCELED"


def test_a_job_that_starts_only_after_ctrl_c_is_waited_for_and_cancelled(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    job = FakeJob(NAME)

    def start(line: str) -> None:
        messages.append(line)
        cluster.jobs.append(job)

    controller = flink_controller(cluster, tmp_path, messages)
    controller.show = start
    controller.on_cancel()
    assert job.state == "CANCELED"
    assert messages == ["waiting until Flink has started the job, to cancel it"]


def test_a_job_that_is_still_being_initialized_is_cancelled(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    job = FakeJob(NAME, state="INITIALIZING", refusals=2)
    cluster.jobs.append(job)
    controller.on_cancel()
    assert job.state == "CANCELED" and messages == []


def test_a_job_that_cannot_be_cancelled_is_reported(
    cluster: FakeFlink, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runners.cluster.CANCEL_SECONDS", 0.2)
    controller = flink_controller(cluster, tmp_path, messages)
    start_job(cluster, controller).refusals = 1_000
    controller.on_cancel()
    [line] = messages
    assert line.startswith("not known to be cancelled, look at the cluster: job b is not cancelled")
    assert line.endswith("UnavailableDispatcherOperationException: The requested operation")


def test_a_job_that_never_starts_is_not_waited_for_without_end(
    cluster: FakeFlink, tmp_path: Path, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers, "START_SECONDS", 0.1)
    flink_controller(cluster, tmp_path, messages).on_cancel()
    assert messages == ["waiting until Flink has started the job, to cancel it"]


def test_a_cluster_that_is_away_for_a_while_does_not_end_the_run(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    start_job(cluster, controller, checkpoint="file:/c/b/chk-1")
    controller.cluster = Cluster(f"localhost:{find_port()}")
    controller._job = None  # what knows the cluster by its old address
    controller.tick()
    controller.on_cancel()
    assert controller.checkpoint == "file:/c/b/chk-1"


def test_all_is_written_once_the_folder_is_marked_ended(
    cluster: FakeFlink, tmp_path: Path, messages: list[str]
) -> None:
    controller = flink_controller(cluster, tmp_path, messages)
    assert not controller.has_ended()
    controller.folder.write_json(controller.folder.ended, {})
    assert controller.has_ended()
