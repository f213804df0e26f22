"""``python -m benchmarks``: the job beside a plain loop over the same rows, in one run.

Both sides read the same Parquet files (row groups of 131,072 rows, 1,000 rows a second of event
time), in processes of their own, in turns. What counts is added work: the time of the large file
less that of the small one, so that start-up is apart. Ends with 1 if a limit is not held.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Case, compare

MEMORY = 4 << 30
"""The job may hold so many bytes over the large ridge run."""


def cases(rows: int) -> list[Case]:
    """The comparisons; the forest's files have a fiftieth of the rows, it being slower."""
    return [
        Case("ridge", 100_000, rows // 5, rows, limit=0.2),
        Case("forest", 10_000, rows // 200, rows // 50, limit=0.8),
    ]


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the large ridge file")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there too")
    given = parser.parse_args(words)
    if given.rows < 4_000_000 or given.repeat < 1:
        parser.error("--rows from 4000000 (two windows of forest) and --repeat from 1 are allowed")
    return given


def spread(values: Sequence[float], form: str) -> list[str]:
    """Minimum, median and maximum as text."""
    return [format(v, form) for v in (min(values), statistics.median(values), max(values))]


def add_case(table: Table, case: Case) -> None:
    """Adds a comparison's lines to the table."""
    for side, pairs in (("loop", case.loop), ("job", case.job)):
        table.add_row(f"{case.learner}: {side}, rows/s", *spread(case.rates(pairs), ",.0f"))
        table.add_row(f"{case.learner}: {side}, start-up s", *spread(case.startup(pairs), ".1f"))
    limit = f">= {case.limit}"
    name = f"{case.learner}: job / loop"
    table.add_row(name, *spread(case.ratios, ".2f"), limit, verdict(case.held))
    table.add_row(f"{name}, CPU time", *spread(case.cpu_ratios, ".2f"))


def verdict(held: bool) -> str:
    """Whether a limit is held, in a word."""
    return "held" if held else "NOT HELD"


def shown(compared: list[Case]) -> Table:
    """All figures as a table."""
    table = Table("measured", "min", "median", "max", "limit", "", title="rates are of added work")
    for column in table.columns[1:4]:
        column.justify = "right"
    for case in compared:
        add_case(table, case)
        table.add_section()
    ridge = compared[0]
    peaks = [peak / (1 << 30) for peak in ridge.peaks]
    table.add_row(
        "ridge: job, peak GiB", *spread(peaks, ".2f"), "< 4", verdict(max(ridge.peaks) < MEMORY)
    )
    return table


def told(compared: list[Case]) -> dict[str, Any]:
    """All figures for the JSON file."""
    machine = {"cores": os.cpu_count(), "cpu": platform.machine(), "python": sys.version.split()[0]}
    figures = {
        case.learner: {
            "rows": [case.small, case.large],
            "window_rows": case.window_rows,
            "loop_seconds": [[m.seconds for m in pair] for pair in case.loop],
            "job_seconds": [[m.seconds for m in pair] for pair in case.job],
            "ratios": case.ratios,
            "cpu_ratios": case.cpu_ratios,
            "limit": case.limit,
            "held": case.held,
            "job_peak_bytes": case.peaks,
        }
        for case in compared
    }
    return {"format": 1, "machine": machine, **figures}


def main(words: Sequence[str] | None = None) -> int:
    """Measures, prints, and gives the exit code: 0 if every limit is held, else 1."""
    given = arguments(words)
    out = Console()
    compared = cases(given.rows)
    with TemporaryDirectory(prefix="bench-") as folder:
        for number in range(given.repeat):
            for case in compared:
                what = f"{case.small:,} and {case.large:,} rows, windows of {case.window_rows:,}"
                out.print(f"{number + 1} of {given.repeat}: {case.learner}, {what}")
                compare(case, Path(folder))
    out.print(shown(compared))
    if given.json:
        given.json.write_text(json.dumps(told(compared), indent=2) + "\n", encoding="utf-8")
    held = all(case.held for case in compared) and max(compared[0].peaks) < MEMORY
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
