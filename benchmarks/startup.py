"""``python -m benchmarks.startup beam|job SINCE``: seconds from a command to its first element.

``SINCE`` is when the command was given, seconds since the epoch. ``beam`` is the least that Beam
can do: a pipeline of one step on its embedded runner. ``job`` is the job's own command line; it
ends as soon as the first batch is read.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from typing import Any


def beam_alone(since: float) -> None:
    """Runs a pipeline of one step."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        pipeline | beam.Create([0]) | beam.Map(lambda _: told(since))


def job(since: float, words: list[str]) -> None:
    """Runs the job as ``python -m pipeline`` does."""
    gc.disable()
    from pipeline.__main__ import main
    from transforms.sources.planner import Read

    read = Read.process

    def first(self: Any, ticket: Any) -> Iterator[Any]:
        for batch in read(self, ticket):
            told(since)
            yield batch

    Read.process = first  # type: ignore[method-assign]
    sys.exit(main(words))


def told(since: float) -> None:
    """Prints the seconds, and ends the process."""
    print(time.time() - since, flush=True)
    os._exit(0)


if __name__ == "__main__":
    kind, at, *others = sys.argv[1:]
    if kind == "beam":
        beam_alone(float(at))
    else:
        job(float(at), others)
