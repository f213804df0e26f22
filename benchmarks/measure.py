"""Measurements: each in a process of its own, so that memory and caches are apart."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
LONGEST = 600.0
"""Seconds; what runs longer has failed."""


class Measured(NamedTuple):
    """A process that ran.

    Attributes:
        seconds: from start to end.
        cpu: seconds of all cores, without what other services did for it.
        peak: the most bytes that it held.
        output: what it printed.
    """

    seconds: float
    cpu: float
    peak: int
    output: str


class Pair(NamedTuple):
    """The same work on a small and on a large file: what the large one takes more is added work."""

    small: Measured
    large: Measured

    def rate(self, rows: int) -> float:
        """Rows per second of so many rows of added work.

        Raises:
            RuntimeError: if noise hid the added work.
        """
        seconds = self.large.seconds - self.small.seconds
        if seconds <= 0:
            raise RuntimeError(f"noise hid the added work of {rows:,} rows: take more")
        return rows / seconds

    def startup(self, small: int, large: int) -> float:
        """Seconds of the small run that are not its rows at the rate of the added work."""
        return self.small.seconds - small / self.rate(large - small)


def run(argv: list[str], python: Path | str = sys.executable) -> Measured:
    """Runs a Python process and measures it.

    Raises:
        RuntimeError: if it fails or takes too long, with the end of what it said.
    """
    began = time.perf_counter()
    timed = ["timeout", "--signal=INT", str(LONGEST), str(python), *argv]
    with subprocess.Popen(
        timed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} failed ({process.returncode}):\n{output[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu, usage.ru_maxrss * MAXRSS_UNIT, output)
