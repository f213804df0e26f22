"""Runs a pipeline to its end, and minds Ctrl-C."""

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
from transforms.byhand import by_hand

TICK = 0.25
"""Seconds between two looks at a job that runs elsewhere."""
CANCEL_SECONDS = 10
"""So long a runner may take to cancel a job before it is left alone."""


def is_embedded(pipeline: Pipeline) -> bool:
    """Whether a pipeline runs within this process."""
    return isinstance(pipeline.runner, FnApiRunner)


def handing_over(pipeline: Pipeline) -> AbstractContextManager[None]:
    """The context in which a pipeline runs.

    On the embedded runner, with its workers as they are by default, batches pass within the
    process (``transforms.byhand``).
    """
    mode = pipeline.options.view_as(DirectOptions).direct_running_mode
    return by_hand() if is_embedded(pipeline) and mode == "in_memory" else nullcontext()


class Guide:
    """What a job is told while it runs elsewhere: when it has ended, what Ctrl-C means.

    This one leaves the end to the runner, and cancels at Ctrl-C.
    """

    def tick(self) -> None:
        """Some time has passed (``TICK``). What it raises ends the job."""

    def ended(self) -> bool:
        """Whether all is done, though the runner keeps the job."""
        return False

    def interrupted(self) -> bool:
        """Ctrl-C: whether to go on waiting; else the job is cancelled."""
        return False

    def ending(self) -> None:
        """The job is given up: from here on a signal may end this process at once."""

    def cancelling(self) -> None:
        """The runner is about to be told to cancel the job."""


def work(pipeline: Pipeline, guide: Guide) -> None:
    """Runs a pipeline to its end.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; a runner of its own process has been told to
            cancel.
        Exception: if the job failed, or its guide gave it up; then it has been cancelled.
    """
    silence_worker_prints()
    if is_embedded(pipeline):
        in_background(partial(embedded, pipeline)).result()
        return
    try:
        with programs_in_own_session():
            running = pipeline.run()  # in this thread: Beam minds signals when it starts Prism
    except KeyboardInterrupt:
        guide.ending()
        guide.cancelling()  # the job may be on its way
        raise
    raise_on_signals()  # Beam has changed what Ctrl-C does
    waiting = in_background(running.wait_until_finish)
    try:
        _wait(waiting, guide)
    except BaseException:  # Ctrl-C, or the guide gives the job up
        guide.ending()
        cancel(running, guide)
        raise
    if waiting.done():
        waiting.result()
    else:
        cancel(running, guide)


def _wait(waiting: Future[Any], guide: Guide) -> None:
    """Waits until a job has ended, or is as good as ended."""
    while not waiting.done():
        try:
            with suppress(TimeoutError, FutureTimeout):
                waiting.exception(TICK)
            guide.tick()
            if guide.ended():
                return
        except KeyboardInterrupt:
            if not guide.interrupted():
                raise


def cancel(running: PipelineResult, guide: Guide) -> None:
    """Tells a runner to cancel a job, and gives it some seconds."""
    guide.cancelling()
    with suppress(FutureTimeout, TimeoutError):
        in_background(running.cancel).exception(CANCEL_SECONDS)


def embedded(pipeline: Pipeline) -> None:
    """Runs a pipeline within this process to its end."""
    with handing_over(pipeline), group_by_window():
        pipeline.run().wait_until_finish()


def in_background(work: Callable[[], Any]) -> Future[Any]:
    """Does work in a thread of its own.

    Ctrl-C reaches this thread, which waits, and not the middle of a worker's bundle, where the
    runner would take it for an error of the job.
    """
    done: Future[Any] = Future()

    def do() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=do, name="job", daemon=True).start()
    return done
