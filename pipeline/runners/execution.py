"""Runs a pipeline to its end; Ctrl-C cancels it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult

from pipeline.runners.beam_compat import (
    group_by_window,
    programs_in_own_session,
    silence_worker_prints,
)
from pipeline.signals import raise_on_signals
from transforms.object_store import in_process_references

TICK = 0.25
"""Seconds between two looks at a job that runs elsewhere."""
CANCEL_SECONDS = 10
"""Maximum number of seconds in which a runner may cancel a job; then it is left alone."""


def is_embedded(pipeline: Pipeline) -> bool:
    """Whether a pipeline runs within this process."""
    return isinstance(pipeline.runner, FnApiRunner)


def pass_references(pipeline: Pipeline) -> AbstractContextManager[None]:
    """The context in which a pipeline runs.

    On the embedded runner, with its workers as they are by default, batches pass within the
    process (``transforms.object_store``).
    """
    mode = pipeline.options.view_as(DirectOptions).direct_running_mode
    embedded = is_embedded(pipeline) and mode == "in_memory"
    return in_process_references() if embedded else nullcontext()


class Controller:
    """Decides about a job that runs elsewhere: when it has ended, and what Ctrl-C does.

    This one leaves the end to the runner, and cancels at Ctrl-C.
    """

    def tick(self) -> None:
        """Is called every ``TICK`` seconds. What it raises ends the job."""

    def has_ended(self) -> bool:
        """Whether all is done, though the runner keeps the job."""
        return False

    def on_interrupt(self) -> bool:
        """Is called at Ctrl-C. Returns whether to go on waiting; else the job is cancelled."""
        return False

    def on_give_up(self) -> None:
        """Is called when the job is given up: from here on a signal may end this process."""

    def on_cancel(self) -> None:
        """Is called before the runner cancels the job."""


def run_to_end(pipeline: Pipeline, controller: Controller) -> None:
    """Runs a pipeline to its end.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the job on a runner of its own process has
            been cancelled.
        Exception: if the job failed, or its controller gave it up; then it has been cancelled.
    """
    silence_worker_prints()
    if is_embedded(pipeline):
        start_in_thread(partial(run_embedded, pipeline)).result()
        return
    try:
        with programs_in_own_session():
            # In this thread: Beam sets handlers of signals when it starts Prism.
            running = pipeline.run()
    except KeyboardInterrupt:
        controller.on_give_up()
        controller.on_cancel()  # the job may be on its way
        raise
    raise_on_signals()  # Beam has changed what Ctrl-C does
    waiting = start_in_thread(running.wait_until_finish)
    try:
        _wait(waiting, controller)
    except BaseException:  # Ctrl-C, or the controller gives the job up
        controller.on_give_up()
        cancel(running, controller)
        raise
    if not waiting.done():
        try:
            cancel(running, controller)
        except KeyboardInterrupt:  # all is written: only the job is left, on its cluster
            controller.on_give_up()
            cancel(running, controller)
    elif not controller.has_ended():  # a job that was stopped after its end counts as failed
        waiting.result()


def _wait(waiting: Future[Any], controller: Controller) -> None:
    """Waits until a job has ended, or is as good as ended."""
    while not waiting.done():
        try:
            with suppress(TimeoutError, FutureTimeout):
                waiting.exception(TICK)
            controller.tick()
            if controller.has_ended():
                return
        except KeyboardInterrupt:
            if controller.on_interrupt():
                continue
            if controller.has_ended():  # a savepoint waits for what is at work: maybe for the end
                return
            raise


def cancel(running: PipelineResult, controller: Controller) -> None:
    """Cancels a job, and waits some seconds for that."""
    controller.on_cancel()
    with suppress(FutureTimeout, TimeoutError):
        start_in_thread(running.cancel).exception(CANCEL_SECONDS)


def run_embedded(pipeline: Pipeline) -> None:
    """Runs a pipeline within this process to its end."""
    with pass_references(pipeline), group_by_window():
        pipeline.run().wait_until_finish()


def start_in_thread(function: Callable[[], Any]) -> Future[Any]:
    """Calls a function in a thread of its own.

    Ctrl-C reaches this thread, which waits, and not the middle of a worker's bundle, where the
    runner would take it for an error of the job.
    """
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="job", daemon=True).start()
    return future
