r"""Writes people into two files: ``questions.csv``, and ``labels.csv`` with their salaries.

Run it as ``python -m examples.answers FOLDER --people 6000``. A person comes every tenth of a
second, and the salary up to three minutes later; ``pessoa`` is what both files have in common. As
in any stream of labels, some never come (2 %), some come twice (2 %), and some before their person
(1 %). ``examples/answers.toml`` is the schema.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from model.asof import EPOCH, parse_iso
from model.batch import SECOND
from model.people import ANSWERED, SCHEMA, People

RATE = 10
"""People a second."""
START = "2026-01-05T09:00:00Z"
DELAY = (0, 180 * SECOND)
"""Microseconds from a person to the salary, at least and at most."""
EARLY = 5 * SECOND
"""Microseconds by which early labels come before their person."""


def make(people: int) -> tuple[pa.Table, pa.Table]:
    """Makes questions and labels, each in the order of their times.

    Args:
        people: how many.
    """
    start = (parse_iso(START) - EPOCH).total_seconds()
    source = People("learnable", 42, RATE, int(start) * SECOND, delay=DELAY)
    features = [SCHEMA.time, *SCHEMA.numeric, *SCHEMA.categorical]
    rows = pa.table(source.rows(0, people, [*features, SCHEMA.target, ANSWERED]))
    rows = rows.append_column("pessoa", [[f"p{number:06d}" for number in range(people)]])
    known = rows.filter(rows[ANSWERED].is_valid())
    number = np.arange(len(known))
    asked = known[SCHEMA.time].cast(pa.int64()).to_numpy()
    times = known[ANSWERED].cast(pa.int64()).to_numpy()
    times = np.where(number % 100 == 50, asked - EARLY, times) // 1000 * 1000
    labels = pa.table({name: known[name] for name in ("pessoa", SCHEMA.target)})
    labels = labels.append_column(ANSWERED, pa.array(times).cast(rows[ANSWERED].type))
    twice = labels.filter(pa.array(number % 50 == 20))
    again = pc.add(twice[ANSWERED], pa.scalar(SECOND, pa.duration("us")))
    twice = twice.set_column(2, ANSWERED, again)
    every = pa.concat_tables([labels, twice]).sort_by([(ANSWERED, "ascending")])
    return rows.select(["pessoa", *features]), every


def write(folder: Path, people: int) -> None:
    """Writes both files into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in zip(("questions", "labels"), make(people), strict=True):
        plain = table.schema.names
        columns = [
            pc.strftime(table[each].cast(pa.timestamp("ms", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
            if pa.types.is_timestamp(table[each].type)
            else table[each]
            for each in plain
        ]
        pyarrow.csv.write_csv(pa.table(columns, plain), folder / f"{name}.csv")
        print(f"{folder / name}.csv: {len(table):,} rows")


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=6000, help="how many (default: 6000)")
    given = parser.parse_args()
    write(given.folder, given.people)


if __name__ == "__main__":
    main()
