"""Where a stream ends: one time for both clocks, of questions and of labels.

What ends a stream (``--windows``, a drain, the files' end) ends it at the end of a refresh. Whoever
lets the watermark go writes that time into the run's folder before; so a window that ends later
fires only when it is there, and is left out. A label that is known from there on stays open.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from model import files
from model.asof import format_iso, from_datetime, parse_iso


class StreamEnd(NamedTuple):
    """Where a stream ends, as far as that is known.

    Attributes:
        until: the end that is known beforehand, microseconds; None without one.
        path: the file that has the end, once it is decided (``until.json``); None: no file has.

    Example:
        >>> StreamEnd(until=120).includes(120), StreamEnd(until=120).includes(180)
        (True, False)
    """

    until: int | None = None
    path: str | None = None

    def find(self) -> int | None:
        """The end, microseconds; None if there is none yet."""
        if self.path is not None:
            written = read_end(self.path)
            if written is not None:
                return written
        return self.until

    def includes(self, end: int) -> bool:
        """Whether a window or refresh that has closed, and ends at a time, is in the stream."""
        until = self.find()
        return until is None or end <= until


NO_END = StreamEnd()
"""Of a stream of which no end is known."""


def read_end(path: str) -> int | None:
    """The end in a file, microseconds; None if there is none that can be read."""
    try:
        return from_datetime(parse_iso(str(json.loads(files.read_whole(path))["until"])))
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # decided anew
        return None


def write_end(path: str, until: int) -> None:
    """Writes a stream's end, microseconds, into a file; it is on the disk when this returns."""
    text = json.dumps({"format": 1, "until": format_iso(until)}, indent=2) + "\n"
    files.write_whole(path, text.encode(), within=path)
    files.flush()
