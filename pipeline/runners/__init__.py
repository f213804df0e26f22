"""The runners: for each what it needs, and what Beam is told for it.

A module a runner, with the same two functions: ``needs`` says what the runner needs to carry
a job, and ``words_for`` completes Beam's options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

from model.runs import RunFolder
from pipeline.runners import dataflow, direct, flink, needs, prism
from pipeline.runners.beam_compat import CachedOptions
from pipeline.runners.guides import FlinkGuide, RunGuide
from pipeline.settings import Settings

__all__ = ["NAMES", "RUNNERS", "guide", "make", "needed", "preflight"]

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
    needs.refuse(needed(settings, words))


def needed(settings: Settings, words: list[str]) -> Iterator[needs.Need]:
    """All that a runner needs to carry a job."""
    yield _triggers(words)
    yield from RUNNERS[settings.runner].needs(settings, words)


def _triggers(words: list[str]) -> needs.Need:
    what = "safe triggers"
    if needs.value_of(words, "--allow_unsafe_triggers") is None:
        return needs.Need(what)
    return needs.Need(
        what,
        "--allow_unsafe_triggers: a window with an unsafe trigger may fire once and lose the rows "
        "that come after, in silence",
        "leave it out; the job fires each window once, whole",
    )


def make(settings: Settings, words: list[str]) -> tuple[PipelineRunner | str, PipelineOptions]:
    """A runner and its options.

    Args:
        settings: all options.
        words: what is passed through to Beam, as on a command line.
    """
    given = RUNNERS[settings.runner].words_for(settings, words)
    options = CachedOptions(given, streaming=settings.runner != "direct")
    if settings.runner == "direct":
        # By name: DirectRunner looks for others first, and changes over in silence.
        return FnApiRunner(), options
    return NAMES[settings.runner], options


def guide(
    settings: Settings, words: list[str], folder: RunFolder, tell: Callable[[str], None]
) -> RunGuide:
    """What the job of a run is told while it runs.

    Args:
        settings: all options.
        words: what is passed through to Beam.
        folder: the run's folder.
        tell: shows a line to the user.
    """
    if settings.runner != "flink":
        return RunGuide(folder, settings, tell)
    name = needs.value_of(words, "--job_name") or flink.job_name(folder.path)
    return FlinkGuide(folder, settings, tell, flink.cluster_of(words), name)
