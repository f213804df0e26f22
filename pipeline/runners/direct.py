"""The embedded runner: Beam's FnApiRunner, in this process."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.runners.requirements import Requirement, option_value
from pipeline.settings import Settings


def requirements(settings: Settings, beam_options: list[str]) -> Iterator[Requirement]:
    """What the embedded runner requires: a job that ends."""
    for name, given, instead in (
        ("--live", settings.live, "leave --live out"),
        ("--refreshes 0", settings.endless, "--refreshes N"),
        ("--on-interrupt drain", settings.on_interrupt == "drain", "leave it out"),
    ):
        problem = (
            f"{name} needs a runner that streams: the embedded one (--runner direct) shows "
            "windows only when its source ends"
        )
        remedy = f"use --runner prism, or {instead}"
        what = "a source that ends"
        yield Requirement(what, problem, remedy) if given else Requirement(what)
    yield _one_worker(beam_options)


def _one_worker(beam_options: list[str]) -> Requirement:
    """Requires one worker: with more, rows that a source hands back are lost, in silence.

    A source's bundle ends early, and hands back what is left of it. Beam 2.77's runner drops that
    where a bundle is shared out (``ParallelBundleManager.process_bundle`` in its ``fn_runner.py``
    keeps the metrics of the parts alone; apache/beam#19842). ``tests/pipeline/test_beam_compat.py``
    fails as soon as Beam is mended.
    """
    what, number = "one worker", option_value(beam_options, "--direct_num_workers")
    if number in (None, "1"):
        return Requirement(what)
    return Requirement(
        what,
        f"--direct_num_workers {number}: with more workers than one Beam 2.77's embedded runner "
        "loses what a source hands back to be read later",
        "leave it out, or use --runner prism",
    )


def beam_options_for(settings: Settings, beam_options: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given."""
    return beam_options
