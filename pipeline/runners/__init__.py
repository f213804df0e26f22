"""The runners: what each requires of a job, and Beam's options for it.

A module a runner, with the same two functions: ``requirements`` says what the runner requires, and
``beam_options_for`` completes Beam's options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineRunner

from model.runs import RunFolder
from pipeline.runners import dataflow, direct, flink, prism
from pipeline.runners.beam_compat import CachedOptions
from pipeline.runners.controllers import FlinkController, RunController
from pipeline.runners.requirements import Requirement, check_requirements, option_value
from pipeline.settings import Settings

__all__ = ["NAMES", "RUNNERS", "make", "make_controller", "preflight", "requirements_of"]

RUNNERS: dict[str, ModuleType] = {
    "direct": direct,
    "prism": prism,
    "flink": flink,
    "dataflow": dataflow,
}
NAMES = {"prism": "PrismRunner", "flink": "PortableRunner", "dataflow": "DataflowRunner"}
"""What Beam calls them; Flink's own name would start a job server by Docker."""


def preflight(settings: Settings, beam_options: list[str]) -> None:
    """Refuses what a runner cannot carry, before anything runs.

    Raises:
        UserError: says why, and what to do instead.
    """
    check_requirements(requirements_of(settings, beam_options))


def requirements_of(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    """All that the runner of the settings requires of a job."""
    yield _triggers(beam_options)
    yield from RUNNERS[settings.runner].requirements(settings, beam_options)


def _triggers(beam_options: list[str]) -> Requirement:
    what = "safe triggers"
    if option_value(beam_options, "--allow_unsafe_triggers") is None:
        return Requirement(what)
    return Requirement(
        what,
        "--allow_unsafe_triggers: a window with an unsafe trigger may fire once and lose the rows "
        "that come after, in silence",
        "leave it out; the job fires each window once, whole",
    )


def make(
    settings: Settings, beam_options: list[str]
) -> tuple[PipelineRunner | str, PipelineOptions]:
    """A runner and its options.

    Args:
        settings: all options.
        beam_options: what is passed through to Beam, as on a command line.
    """
    given = RUNNERS[settings.runner].beam_options_for(settings, beam_options)
    options = CachedOptions(given, streaming=settings.runner != "direct")
    if settings.runner == "direct":
        # By name: DirectRunner looks for others first, and changes over in silence.
        return FnApiRunner(), options
    return NAMES[settings.runner], options


def make_controller(
    settings: Settings, beam_options: list[str], folder: RunFolder, show: Callable[[str], None]
) -> RunController:
    """The controller of a run's job.

    Args:
        settings: all options.
        beam_options: what is passed through to Beam.
        folder: the run's folder.
        show: shows a line to the user.
    """
    if settings.runner != "flink":
        return RunController(folder, settings, show)
    name = option_value(beam_options, "--job_name") or flink.job_name(folder.path)
    return FlinkController(folder, settings, show, flink.cluster_of(beam_options), name)
