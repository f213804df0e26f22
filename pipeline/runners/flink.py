"""Flink: a cluster, and Beam's job server before it."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.runners.needs import Need
from pipeline.settings import Settings


def needs(settings: Settings, words: list[str]) -> Iterator[Need]:
    """What Flink needs for a job."""
    yield from ()


def words_for(settings: Settings, words: list[str]) -> list[str]:
    """Beam's options for a job on it."""
    return words
