"""``python -m benchmarks.growth``: how the job's rate depends on what grows, a curve each.

One thing at a time is changed: rows, windows, columns, rows of a batch, shards, values of a
category, artefacts in the store, parallelism on Flink. A point is one run of ``python -m pipeline
--learner ridge``, less the seconds of the same run on its first two windows, so that start-up is
apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import Job
from benchmarks.measure import Measured, run
from benchmarks.showing import machine

GROUP = 131_072
"""Rows of a row group."""
RUNNERS = ("direct", "prism", "flink")


class Shape(NamedTuple):
    """What a file is like, and how it is cut.

    Attributes:
        rows: of the file.
        windows: into which they are cut, of whole seconds each.
        columns: numeric features.
        categories: values of one categorical feature; 0: there is none.
        gap: empty windows behind each.
    """

    rows: int = 1_000_000
    windows: int = 10
    columns: int = 4
    categories: int = 0
    gap: int = 0

    @property
    def seconds(self) -> int:
        """A window's length: 10,000 seconds are shared out."""
        return 10_000 // self.windows

    def write(self, path: Path, rows: int) -> None:
        """Writes the first rows of the file."""
        with pq.ParquetWriter(path, self._batch(0, 0).schema) as writer:
            for first in range(0, rows, GROUP):
                count = min(GROUP, rows - first)
                writer.write_batch(self._batch(first, count), row_group_size=GROUP)

    def _batch(self, first: int, count: int) -> pa.RecordBatch:
        rng = np.random.default_rng(first)
        features = rng.normal(size=(self.columns, count))
        times = np.arange(first, first + count) * (10_000 * 1_000_000 // self.rows)
        window = self.seconds * 1_000_000
        times += times // window * (window * self.gap)
        columns = {"time": pa.array(times, pa.timestamp("us", "UTC"))}
        columns["y"] = pa.array(features.sum(axis=0) + rng.normal(size=count))
        columns |= {f"x{i}": pa.array(values) for i, values in enumerate(features)}
        if self.categories:
            values = pa.array([f"v{i}" for i in range(self.categories)])
            drawn = pa.array(rng.integers(0, self.categories, count).astype(np.int32))
            columns["c"] = pa.DictionaryArray.from_arrays(drawn, values)
        return pa.record_batch(columns)

    @property
    def schema(self) -> str:
        """The meaning of the columns, as TOML."""
        numeric = [f"x{i}" for i in range(self.columns)]
        categorical = '\ncategorical = ["c"]' if self.categories else ""
        head = 'name = "growth"\ntime = "time"\ntime_format = "iso8601"\ntarget = "y"\n[features]\n'
        return f"{head}numeric = {json.dumps(numeric)}{categorical}\n"


class Point(NamedTuple):
    """A point of a curve.

    Attributes:
        curve: what grows.
        value: how large it is.
        shape: the file.
        runner, words: how the job is run, beside its usual options.
    """

    curve: str
    value: int
    shape: Shape
    runner: str = "direct"
    words: tuple[str, ...] = ()


def points(runners: Sequence[str]) -> Iterator[Point]:
    """All points."""
    for runner in runners:
        for rows in (100_000, 1_000_000, 10_000_000, 100_000_000):
            yield Point("rows", rows, Shape(rows, windows=max(10, rows // 100_000)), runner)
    for windows in (10, 100, 1_000, 10_000):
        yield Point("windows", windows, Shape(windows=windows))
    for windows in (10, 100, 1_000, 10_000):
        argv = ("--keep", "0")
        yield Point("artefacts kept", windows, Shape(windows=windows), words=argv)
    for gap in (0, 1, 10, 100_000):
        yield Point("gap", gap, Shape(160_000, windows=1_600, gap=gap))
    for columns in (4, 16, 64, 256):
        yield Point("columns", columns, Shape(4_000_000 // columns, columns=columns))
    for batch in (1_000, 10_000, 100_000):
        yield Point("batch rows", batch, Shape(), words=("--batch-rows", str(batch)))
    for shards in (1, 4, 16, 64):
        yield Point("shards", shards, Shape(), words=("--shards", str(shards)))
    for categories in (2, 16, 64, 1_000):
        yield Point("categories", categories, Shape(categories=categories))
    if "flink" in runners:
        for parallelism in (1, 2, 4):
            argv = ("--parallelism", str(parallelism))
            shape = Shape(10_000_000, windows=100)
            yield Point("parallelism", parallelism, shape, "flink", argv)


class Grown(NamedTuple):
    """A point that was measured: seconds without start-up, and the most bytes held."""

    point: Point
    seconds: float
    peak: int


def measure(point: Point, folder: Path, repeat: int) -> Grown:
    """Measures a point, the median of some repetitions."""
    few = max(2 * point.shape.rows // point.shape.windows, 1)
    files = {rows: folder / f"{rows}.parquet" for rows in (few, point.shape.rows)}
    (folder / "schema.toml").write_text(point.shape.schema, encoding="utf-8")
    for rows, file in files.items():
        point.shape.write(file, rows)
    taken = []
    for _ in range(repeat):
        start, whole = (_run(point, files[rows], folder) for rows in (few, point.shape.rows))
        taken.append((whole.seconds - start.seconds, whole.peak))
    seconds = statistics.median(one for one, _ in taken)
    return Grown(point, seconds, max(peak for _, peak in taken))


def _run(point: Point, file: Path, folder: Path) -> Measured:
    with TemporaryDirectory(dir=folder) as output:
        argv = ["--input", str(file), "--schema", str(folder / "schema.toml")]
        argv += ["--output", output, "--window", str(point.shape.seconds), "--learner", "ridge"]
        argv += ["--predictions", "none", "--runner", point.runner, *point.words]
        return run(["-m", "pipeline", *argv])


def make_table(grown: Sequence[Grown]) -> Table:
    """All points as a table."""
    table = Table()
    for column in ("what grows", "runner", "to", "rows", "seconds", "rows/s", "peak GiB"):
        table.add_column(column, justify="left" if column in ("what grows", "runner") else "right")
    for point, seconds, peak in grown:
        added = point.shape.rows - 2 * point.shape.rows // point.shape.windows
        rate = f"{added / seconds:,.0f}" if seconds > 0 else "in the noise"
        table.add_row(
            *(point.curve, point.runner, f"{point.value:,}", f"{point.shape.rows:,}"),
            *(f"{seconds:.2f}", rate, f"{peak / (1 << 30):.2f}"),
        )
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("curves", nargs="*", help="only those (all)")
    parser.add_argument("--runner", nargs="*", choices=RUNNERS, default=list(RUNNERS))
    parser.add_argument("--repeat", type=int, default=1, help="how often each is measured (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there")
    given = parser.parse_args(argv)
    out = Console() if sys.stdout.isatty() else Console(width=110)
    out.print(machine())
    chosen = []
    for runner in given.runner:
        missing = Job(runner).missing
        chosen += [] if missing else [runner]
        if missing:
            out.print(f"skipped: {runner}: {missing} brings it")
    grown = []
    for point in points(chosen):
        if not given.curves or point.curve in given.curves:
            with TemporaryDirectory(prefix="growth-") as folder:
                grown.append(measure(point, Path(folder), given.repeat))
            out.print(f"  {point.curve} {point.value:,} {point.runner}: {grown[-1].seconds:.2f} s")
    out.print(make_table(grown))
    if given.json:
        result = [
            {**one.point._asdict(), "seconds": one.seconds, "peak": one.peak} for one in grown
        ]
        text = json.dumps({"format": 1, "machine": machine(), "points": result}, indent=2)
        given.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
