"""``python -m benchmarks.reading``: reading text beside pandas, Polars and DuckDB, in one run.

The same rows, a time, four numbers and a category, as CSV and as NDJSON. The job's side reads the
planned chunks one by one and validates them, in one thread; the plan's own scan is timed apart.
The others read into memory with the types given, in one thread each (``make peers`` brings them).
What counts is the processor's time, the median of several; rates are rows per second. Ends with
1 if the job's rate is less than a third of Polars'.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from rich.console import Console
from rich.table import Table

from benchmarks.peers.readers import NUMBERS, READERS, time_reading
from model.batch import Key, Tag, with_tag
from model.schema import Features, Schema
from model.validation import validate
from reading import Plan, plan, read

SHARE = 1 / 3
"""Of Polars' rate the job has at least this."""
PEERS = Path(".tools/peers/bin/python")
SCHEMA = Schema(
    name="reading",
    time="time",
    target="y",
    features=Features(numeric=NUMBERS[1:], categorical=("k",)),
)
BATCH_ROWS = 10_000
_PIECE = 100_000


class Rate(NamedTuple):
    """A reader's rates, rows per second: of the cores' time, and of the clock's."""

    cores: float
    clock: float


def write(folder: Path, rows: int) -> list[Path]:
    """Writes the rows as CSV and as NDJSON; gives the paths."""
    rng = np.random.default_rng(0)
    paths = [folder / "in.csv", folder / "in.ndjson"]
    with paths[0].open("wb") as text, paths[1].open("w", encoding="utf-8") as lines:
        for first in range(0, rows, _PIECE):
            table = _table(rng, first, min(_PIECE, rows - first))
            options = pa.csv.WriteOptions(include_header=first == 0, quoting_style="needed")
            pa.csv.write_csv(table, text, options)
            lines.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
    return paths


def _table(rng: np.random.Generator, first: int, count: int) -> pa.Table:
    start = np.datetime64("2024-01-01", "us")
    micros = start + np.arange(first, first + count).astype("m8[ms]")
    times = [f"{text}Z" for text in np.datetime_as_string(micros, unit="ms")]
    kinds = np.array(["red", "green", "blue", "São Paulo", "black"])
    numbers = {name: np.round(rng.normal(size=count), 6) for name in NUMBERS}
    return pa.table({"time": times} | numbers | {"k": rng.choice(kinds, count)})


def read_all(planned: Plan) -> int:
    """Reads and validates each chunk; gives the number of accepted rows."""
    accepted = 0
    for chunk in planned.chunks:
        for batch in read(planned.files[chunk.file], chunk, SCHEMA, BATCH_ROWS):
            tag = Tag(Key(0, chunk.first, 0), chunk.least, "in", 0)
            accepted += validate(with_tag(batch, tag), SCHEMA)[0].num_rows
    return accepted


def rate(measured: Sequence[dict[str, float]], rows: int) -> Rate:
    """The median rates of several measurements.

    Raises:
        RuntimeError: if not all rows were read.
    """
    if any(each["rows"] != rows for each in measured):
        raise RuntimeError(f"not all of the {rows:,} rows were read")
    return Rate(*(rows / statistics.median(m[key] for m in measured) for key in ("cores", "clock")))


def rates(path: Path, rows: int, repeat: int) -> dict[str, Rate]:
    """The rates of the job's reading, of its plan, and of each other reader that is there."""
    planned = plan(str(path), SCHEMA)
    ours: dict[str, Callable[[], int]] = {
        "Correnteza": lambda: read_all(planned),
        "Correnteza, the plan": lambda: plan(str(path), SCHEMA).rows,
    }
    found = {
        name: rate([time_reading(work) for _ in range(repeat)], rows) for name, work in ours.items()
    }
    for name in READERS if PEERS.exists() else ():
        found[name] = rate(_peer(name, path, repeat), rows)
    return found


def _peer(name: str, path: Path, repeat: int) -> list[dict[str, float]]:
    script = Path(__file__).parent / "peers" / "readers.py"
    done = subprocess.run(
        [str(PEERS), str(script), name, str(path), str(repeat)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_held(found: dict[str, Rate]) -> bool:
    """Whether the job reads quickly enough beside Polars; yes if that is not there."""
    return "Polars" not in found or found["Correnteza"].cores >= SHARE * found["Polars"].cores


def table(path: Path, found: dict[str, Rate]) -> Table:
    """The rates as a table."""
    shown = Table("reader", "rows/s of a core", "rows/s", "of Polars", title=path.name)
    best = found.get("Polars")
    for name, each in found.items():
        share = f"{each.cores / best.cores:.2f}" if best else "-"
        shown.add_row(name, f"{each.cores:,.0f}", f"{each.clock:,.0f}", share)
    return shown


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each file (1000000)")
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured (5)")
    given = parser.parse_args(argv)
    out = Console() if sys.stdout.isatty() else Console(width=100)
    if not PEERS.exists():
        out.print("skipped: pandas, Polars and DuckDB: make peers brings them")
    held = True
    with TemporaryDirectory(prefix="reading-") as folder:
        for path in write(Path(folder), given.rows):
            found = rates(path, given.rows, given.repeat)
            out.print(table(path, found))
            held = held and is_held(found)
    if not held:
        out.print(f"not held: at least {SHARE:.2f} of Polars' rate")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
