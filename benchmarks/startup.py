"""``python -m benchmarks.startup``: seconds from a command to its first element, beside Beam alone.

The least that Beam can do is a pipeline of one step on its embedded runner. The job is its own
command line over a Parquet file, until its first batch is read. Both take turns, each in a process
of its own, which ends there. Ends with 1 if the job's median is over ``LIMIT`` times Beam's.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import data
from benchmarks.measure import run
from benchmarks.showing import machine, spread, verdict

LIMIT = 1.5
TURNS = 9


def seconds(*words: str) -> float:
    """How long one of the two takes, in a process of its own (``benchmarks.starting``)."""
    script = "import sys; from benchmarks import starting; starting.main(sys.argv[1:])"
    done = run(["-c", script, str(time.time()), *words])
    return float(done.output.splitlines()[-1])


def main() -> int:
    """Measures and prints; gives the exit code."""
    print(machine())
    # Beam's bytecode came with its installation; ours Python keeps at the first start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    alone, job = [], []
    with TemporaryDirectory(prefix="startup-") as folder:
        file, schema = Path(folder) / "rows.parquet", Path(folder) / "schema.toml"
        data.write(file, 100_000)
        schema.write_text(data.SCHEMA, encoding="utf-8")
        words = ["--input", str(file), "--schema", str(schema), "--learner", "ridge"]
        for turn in range(TURNS):
            alone.append(seconds())
            job.append(seconds(*words, "--output", str(Path(folder) / str(turn))))
    ratio = statistics.median(job) / statistics.median(alone)
    print(f"a pipeline of one step: {spread(alone, '.2f')} s (minimum / median / maximum)")
    print(f"the job, to its first batch: {spread(job, '.2f')} s")
    print(f"ratio of the medians: {ratio:.2f}, limit {LIMIT}: {verdict(ratio <= LIMIT)}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
