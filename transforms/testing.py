"""The test kit: unit-test a transform of your own with the rows, the runners and the time of ours.

Rows (plain dicts) become batches as a source would make them (``batches``, ``accepted``); a
source replays them at once (``FromBatches``) or as time goes by (``replay``); a pipeline runs
in this process (``embedded``, ``streamed``); what comes out is looked at by plain Python
(``Gather``) or inside the pipeline (``assert_per_window``). Beam's own ``apache_beam.testing``
goes with all of it. ``pipeline.testing.run_graph`` runs the whole job on some rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.coders import registry
from apache_beam.pvalue import PBegin
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to_per_window
from apache_beam.transforms.window import GlobalWindow, IntervalWindow, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from model.batch import Key, Tag, event_times, split, tag_of
from model.manifest import Window
from model.rows import Row, from_dicts
from model.schema import Schema
from transforms import coders  # noqa: F401  # registers them
from transforms.elements import AcceptedBatch, RawBatch
from transforms.sources.rows import mark_late
from transforms.stamps import beam_time
from transforms.validate import accept


def batches(
    rows: Sequence[Row],
    schema: Schema,
    latency: int,
    batch_rows: int = 10_000,
    disorder: int | None = None,
    offset: int = 0,
) -> list[RawBatch]:
    """Tagged raw batches, as a source makes them of rows in the order of their arrival.

    Args:
        rows: dicts by column; a row's id is its index.
        schema: what the columns mean.
        latency: a serve window's length, microseconds: no batch straddles two.
        batch_rows: rows of a batch, at most.
        disorder: microseconds. A row that is further than that behind the greatest time
            before it is late, and counts that far behind it. None: no row is late.
        offset: how long behind multiples of ``latency`` serve windows begin, microseconds.

    Example:
        >>> from model.batch import SECOND
        >>> from model.schema import Features
        >>> s = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> rows = [{"t": t, "y": 1.0, "x": 2.0} for t in (0, 70, 3)]
        >>> [(b["t"].to_pylist(), tag_of(b).at // SECOND) for b in batches(rows, s, 60 * SECOND)]
        [([0, 3], 0), ([70], 70)]
        >>> late = batches(rows, s, 60 * SECOND, disorder=5 * SECOND)[1]
        >>> late["t"].to_pylist(), late["__late"].to_pylist(), tag_of(late).at // SECOND
        ([70, 3], [False, True], 65)
    """
    if not rows:
        return []
    whole = from_dicts(rows, np.arange(len(rows)), schema)
    whole, stamps = mark_late(whole, _watermarks(event_times(whole), disorder))
    made: list[RawBatch] = []
    for start in range(0, len(rows), batch_rows):
        piece, at = whole.slice(start, batch_rows), stamps[start : start + batch_rows]
        tag = Tag(Key(0, start, 0), int(at.min()), "rows", 0)
        made.extend(split(piece, tag, latency, at, offset))
    return made


def _watermarks(times: npt.NDArray[np.int64], disorder: int | None) -> list[int]:
    """The watermark that each row meets; undated rows have the least int64."""
    least = MIN_TIMESTAMP.micros
    if disorder is None:
        return [least] * len(times)
    seen = itertools.accumulate(times[:-1].tolist(), max, initial=least)
    return [max(time - disorder, least) for time in seen]


def accepted(raw: Iterable[RawBatch], schema: Schema) -> list[AcceptedBatch]:
    """The accepted batches of raw ones: what ``Validate`` lets pass.

    Example:
        >>> from model.schema import Features
        >>> s = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> rows = [{"t": 0, "y": 1, "x": None}, {"t": "soon", "y": 2, "x": 5}]
        >>> accepted(batches(rows, s, latency=60_000_000), s)[0].rows["x"].to_pylist()
        [nan]
    """
    kept = [accept(batch, schema)[0] for batch in raw]
    return [batch for batch in kept if batch.rows.num_rows]


Batch = RawBatch | AcceptedBatch


class FromBatches(beam.PTransform[PBegin, beam.PCollection[Batch]]):
    """A bounded source of batches, each stamped with its tag's time.

    When to use: for whatever time does not change. When not: to see what happens as time
    goes by, which is ``replay``'s.

    Attributes:
        batches: all raw, or all accepted; they may arrive in any order.

    Example:
        ``pipeline | FromBatches(batches(rows, schema, 60 * SECOND)) | MyTransform()``
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        super().__init__()
        self.batches = list(batches)

    def expand(self, root: PBegin) -> beam.PCollection[Batch]:
        kind = _type_of(self.batches)
        created = beam.Create(self.batches).with_output_types(kind)
        return root | created | "Stamp" >> beam.Map(_stamp).with_output_types(kind)


def _type_of(batches: Sequence[Batch]) -> type[Batch]:
    return type(batches[0]) if batches else RawBatch


def _tag(batch: Batch) -> Tag:
    return batch.tag if isinstance(batch, AcceptedBatch) else tag_of(batch)


def _stamp(batch: Batch) -> TimestampedValue[Batch]:
    return TimestampedValue(batch, beam_time(_tag(batch).at))


def replay(batches: Sequence[Batch]) -> TestStream:
    """An unbounded source in which time goes by: batches arrive one by one, in their order.

    Before each the watermark moves up to the least time that is still to come, as a planned
    source moves it; after the last to the end of time. It needs ``streamed``.

    Example:
        >>> from model.batch import SECOND
        >>> from model.schema import Features
        >>> s = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> rows = [{"t": t, "y": 1.0, "x": 2.0} for t in (0, 70)]
        >>> with streamed() as pipeline:
        ...     seen = pipeline | replay(batches(rows, s, 60 * SECOND)) | Gather()
        >>> [one.at // SECOND for one in seen]
        [0, 70]
    """
    stream = TestStream(coder=registry.get_coder(_type_of(batches)))
    times = [_tag(batch).at for batch in batches]
    reached: Any = MIN_TIMESTAMP
    for position, batch in enumerate(batches):
        watermark = beam_time(min(times[position:]))
        if watermark > reached:
            stream.advance_watermark_to(watermark)
            reached = watermark
        stream.add_elements([_stamp(batch)])
    return stream.advance_watermark_to_infinity()


def embedded() -> TestPipeline:
    """A pipeline on Beam's FnApiRunner, in this process, which runs when its block ends.

    It is taken by name: Beam's default tries other runners first, and changes over in silence.

    Example:
        ``with embedded() as pipeline: pipeline | ...``
    """
    return TestPipeline("FnApiRunner")


def streamed() -> TestPipeline:
    """A pipeline on the runner of Beam's that knows ``TestStream``, thus ``replay``.

    When not: for a planned source (it knows no unbounded one), and for what waits for a bundle
    finalizer (it calls none, so no artefact is pruned).

    Example:
        ``with streamed() as pipeline: pipeline | replay(...) | ...``
    """
    return TestPipeline("BundleBasedDirectRunner")


class Seen(NamedTuple):
    """An element that flowed by.

    Attributes:
        value: the element.
        at: its stamp, microseconds.
        window: its window's bounds, microseconds; None for the global one.
    """

    value: Any
    at: int
    window: Window | None


_KEPT: dict[int, list[Seen]] = {}
_TOKENS = itertools.count()


class Gather(beam.PTransform[beam.PCollection[object], list[Seen]]):
    """Takes what flows by out of the pipeline: gives a list that is filled while it runs.

    The workers must be threads of this process, as those of ``embedded`` and ``streamed`` are.

    Example:
        >>> with embedded() as pipeline:
        ...     seen = pipeline | beam.Create([3, 4]) | beam.Map(lambda x: x * x) | Gather()
        >>> sorted(one.value for one in seen)
        [9, 16]
    """

    def expand(self, elements: beam.PCollection[object]) -> list[Seen]:
        token = next(_TOKENS)
        kept = _KEPT[token] = []
        elements | beam.ParDo(_Keep(token))
        return kept


class _Keep(beam.DoFn):
    def __init__(self, token: int) -> None:
        self.token = token

    def process(
        self,
        element: Any,
        stamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
    ) -> None:
        bounds = None
        if not isinstance(window, GlobalWindow):
            bounds = Window(window.start.micros, window.end.micros)
        _KEPT[self.token].append(Seen(element, stamp.micros, bounds))


def assert_per_window(
    actual: beam.PCollection[object],
    expected: Mapping[tuple[int, int], Iterable[object]],
    label: str = "PerWindow",
) -> None:
    """Fails the pipeline unless each window has just these elements, in any order.

    Args:
        actual: a PCollection; its elements are compared by ``==``.
        expected: elements by their window's bounds, microseconds.
        label: a name that is no other assertion's in the pipeline.

    Example:
        >>> with embedded() as pipeline:
        ...     stamped = pipeline | beam.Create([5, 8, 10]) | beam.Map(
        ...         lambda t: TimestampedValue(t, t))
        ...     windowed = stamped | beam.WindowInto(beam.window.FixedWindows(10))
        ...     second = 1_000_000
        ...     wanted = {(0, 10 * second): [8, 5], (10 * second, 20 * second): [10]}
        ...     assert_per_window(windowed, wanted)
    """
    windows = {
        IntervalWindow(Timestamp(micros=start), Timestamp(micros=end)): list(elements)
        for (start, end), elements in expected.items()
    }
    assert_that(actual, equal_to_per_window(windows), label, reify_windows=True)
