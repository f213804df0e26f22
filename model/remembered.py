"""What a refresh needs of those before it, from ``summaries/`` of the run's folder.

Each refresh leaves a ``model.baselines.RefreshSummary`` there before any later one looks. So
nothing has to be kept in a runner's state, gaps may be of any length, and a resumed run finds what
it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from model import files
from model.asof import format_iso, format_name, parse_name
from model.baselines import Past, RefreshSummary
from model.store import is_name

ASKED = 32
"""Maximum number of refreshes whose summaries are asked for by name before the folder is listed."""


def file_name(start: int) -> str:
    """The name of the summary of the refresh that starts at a time, microseconds."""
    return f"{format_name(start)}.json"


def as_json(summary: RefreshSummary, start: int, figures: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of the file of a summary.

    Args:
        summary: of a refresh.
        start: its first microsecond.
        figures: those that later refreshes' alerts are beside (``model.memory``).
    """
    begun = {"format": 1, "refresh_start": format_iso(start)}
    body = {**begun, **summary.as_fields(), "figures": figures}
    return (json.dumps(body) + "\n").encode()


class Remembered:
    """The summaries in a folder, each read once as long as refreshes are asked for in order.

    Attributes:
        folder: ``summaries/`` of a run's folder.
        every: a refresh's length, microseconds.
    """

    def __init__(self, folder: str, every: int) -> None:
        self.folder = folder
        self.every = every
        self._past = Past()
        self._until: int | None = None

    def before(self, start: int) -> Past:
        """What is known of the refreshes before one that starts at a time, microseconds.

        It is to be used before the next call, which changes it.
        """
        if self._until is None or start < self._until:
            self._past, self._until = Past(), None
        for name in list_names(self.folder, "json", self._until, start, self.every):
            try:
                fields = json.loads(files.read_whole(files.join(self.folder, name)))
            except FileNotFoundError:  # nothing was known of it
                continue
            self._past.add(RefreshSummary.of_fields(fields))
        self._until = start
        return self._past


def list_names(folder: str, suffix: str, first: int | None, end: int, every: int) -> list[str]:
    """The names that files of refreshes have, in order; such a file need not be there.

    Args:
        folder: of files each named by the start of its refresh.
        suffix: of their names.
        first: the start of the first refresh, microseconds; None: the oldest that has a file.
        end: refreshes from here on are left out.
        every: a refresh's length.
    """
    if first is not None and end - first <= ASKED * every:
        return [f"{format_name(at)}.{suffix}" for at in range(first, end, every)]
    names = (PurePath(path).name for path in files.list_files(folder, f"*.{suffix}"))
    found = {PurePath(name).stem: name for name in names}
    starts = {parse_name(stem): name for stem, name in found.items() if is_name(stem)}
    least = min(starts, default=end) if first is None else first
    return [name for at, name in sorted(starts.items()) if least <= at < end]
