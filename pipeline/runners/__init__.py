"""The runners: for each what it needs, and what Beam is told for it.

A module a runner, with the same two functions: ``needs`` says what the runner needs to carry
a job, and ``words_for`` completes Beam's options.
"""

from __future__ import annotations

from types import ModuleType

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

from pipeline.runners import dataflow, direct, flink, prism
from pipeline.runners.needs import refuse
from pipeline.settings import Settings

RUNNERS: dict[str, ModuleType] = {
    "direct": direct,
    "prism": prism,
    "flink": flink,
    "dataflow": dataflow,
}
NAMES = {"prism": "PrismRunner", "flink": "PortableRunner", "dataflow": "DataflowRunner"}
"""What Beam calls them; Flink's own name would start a job server by Docker."""


def preflight(settings: Settings, words: list[str]) -> None:
    """Refuses what a runner cannot carry, before anything runs.

    Raises:
        UserError: says why, and the way out.
    """
    refuse(RUNNERS[settings.runner].needs(settings, words))


def make(settings: Settings, words: list[str]) -> tuple[PipelineRunner | str, PipelineOptions]:
    """A runner and its options.

    Args:
        settings: all options.
        words: what is passed through to Beam, as on a command line.
    """
    given = RUNNERS[settings.runner].words_for(settings, words)
    options = PipelineOptions(given, streaming=settings.runner != "direct")
    if settings.runner == "direct":
        # By name: DirectRunner looks for others first, and changes over in silence.
        return FnApiRunner(), options
    return NAMES[settings.runner], options


__all__ = ["NAMES", "RUNNERS", "make", "preflight"]
