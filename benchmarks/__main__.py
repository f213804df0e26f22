"""``python -m benchmarks``: the job on each runner beside a plain loop and its peers, in one run.

All read the same Parquet files (row groups of 131,072 rows, 1,000 rows a second of event time), in
processes of their own, in turns. What counts is added work: the time of the large file less that of
the small one, so that start-up is apart; and its ratio to that of the plain loop beside it. Whoever
is missing here is told, with the command that brings it. Ends with 1 if a limit is not held.

``--check FILE`` measures the job on the embedded runner alone, and fails if a ratio has fallen by
more than a third against those of that file (``benchmarks/recorded.json``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.contest import FOREST, RIDGE, Contest, Entry, entries, times
from benchmarks.showing import figures, machine, picture, table, verdict

MEMORY = 4 << 30
"""The job may hold so many bytes over the large ridge run, embedded."""
FALL = 2 / 3
"""A ratio may fall to so much of the recorded one."""


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="only who has such a word in the name (all)")
    parser.add_argument("--rows", type=int, default=RIDGE.large, help="of the large ridge file")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there")
    parser.add_argument("--picture", type=Path, metavar="SVG", help="draws them there")
    parser.add_argument("--check", type=Path, metavar="FILE", help="see above")
    given = parser.parse_args(argv)
    if given.rows < 4_000_000 or given.repeat < 1:
        parser.error("--rows from 4000000 and --repeat from 1 are allowed")
    if given.check is not None:
        given.names = ["direct"]
    return given


def contest(given: argparse.Namespace, folder: Path, out: Console) -> list[Entry]:
    """Measures; who is missing is told and left out."""
    ridge = RIDGE._replace(small=given.rows // 5, large=given.rows)
    chosen = []
    for entry in entries(ridge, FOREST, given.names):
        if entry.contender.missing is None:
            chosen.append(entry)
        else:
            name = f"{entry.work.learner}: {entry.contender.name}"
            out.print(f"skipped: {name}: {entry.contender.missing} brings it")
    running = Contest(chosen, folder, lambda line: out.print(f"  {line}", soft_wrap=True))
    for number in range(given.repeat):
        out.print(f"repetition {number + 1} of {given.repeat}")
        running.repeat(number)
    return chosen


def unheld(measured: list[Entry]) -> list[str]:
    """The limits that are not held, in words."""
    found = [
        f"{one.work.learner}: {one.contender.name}: {statistics.median(one.ratios):.2f} of the loop"
        for one in measured
        if one.held is False
    ]
    for learner, name, factor, asked in times(measured):
        if factor < asked:
            found.append(f"{learner}: {factor:.3g} times {name}, not {asked:g}")
    peaks = [e.peak for e in measured if e.contender.name.endswith("direct")]
    if peaks and max(peaks) > MEMORY:
        found.append(f"the embedded runner held {max(peaks) / (1 << 30):.1f} GiB")
    return found


def fallen(measured: list[Entry], recorded: dict[str, Any]) -> list[str]:
    """The ratios that have fallen too far, in words.

    Args:
        measured: now.
        recorded: what ``--json`` wrote before.
    """
    before = {
        (e["learner"], e["name"]): statistics.median(e["ratios"]) for e in recorded["entries"]
    }
    found = []
    for one in measured[2:]:
        now = statistics.median(one.ratios)
        then = before.get((one.work.learner, one.contender.name), 0.0)
        if now < FALL * then:
            name = f"{one.work.learner}: {one.contender.name}"
            found.append(f"{name}: {now:.2f} of the loop, it was {then:.2f}")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    given = arguments(argv)
    out = Console() if sys.stdout.isatty() else Console(width=150)
    out.print(machine())
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        measured = contest(given, Path(folder), out)
    out.print(table(measured))
    if given.json:
        given.json.write_text(json.dumps(figures(measured), indent=2) + "\n", encoding="utf-8")
    if given.picture:
        given.picture.write_text(picture(measured), encoding="utf-8")
    wrong = unheld(measured)
    if given.check is not None:
        recorded = json.loads(given.check.read_text(encoding="utf-8"))
        wrong = fallen(measured, recorded)
        if wrong and recorded["machine"] != machine():
            # The loop gains more than the job by a machine with faster cores.
            out.print(f"recorded on another machine: {recorded['machine']}", soft_wrap=True)
    for line in wrong:
        out.print(f"{verdict(False)}: {line}", soft_wrap=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
