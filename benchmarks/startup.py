"""``python -m benchmarks.startup``: seconds from a command to its first element, beside Beam alone.

The least that Beam can do is a pipeline of one step on its embedded runner. The job is its own
command line over a Parquet file, until its first batch is read. Both take turns, each in a process
of its own, which looks for no garbage and ends there. Ends with 1 if the job's median is over
``LIMIT`` times Beam's. CPU seconds are shown beside, which other processes disturb less.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import data
from benchmarks.measure import run
from benchmarks.showing import machine, spread, verdict

LIMIT = 1.7
TURNS = 9


class Start(NamedTuple):
    """One start.

    Attributes:
        seconds: from the command to the first element.
        cpu: CPU seconds of the process, until then.
    """

    seconds: float
    cpu: float


def measure(*argv: str) -> Start:
    """Starts one of the two in a process of its own (``benchmarks.starting``)."""
    script = "import sys; from benchmarks import starting; starting.main(sys.argv[1:])"
    ended = run(["-c", script, str(time.time()), *argv])
    return Start(float(ended.output.splitlines()[-1]), ended.cpu)


def main() -> int:
    """Measures and prints; gives the exit code."""
    print(machine())
    # Beam's bytecode came with its installation; ours Python keeps at the first start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    alone: list[Start] = []
    job: list[Start] = []
    with TemporaryDirectory(prefix="startup-") as folder:
        file, schema = Path(folder) / "rows.parquet", Path(folder) / "schema.toml"
        data.write(file, 100_000)
        schema.write_text(data.SCHEMA, encoding="utf-8")
        argv = ["--input", str(file), "--schema", str(schema), "--learner", "ridge"]
        for turn in range(TURNS):
            alone.append(measure())
            job.append(measure(*argv, "--output", str(Path(folder) / str(turn))))
    ratios = []
    for unit in Start._fields:
        beams, ours = ([getattr(one, unit) for one in some] for some in (alone, job))
        ratios.append(statistics.median(ours) / statistics.median(beams))
        print(f"{unit}, minimum / median / maximum:")
        print(f"  a pipeline of one step: {spread(beams, '.2f')}")
        print(f"  the job, to its first batch: {spread(ours, '.2f')} ({ratios[-1]:.2f} times)")
    ratio = ratios[0]
    print(f"ratio of the medians of seconds: {ratio:.2f}, limit {LIMIT}: {verdict(ratio <= LIMIT)}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
