"""What Beam says and nobody can act on is kept from the user; all else is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Queue
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import sdk_worker

from model.errors import UserError
from pipeline.logs import NoiseFilter, configure_logging, report_thread_error
from pipeline.runners.beam_compat import silence_worker_prints
from pipeline.runners.cluster import root_cause
from transforms.versions import OtherVersion


def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listens as the command line does; after the test log, threads and workers are as before."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setitem(vars(sdk_worker), "print", print)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()
    silence_worker_prints()


def is_shown(
    text: str,
    error: BaseException | None = None,
    logger: str = "apache_beam.runners",
    level: int = logging.WARNING,
) -> bool:
    """Whether a record is shown."""
    details = (type(error), error, None) if error else None
    record = logging.LogRecord(logger, level, "x", 1, "%s", (text,), details)
    return NoiseFilter().filter(record)


def lost() -> None:
    """Asks a server that is not there."""
    with grpc.insecure_channel("localhost:1") as channel:
        channel.unary_unary("/nothing")(b"", timeout=5)


def broken() -> None:
    raise ValueError("a bug")


def stderr_of(work: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """What is on standard error when a thread has done some work, and failed."""
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    return capsys.readouterr().err


def test_what_beam_shows_at_every_start_is_left_out_and_the_rest_is_not() -> None:
    assert not is_shown("apitools not found, and so on")
    assert not is_shown("apitools not found, and so on", logger="root")
    assert is_shown("your disk smokes")
    assert is_shown("failed", ValueError("in a bundle"))


@pytest.mark.parametrize(
    "error",
    [
        OSError("told of in one line"),
        UserError("told of in one line"),
        grpc.RpcError("a connection ended"),
    ],
)
def test_the_traceback_of_what_is_reported_otherwise_is_left_out(error: Exception) -> None:
    assert not is_shown("failed", error)


STACK_TRACE = """\
java.lang.RuntimeException: java.util.concurrent.ExecutionException
\tat org.apache.beam.runners.flink.FlinkPipelineRunner.run(FlinkPipelineRunner.java:87)
Caused by: org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job (7)
\tat org.apache.flink.runtime.dispatcher.Dispatcher.requestJobStatus(Dispatcher.java:919)
\t... 12 more"""


def test_the_stack_trace_that_a_job_server_sends_is_left_out_for_the_line_that_reports_it() -> None:
    assert not is_shown(STACK_TRACE, logger="root", level=logging.ERROR)
    assert is_shown(STACK_TRACE, logger="root")  # a warning, which nothing else reports
    assert is_shown("Pipeline failed: out of slots", logger="root", level=logging.ERROR)
    error = RuntimeError(f"Pipeline a_1 failed in state FAILED: {STACK_TRACE}")
    assert root_cause(str(error)).endswith(
        "FlinkJobNotFoundException: Could not find Flink job (7)"
    )


@pytest.mark.parametrize("logger", ["mine", "pipeline.run", "apache_beamish"])
def test_what_a_logger_that_is_not_beams_logs_is_shown(logger: str) -> None:
    assert is_shown("apitools not found", logger=logger)
    assert is_shown("failed", OSError("no space left"), logger=logger)
    assert is_shown(STACK_TRACE, logger=logger, level=logging.ERROR)


def test_a_thread_that_ends_with_its_connection_shows_nothing_and_another_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listening(monkeypatch)
    assert stderr_of(lost, capsys) == ""
    assert (
        "in thread worker" in (result := stderr_of(broken, capsys))
        and "ValueError: a bug" in result
    )


def test_in_the_log_a_connection_that_ended_is_found(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(threading, "excepthook", report_thread_error)
    with caplog.at_level(logging.DEBUG, "pipeline.logs"):
        stderr_of(lost, capsys)
    assert "UNAVAILABLE" in caplog.text


class Worker(sdk_worker.SdkHarness):
    """A worker without connections, for what it says of a bundle that fails."""

    def __init__(self) -> None:
        self._responses: Queue[Any] = Queue()

    def says_of(self, work: Callable[[], Any]) -> None:
        self._execute(work, beam_fn_api_pb2.InstructionRequest(instruction_id="7"))


def closed() -> None:
    raise RuntimeError("Channel closed prematurely.")


def upgraded() -> None:
    raise OtherVersion("a batch of version 1")


def test_a_bundle_that_fails_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listening(monkeypatch)
    Worker().says_of(broken)
    output = capsys.readouterr().err
    assert output.startswith("ERROR apache_beam.runners.worker.sdk_worker: Error processing")
    assert output.count("ValueError: a bug") == 1


@pytest.mark.parametrize("work", [closed, upgraded])
def test_a_bundle_whose_failure_is_reported_otherwise_is_not_reported(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listening(monkeypatch)
    Worker().says_of(work)
    assert capsys.readouterr().err == ""
