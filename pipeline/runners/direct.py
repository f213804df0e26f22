"""The embedded runner: Beam's FnApiRunner, in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pipeline.runners.needs import Need, value_of, with_defaults
from pipeline.settings import Settings

WORKERS = 2


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What the embedded runner needs for a job: that it ends."""
    for asked, given, instead in (
        ("--live", settings.live, "leave --live out"),
        ("--windows 0", settings.endless, "--windows N"),
        ("--on-interrupt drain", settings.on_interrupt == "drain", "leave it out"),
    ):
        lacks = (
            f"{asked} needs a runner that streams: the embedded one (--runner direct) shows "
            "windows only when its source ends"
        )
        way_out = f"use --runner prism, or {instead}"
        yield Need("a source that ends", lacks, way_out) if given else Need("a source that ends")


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it, with two workers, which are threads of this process.

    Two use two cores, as far as numpy, Arrow and scikit-learn work without Python's lock; more
    would wait for each other.
    """
    workers = min(WORKERS, os.cpu_count() or 1)
    defaults = {
        "--direct_num_workers": str(workers),
        "--direct_running_mode": "multi_threading" if workers > 1 else "in_memory",
    }
    given = any(value_of(words, name) is not None for name in defaults)
    return words if given else with_defaults(words, defaults)
