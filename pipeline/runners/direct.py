"""The embedded runner: Beam's FnApiRunner, in this process."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.runners.needs import Need
from pipeline.settings import Settings


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
    """Beam's options for a job on it: those that are given."""
    return words
