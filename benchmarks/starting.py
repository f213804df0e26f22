"""The two processes that ``benchmarks.startup`` measures; nothing is imported before its time.

Both start alike: ``python -m pipeline`` looks for no garbage while it imports, so Beam alone does
not either, and both end with their first element.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator
from typing import Any


def main(argv: list[str]) -> None:
    """``SINCE`` alone: a pipeline of one step; with words behind it: the job with these options.

    ``SINCE`` is when the command was given, seconds since the epoch.
    """
    since, *others = argv
    gc.disable()  # as pipeline.__main__.console does
    if others:
        job(float(since), others)
    else:
        beam_alone(float(since))


def beam_alone(since: float) -> None:
    """Runs a pipeline of one step."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        pipeline | beam.Create([0]) | beam.Map(lambda _: print_and_exit(since))


def job(since: float, argv: list[str]) -> None:
    """Runs the job as ``python -m pipeline`` does, until its first batch is read."""
    from pipeline.__main__ import main
    from transforms.sources.read import ReadFn

    stamped = ReadFn.stamp

    def first(self: Any, item: Any, batches: Any) -> Iterator[Any]:
        for batch in stamped(self, item, batches):
            print_and_exit(since)
            yield batch

    ReadFn.stamp = first  # type: ignore[method-assign]
    sys.exit(main(argv))


def print_and_exit(since: float) -> None:
    """Prints the seconds since then, and ends the process."""
    print(time.time() - since, flush=True)
    os._exit(0)
