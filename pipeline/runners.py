"""The runners: what Beam needs to be told for each, and what each cannot carry."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

from model.errors import UserError
from pipeline.settings import Settings
from transforms.byhand import by_hand

NAMES = {"prism": "PrismRunner", "flink": "FlinkRunner", "dataflow": "DataflowRunner"}


def preflight(settings: Settings) -> None:
    """Refuses what a runner cannot carry, before anything runs.

    Raises:
        UserError: says why, and the way out.
    """
    if settings.runner != "direct":
        return
    for asked, unbounded in (("--live", settings.live), ("--windows 0", endless(settings))):
        if unbounded:
            raise UserError(
                f"{asked} needs a runner that streams: the embedded one (--runner direct) shows "
                "windows only when its source ends; use --runner prism, or --windows N"
            )


def endless(settings: Settings) -> bool:
    """Whether the source never ends by itself."""
    return not settings.reads_files and settings.refreshes == 0


def handing_over(pipeline: Pipeline) -> AbstractContextManager[None]:
    """The context in which a pipeline runs.

    On the embedded runner, with its workers as they are by default, batches pass within the
    process (``transforms.byhand``).
    """
    workers = pipeline.options.view_as(DirectOptions)
    alone = workers.direct_num_workers == 1 and workers.direct_running_mode == "in_memory"
    return by_hand() if isinstance(pipeline.runner, FnApiRunner) and alone else nullcontext()


def make(settings: Settings, beam_options: list[str]) -> tuple[PipelineRunner | str, Any]:
    """A runner and its options.

    Args:
        settings: all options.
        beam_options: what is passed through to Beam, as on a command line.
    """
    options = PipelineOptions(beam_options, streaming=settings.runner != "direct")
    if settings.runner == "direct":
        # By name: DirectRunner looks for others first, and changes over in silence.
        return FnApiRunner(), options
    return NAMES[settings.runner], options
