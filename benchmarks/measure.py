"""Measurements: each in a process of its own, so that memory and caches are apart."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import data

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Measured(NamedTuple):
    """A process that ran.

    Attributes:
        seconds: from start to end.
        cpu: seconds of all cores; other work on the machine disturbs them less.
        peak: the most bytes that it held.
        output: what it printed.
    """

    seconds: float
    cpu: float
    peak: int
    output: str


@dataclass
class Case:
    """One comparison of the job with the plain loop.

    Attributes:
        learner: ``ridge`` or ``forest``.
        window_rows: rows of a window.
        small, large: rows; what the larger takes more is the added work.
        limit: the least share of the loop's rate that the job must reach.
        loop, job: what was measured, of each repeat the small and the large run.
    """

    learner: str
    window_rows: int
    small: int
    large: int
    limit: float
    loop: list[tuple[Measured, Measured]] = field(default_factory=list)
    job: list[tuple[Measured, Measured]] = field(default_factory=list)

    def rates(self, pairs: list[tuple[Measured, Measured]]) -> list[float]:
        """Rows per second of added work, one a repeat."""
        return [(self.large - self.small) / (b.seconds - a.seconds) for a, b in pairs]

    def startup(self, pairs: list[tuple[Measured, Measured]]) -> list[float]:
        """Seconds of the small run that are not rows at the rate of the added work."""
        rates = self.rates(pairs)
        return [p[0].seconds - self.small / r for p, r in zip(pairs, rates, strict=True)]

    @property
    def ratios(self) -> list[float]:
        """The job's rate by the loop's, one a repeat."""
        both = zip(self.rates(self.job), self.rates(self.loop), strict=True)
        return [job / loop for job, loop in both]

    @property
    def cpu_ratios(self) -> list[float]:
        """As ``ratios``, by CPU time; for the reader, no limit is on it."""
        both = zip(self.loop, self.job, strict=True)
        return [(loop[1].cpu - loop[0].cpu) / (job[1].cpu - job[0].cpu) for loop, job in both]

    @property
    def peaks(self) -> list[int]:
        """The most bytes that the job held, over the large run; one a repeat."""
        return [large.peak for _, large in self.job]

    @property
    def held(self) -> bool:
        """Whether the median ratio reaches the limit."""
        return statistics.median(self.ratios) >= self.limit


def run(words: list[str]) -> Measured:
    """Runs a Python process and measures it.

    Raises:
        RuntimeError: if it fails, with the end of what it said.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{output[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu, usage.ru_maxrss * MAXRSS_UNIT, output)


def run_loop(case: Case, file: Path) -> tuple[Measured, list[float]]:
    """Measures the plain loop; gives its MAEs too."""
    with TemporaryDirectory(dir=file.parent) as folder:
        words = [str(file), case.learner, str(case.window_rows), folder]
        measured = run(["-m", "benchmarks.loop", *words])
    return measured, json.loads(measured.output.splitlines()[-1])


def run_job(case: Case, file: Path) -> tuple[Measured, list[float]]:
    """Measures the job, embedded, figures only; gives its MAEs too."""
    schema = file.with_suffix(".toml")
    schema.write_text(data.SCHEMA, encoding="utf-8")
    with TemporaryDirectory(dir=file.parent) as folder:
        words = ["--input", str(file), "--schema", str(schema), "--output", folder]
        words += ["--window", str(case.window_rows // data.RATE), "--learner", case.learner]
        measured = run(["-m", "pipeline", *words, "--predictions", "none"])
        reports = sorted(Path(folder, "metrics").glob("*.json"))
        maes = [json.loads(path.read_bytes())["mae"] for path in reports]
    return measured, maes[1:]


def compare(case: Case, folder: Path) -> None:
    """Measures both sides once, small and large, in turns.

    Raises:
        RuntimeError: if they do not do the same (an MAE differs by more than 1e-9), or if noise
            hid the added work.
    """
    pairs: list[tuple[Measured, Measured]] = []
    for rows in (case.small, case.large):
        file = folder / f"{rows}.parquet"
        if not file.exists():
            data.write(file, rows)
        loop, expected = run_loop(case, file)
        job, found = run_job(case, file)
        if not agree(found, expected):
            raise RuntimeError(f"{case.learner}: the job's MAEs are {found}, the loop's {expected}")
        pairs.append((loop, job))
    for side, (small, large) in zip((case.loop, case.job), zip(*pairs, strict=True), strict=True):
        if large.seconds <= small.seconds:
            raise RuntimeError(f"{case.learner}: noise hid the added work: take more --rows")
        side.append((small, large))


def agree(found: list[float], expected: list[float]) -> bool:
    """Whether two lists of figures are the same to 1e-9."""
    return len(found) == len(expected) and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(found, expected, strict=True)
    )
