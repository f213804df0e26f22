"""The embedded runner: Beam's FnApiRunner, in this process."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.runners.needs import Need, value_of
from pipeline.settings import Settings


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What the embedded runner needs for a job: that it ends."""
    for asked, given, instead in (
        ("--live", settings.live, "leave --live out"),
        ("--refreshes 0", settings.endless, "--refreshes N"),
        ("--on-interrupt drain", settings.on_interrupt == "drain", "leave it out"),
    ):
        lacks = (
            f"{asked} needs a runner that streams: the embedded one (--runner direct) shows "
            "windows only when its source ends"
        )
        way_out = f"use --runner prism, or {instead}"
        yield Need("a source that ends", lacks, way_out) if given else Need("a source that ends")
    yield _one_worker(words)


def _one_worker(words: list[str]) -> Need:
    """That what a source hands back is not lost: rows would be missing, in silence.

    A source's bundle ends early, and hands back what is left of it. Beam 2.77's runner drops that
    where a bundle is shared out (``ParallelBundleManager.process_bundle`` in its ``fn_runner.py``
    keeps the metrics of the parts alone; apache/beam#19842). ``tests/pipeline/test_beam_compat.py``
    fails as soon as Beam is mended.
    """
    what, number = "one worker", value_of(words, "--direct_num_workers")
    if number in (None, "1"):
        return Need(what)
    return Need(
        what,
        f"--direct_num_workers {number}: with more workers than one Beam 2.77's embedded runner "
        "loses what a source hands back to be read later",
        "leave it out, or use --runner prism",
    )


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it: those that are given."""
    return words
