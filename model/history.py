"""The figures of the refreshes before one, out of the run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import numpy as np
from pydantic import BaseModel, ValidationError

from model import files
from model.asof import format_name, parse_name
from model.memory import NOTHING, Memory, join, memory_of_fields, remember
from model.metrics import Metrics
from model.store import is_name

ASKED = 32
"""Maximum number of refreshes that are asked for by name before the folder is listed."""


class _Summary(BaseModel):
    """What is read of a file of ``summaries/``."""

    figures: dict[str, dict[str, float | None]] | None = None


class History:
    """What is remembered of refreshes, each file read once if they are asked for in order.

    Attributes:
        summaries: the folder in which each refresh leaves its figures before a later one looks.
        metrics: the folder of reports; of a refresh without a summary its report is read.
        every: a refresh, microseconds.
        refreshes: how many refreshes before are remembered.
    """

    def __init__(self, summaries: str, metrics: str, every: int, refreshes: int) -> None:
        self.summaries = summaries
        self.metrics = metrics
        self.every = every
        self.refreshes = refreshes
        self._memory = NOTHING
        self._until: int | None = None

    def before(self, start: int) -> Memory:
        """What is remembered of the refreshes before one that starts at a time, microseconds."""
        first = start - self.refreshes * self.every
        if self._until is None or start < self._until:
            self._memory, self._until = NOTHING, None
        since = first if self._until is None else max(first, self._until)
        found = [self._read(at) for at in self._starts(since, start)]
        memory = join([self._memory, *(one for one in found if one is not None)])
        kept = int(np.searchsorted(memory.starts, first))
        self._memory = Memory(memory.names, memory.starts[kept:], memory.values[kept:])
        self._until = start
        return self._memory

    def _starts(self, since: int, start: int) -> Iterator[int]:
        """The starts of refreshes from a time on and before another that may be known."""
        if start - since <= ASKED * self.every:
            yield from range(since, start, self.every)
            return
        names = (
            PurePath(path).stem
            for folder in (self.summaries, self.metrics)
            for path in files.list_files(folder, "*.json")
        )
        yield from sorted(
            at for at in set(map(parse_name, filter(is_name, names))) if since <= at < start
        )

    def _read(self, start: int) -> Memory | None:
        name = f"{format_name(start)}.json"
        try:
            data = files.read_whole(files.join(self.summaries, name))
            figures = _Summary.model_validate_json(data).figures
            if figures is not None:
                return memory_of_fields(start, figures)
        except (FileNotFoundError, ValidationError):
            pass
        try:
            return remember(
                Metrics.model_validate_json(files.read_whole(files.join(self.metrics, name)))
            )
        except (FileNotFoundError, ValidationError):  # nothing is known of it
            return None
