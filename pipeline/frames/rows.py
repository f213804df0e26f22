"""The rows of files, refresh by refresh, as the job cuts and checks them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from model.asof import format_iso
from model.batch import tag_of
from model.latest import default_latest
from model.schema import Schema
from model.validation import Reject, validate
from pipeline.frames.replay import Refresh
from pipeline.settings import Settings, settings_from
from pipeline.source import plan_files
from pipeline.window import choose
from reading import Plan
from transforms.sources.files import FileReader, FileWork
from transforms.sources.work_items import Extent


class Input(NamedTuple):
    """Files that are ready to be replayed.

    Attributes:
        plan: the files and their chunks.
        settings: all options, with a window's length that is settled.
        messages: lines for the user on what is read.
    """

    plan: Plan
    settings: Settings
    messages: tuple[str, ...]

    @property
    def until(self) -> int:
        """The end of the refresh that holds the greatest time of either clock; microseconds.

        0 without any row.
        """
        if not self.plan.chunks:
            return 0
        cadence = self.settings.cadence
        last = max(chunk.last for chunk in self.plan.chunks)
        return cadence.refresh_of(last) + cadence.every


def prepare_input(
    path: str, schema: Schema, options: dict[str, Any], progress: Callable[[str], None]
) -> Input:
    """Looks through files, and settles the window.

    Args:
        path: a glob of files.
        schema: what the columns mean.
        options: the command line's, by name.
        progress: takes a line, often, on how far this is.

    Raises:
        UserError: for an option, a column or a file that will not do.
    """
    latest = {"latest": format_iso(default_latest(time.time()))}
    given = {**latest, **options, "input": path, "schema_file": schema.name}
    settings = settings_from(given, schema)
    warnings: list[str] = []
    planned = plan_files(settings, progress, warn=warnings.append)
    choice = choose(planned, settings)
    return Input(planned, choice.settings, (*choice.messages, *warnings))


def refreshes(
    found: Input, rejected: Callable[[list[Reject]], None] | None = None
) -> Iterator[Refresh]:
    """The refreshes that hold any row, in the order of time.

    One is complete, and comes, when all chunks that reach into it have been read.

    Args:
        found: what ``prepare_input`` returned.
        rejected: takes the rows that break the schema.

    Raises:
        UserError: if a file has changed since it was planned.
    """
    settings, schema = found.settings, found.settings.row_schema
    cadence = settings.cadence
    read = FileReader(found.plan, None, schema, cadence.latency, settings.cut_rows, cadence.offset)
    work = FileWork(found.plan, Extent())
    open_ones: dict[int, Refresh] = {}
    for place, chunk in enumerate(work.chunks):
        for start in sorted(open_ones):
            if start + cadence.every <= chunk.least:
                yield _in_order(open_ones.pop(start))
        item = work.get(place)
        assert item is not None
        for raw in read(item):
            tag = tag_of(raw)
            start = cadence.refresh_of(tag.at)
            refresh = open_ones.setdefault(start, Refresh(start))
            accepted, rejects = validate(raw, schema)
            if rejects:
                refresh.rejected.append((tag.key, len(rejects)))
                if rejected is not None:
                    rejected(rejects)
            if accepted.num_rows:
                refresh.batches.append(accepted)
    for start in sorted(open_ones):
        yield _in_order(open_ones[start])


def _in_order(refresh: Refresh) -> Refresh:
    refresh.batches.sort(key=lambda batch: tag_of(batch).key)
    return refresh
