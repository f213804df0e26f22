"""A backtest of a table beside the embedded job on the same rows: ``python -m benchmarks.frames``.

Each reads the same Parquet files in processes of their own, the backtest by pandas, and fits a
ridge to windows of 100,000 rows; both make predictions. The rate is that of the rows that the
larger file has more, so that start-up does not count; ``--rounds`` are alternated, and the least
time of each counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.data import RATE, SCHEMA, write
from benchmarks.measure import run

SMALL, LARGE = 200_000, 1_200_000
"""Rows of the two files."""
WINDOW = 100_000 // RATE
TARGET = 0.5
"""Of the embedded job's rate a backtest has so much at least."""


def backtest_file(path: str, schema: str) -> None:
    """Backtests a file's rows: what is measured, in a process of its own."""
    import pandas as pd

    from pipeline import backtest

    print(backtest(pd.read_parquet(path), schema, learner="ridge", window=WINDOW))


def measure(rounds: int) -> dict[str, float]:
    """The rates, rows a second, of the job and of a backtest."""
    with tempfile.TemporaryDirectory() as home:
        schema = Path(home, "s.toml")
        schema.write_text(SCHEMA)
        seconds: dict[tuple[str, int], float] = {}
        for rows in (SMALL, LARGE):
            write(Path(home, f"{rows}.parquet"), rows)
        for number in range(rounds):
            for rows in (SMALL, LARGE):
                path = f"{home}/{rows}.parquet"
                output = f"{home}/{rows}-{number}"
                options = ["--input", path, "--schema", str(schema), "--window", str(WINDOW)]
                job = ["-m", "pipeline", *options, "--learner", "ridge", "--output", output]
                mine = ["-m", "benchmarks.frames", "--file", path, "--schema", str(schema)]
                for name, words in (("job", job), ("backtest", mine)):
                    took = run(words).seconds
                    seconds[name, rows] = min(took, seconds.get((name, rows), took))
    return {
        name: (LARGE - SMALL) / (seconds[name, LARGE] - seconds[name, SMALL])
        for name in ("job", "backtest")
    }


def main(argv: list[str] | None = None) -> int:
    """Prints the rates; 1 if the backtest's is too low."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--schema", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.file:
        backtest_file(given.file, given.schema)
        return 0
    rates = measure(given.rounds)
    ratio = rates["backtest"] / rates["job"]
    for name, rate in rates.items():
        print(f"{name:9} {rate:10,.0f} rows/s")
    print(f"a backtest has {ratio:.2f} of the job's rate (at least {TARGET} is wanted)")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
