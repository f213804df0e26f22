"""The runners: what Beam needs to be told for each, and what each cannot carry."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

from model.errors import UserError
from pipeline.settings import Settings
from transforms.byhand import by_hand

CANCEL_SECONDS = 10
"""So long a runner may take to cancel a job before it is left alone."""
NAMES = {"prism": "PrismRunner", "flink": "FlinkRunner", "dataflow": "DataflowRunner"}


def preflight(settings: Settings) -> None:
    """Refuses what a runner cannot carry, before anything runs.

    Raises:
        UserError: says why, and the way out.
    """
    if settings.runner != "direct":
        return
    for asked, given, instead in (
        ("--live", settings.live, "leave --live out"),
        ("--windows 0", endless(settings), "--windows N"),
    ):
        if given:
            raise UserError(
                f"{asked} needs a runner that streams: the embedded one (--runner direct) shows "
                f"windows only when its source ends; use --runner prism, or {instead}"
            )


def endless(settings: Settings) -> bool:
    """Whether the source never ends by itself."""
    return not settings.reads_files and settings.refreshes == 0


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


def make(settings: Settings, beam_options: list[str]) -> tuple[PipelineRunner | str, Any]:
    """A runner and its options.

    Args:
        settings: all options.
        beam_options: what is passed through to Beam, as on a command line.
    """
    if settings.runner == "prism":
        beam_options = with_prism(beam_options)
    options = PipelineOptions(beam_options, streaming=settings.runner != "direct")
    if settings.runner == "direct":
        # By name: DirectRunner looks for others first, and changes over in silence.
        return FnApiRunner(), options
    return NAMES[settings.runner], options


def with_prism(beam_options: list[str]) -> list[str]:
    """Beam's options with the place of the Prism at hand, unless they name one.

    Without one Beam downloads it, which needs the open internet.
    """
    given = any(word.startswith("--prism_location") for word in beam_options)
    found = None if given else prism()
    return beam_options if found is None else [*beam_options, f"--prism_location={found}"]


def prism() -> str | None:
    """The path of a Prism at hand: ``make prism``'s, or that of the PATH; None without one."""
    built = Path(__file__).parents[1] / ".tools" / "prism"
    return str(built) if built.is_file() else shutil.which("prism")
