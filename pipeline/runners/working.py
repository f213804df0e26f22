"""Runs a pipeline to its end, and minds Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.byhand import by_hand

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
    workers = pipeline.options.view_as(DirectOptions)
    alone = workers.direct_num_workers == 1 and workers.direct_running_mode == "in_memory"
    return by_hand() if is_embedded(pipeline) and alone else nullcontext()


def work(pipeline: Pipeline) -> None:
    """Runs a pipeline to its end.

    Raises:
        KeyboardInterrupt: after Ctrl-C; a runner of its own process has been told to cancel.
    """
    if is_embedded(pipeline):
        in_background(partial(embedded, pipeline))
        return
    running = pipeline.run()  # in this thread: Beam minds signals when it starts Prism
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        in_background(running.wait_until_finish)
    except KeyboardInterrupt:
        cancelling = threading.Thread(target=running.cancel, daemon=True)
        cancelling.start()
        cancelling.join(CANCEL_SECONDS)
        raise


def embedded(pipeline: Pipeline) -> None:
    """Runs a pipeline within this process to its end."""
    with handing_over(pipeline):
        pipeline.run().wait_until_finish()


def in_background(work: Callable[[], Any]) -> Any:
    """Does work in a thread of its own and waits for it.

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
    return done.result()
