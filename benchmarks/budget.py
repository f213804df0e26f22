"""``python -m benchmarks.budget``: what each step costs a batch of 10,000 rows, without a runner.

Each step's pure function is timed on the same rows (four features), the least of some repetitions:
what a runner adds is what its own run takes more. A window's steps are shared out to its batches.
Rows of Parquet are read twice and do not travel; all others travel, and are read once.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.showing import machine
from model.artefact import Artefact, Scores, load_bytes
from model.batch import SECOND, Key, Tag, decode, encode, split
from model.manifest import Learner, Window
from model.metrics import sum_batch
from model.schema import Schema
from model.training import normalize, train
from model.validation import validate
from reading import plan, read
from transforms.coders import SummaryCoder, SumsCoder
from transforms.elements import AcceptedBatch, KeyedSums
from transforms.sources.files import FileReader
from transforms.statistics import CombineSummaries, summarize
from transforms.validate import accept

ROWS, BATCHES = 10_000, 10
"""Rows of a batch; batches of a window."""
SCHEMA = Schema.model_validate(
    {"name": "bench", "time": "time", "target": "y", "features": {"numeric": list(data.FEATURES)}}
)
WINDOW = Window(0, ROWS * BATCHES // data.RATE * SECOND)
RIDGE = Learner("ridge", {}, 42)


class Cost(NamedTuple):
    """What a step costs a batch in microseconds, and how often: embedded, and elsewhere."""

    step: str
    micros: float
    embedded: int
    elsewhere: int


def best(work: Callable[[], object], shared: int = 1) -> float:
    """The least microseconds that work takes, shared out to so many batches."""
    number = max(1, int(0.05 / max(timeit.timeit(work, number=1), 1e-6)))
    return min(timeit.repeat(work, number=number, repeat=5)) / number / shared * 1e6


def window(file: Path) -> list[AcceptedBatch]:
    """The accepted batches of a window."""
    found = plan(str(file), SCHEMA)
    raw = [batch for c in found.chunks for batch in read(found.files[0], c, SCHEMA, ROWS)]
    tagged = [
        piece
        for part, batch in enumerate(raw)
        for piece in split(batch, Tag(Key(0, 0, part), 0, "f", 0), WINDOW.end)
    ]
    return [accept(batch, SCHEMA)[0] for batch in tagged]


def costs(file: Path) -> list[Cost]:
    """All steps, in the order of the graph."""
    found = plan(str(file), SCHEMA)
    [chunk] = found.chunks
    raw = next(read(found.files[0], chunk, SCHEMA, ROWS))
    batches = window(file)
    one, written = batches[0].rows, encode(batches[0].rows)
    tag = Tag(Key(0, 0, 0), 0, "f", 0)
    parts = [part for b in batches if (part := summarize(b, SCHEMA, reduce=True)) is not None]
    first, summaries, combine = batches[0], SummaryCoder(), CombineSummaries(SCHEMA, 1_000)
    small, whole = summaries.encode(parts[0]), combine.extract_output(list(parts))
    arguments = whole.rows, whole.statistics, SCHEMA, WINDOW, whole.moments
    normalized = normalize(*arguments)
    artefact = load_bytes(train(normalized, SCHEMA, RIDGE)[0])
    said = artefact.score(one)
    sums = score_batch(artefact, one, said)
    coder = SumsCoder()

    blocks = FileReader(found, None, SCHEMA, WINDOW.end, ROWS).block_rows

    def reading() -> int:
        return sum(b.num_rows for b in read(found.files[0], chunk, SCHEMA, blocks))

    return [
        Cost("read and decode Parquet", best(reading, BATCHES), 2, 2),
        Cost("split on edges", best(lambda: list(split(raw, tag, WINDOW.end))), 2, 2),
        Cost("validate", best(lambda: validate(raw, SCHEMA)), 1, 1),
        Cost("the same, known to fit", best(lambda: validate(raw, SCHEMA, clean=True)), 1, 1),
        Cost("statistics, moments, sample", best(lambda: summarize(first, SCHEMA, True)), 1, 1),
        Cost("encode the sample", best(lambda: summaries.encode(parts[0])), 0, 1),
        Cost("decode the sample", best(lambda: summaries.decode(small)), 0, 1),
        Cost("combine", best(lambda: combine.extract_output(list(parts)), BATCHES), 1, 1),
        Cost("normalise", best(lambda: normalize(*arguments), BATCHES), 1, 1),
        Cost("fit and dump", best(lambda: train(normalized, SCHEMA, RIDGE), BATCHES), 1, 1),
        Cost("encode the rows (not Parquet's)", best(lambda: encode(one)), 0, 0),
        Cost("decode the rows (not Parquet's)", best(lambda: decode(written)), 0, 0),
        Cost("predict, count for drift", best(lambda: artefact.score(one)), 1, 1),
        Cost("score against the target", best(lambda: score_batch(artefact, one, said)), 1, 1),
        Cost("encode and decode the sums", best(lambda: coder.decode(coder.encode(sums))), 1, 1),
    ]


def score_batch(artefact: Artefact, rows: pa.RecordBatch, said: Scores) -> KeyedSums:
    """A batch's sums, as ``transforms.evaluate`` makes them."""
    target = rows.column(SCHEMA.target).to_numpy()
    profile = artefact.profile_json
    result = sum_batch(target, 0, said.prediction, artefact.baseline, "m", said.histogram, profile)
    return KeyedSums(Key(0, 0, 0), result)


def table(found: Sequence[Cost]) -> Table:
    """All steps as a table."""
    shown = Table(title=f"microseconds a batch of {ROWS:,} rows")
    for column in ("step", "one", "embedded", "elsewhere"):
        shown.add_column(column, justify="left" if column == "step" else "right")
    for step, micros, embedded, elsewhere in found:
        times = (f"{n * micros:,.0f}" if n else "" for n in (embedded, elsewhere))
        shown.add_row(step, f"{micros:,.0f}", *times)
    shown.add_section()
    totals = [
        sum(one.micros * one.embedded for one in found),
        sum(one.micros * one.elsewhere for one in found),
    ]
    shown.add_row("all", "", *(f"{total:,.0f}" for total in totals))
    shown.add_row("rows/s", "", *(f"{ROWS / total * 1e6:,.0f}" for total in totals))
    return shown


def main() -> int:
    """Measures and prints."""
    out = Console() if sys.stdout.isatty() else Console(width=110)
    out.print(machine())
    with TemporaryDirectory(prefix="budget-") as folder:
        file = Path(folder) / "rows.parquet"
        data.write(file, ROWS * BATCHES)
        out.print(table(costs(file)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
