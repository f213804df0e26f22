"""``python -m benchmarks.class_rates``: the job with classes beside a plain loop.

Both read the same Parquet file (as ``python -m benchmarks``, with a class in the place of the
number), predict the probabilities of each window by the model of the one before, take the figures,
fit, and write the models, in turns, each in a process of its own; the log losses must be the same.
What counts is added work: the large file's time less the small one's, by the clock and in CPU
seconds. The loop has no trial (``--gate``), so the limits are for the job without one; with it
(``--gate auto``, the default) is shown beside. Ends with 1 if a limit is not held.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.measure import Measured, Pair, run
from benchmarks.showing import machine

SHARES = {"forest": 0.9, "logistic": 0.5}
"""Of the loop's rate so much must be reached on the embedded runner."""
SIZES = {"forest": (10_000, 50_000, 200_000), "logistic": (100_000, 1_000_000, 5_000_000)}
"""Rows of a window, of the small and of the large file."""
SCHEMA = data.SCHEMA.replace("[features]", 'task = "classification"\n[features]')


def write(path: Path, count: int, classes: int, text: bool) -> None:
    """Writes rows whose classes are equal parts of the range of the number that ``data`` has."""
    edges = np.linspace(-3, 3, classes + 1)[1:-1]
    kind = pa.string() if text else pa.int64()
    layout = data.rows(0, 0).schema
    layout = layout.set(layout.get_field_index("y"), pa.field("y", kind))
    names = pa.array([f"class {place}" for place in range(classes)])
    with pq.ParquetWriter(path, layout) as writer:
        for first in range(0, count, data.GROUP):
            rows = data.rows(first, min(data.GROUP, count - first))
            places = pa.array(np.searchsorted(edges, rows["y"].to_numpy()))
            target = names.take(places) if text else places
            rows = rows.set_column(rows.schema.get_field_index("y"), layout.field("y"), target)
            writer.write_batch(rows, row_group_size=data.GROUP)


class Side(NamedTuple):
    """One way to do the work.

    Attributes:
        name: of it.
        gate: of the job; None: it is the plain loop.
    """

    name: str
    gate: str | None = None


SIDES = (Side("plain loop"), Side("job, gate none", "none"), Side("job, gate auto", "auto"))


def measure(
    side: Side, learner: str, file: Path, runner: str, losses: dict[Path, list[float]]
) -> Measured:
    """Runs a side on a file.

    Args:
        side: which.
        learner: of both.
        file: the rows.
        runner: of the job.
        losses: the loop's log losses by file: filled in by it.

    Raises:
        RuntimeError: if it fails, or has other log losses than the loop.
    """
    window = SIZES[learner][0]
    with TemporaryDirectory(dir=file.parent) as output:
        if side.gate is None:
            done = run(["-m", "benchmarks.class_loop", str(file), learner, str(window), output])
            losses[file] = json.loads(done.output.splitlines()[-1])
            return done
        schema = file.with_suffix(".toml")
        schema.write_text(SCHEMA, encoding="utf-8")
        argv = ["--input", str(file), "--schema", str(schema), "--output", output]
        argv += ["--window", str(window // data.RATE), "--learner", learner, "--gate", side.gate]
        done = run(["-m", "pipeline", *argv, "--predictions", "none", "--runner", runner])
        reports = [json.loads(p.read_bytes()) for p in sorted(Path(output).glob("metrics/*.json"))]
    found, wanted = [report["log_loss"] for report in reports[1:]], losses[file]
    same = len(found) == len(wanted) and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(found, wanted, strict=True)
    )
    if not same:
        raise RuntimeError(f"{side.name}: log losses {found[:4]}, the plain loop's {wanted[:4]}")
    return done


class Compared(NamedTuple):
    """What was measured with a learner.

    Attributes:
        learner: its name.
        pairs: of each side a small and a large run for each repetition.
    """

    learner: str
    pairs: dict[Side, list[Pair]]

    def shares(self, side: Side) -> list[float]:
        """The side's rate by that of the loop, of each repetition."""
        return self._divide([pair.large.seconds - pair.small.seconds for pair in self.pairs[side]])

    def cpu_shares(self, side: Side) -> list[float]:
        """The same by CPU seconds, which depend less on what else the machine does."""
        return self._divide([pair.large.cpu - pair.small.cpu for pair in self.pairs[side]], True)

    def _divide(self, mine: list[float], cpu: bool = False) -> list[float]:
        loop = [
            large.cpu - small.cpu if cpu else large.seconds - small.seconds
            for small, large in self.pairs[SIDES[0]]
        ]
        return [other / one for other, one in zip(loop, mine, strict=True)]

    @property
    def held(self) -> bool:
        """Whether the median share without a trial, by CPU seconds, reaches what is asked."""
        return statistics.median(self.cpu_shares(SIDES[1])) >= SHARES[self.learner]


def compare(learner: str, given: argparse.Namespace, folder: Path, out: Console) -> Compared:
    """Measures all sides in turn, several times."""
    _, *sizes = SIZES[learner]
    files = [folder / f"{learner}-{rows}.parquet" for rows in sizes]
    for file, rows in zip(files, sizes, strict=True):
        write(file, rows, given.classes, given.target == "text")
    losses: dict[Path, list[float]] = {}
    pairs: dict[Side, list[Pair]] = {side: [] for side in SIDES}
    for number in range(given.repeat):
        for side in SIDES:
            pair = Pair(*(measure(side, learner, f, given.runner, losses) for f in files))
            pairs[side].append(pair)
            out.print(
                f"  {number + 1}: {learner}: {side.name}: added "
                f"{pair.large.seconds - pair.small.seconds:.1f} s, "
                f"CPU {pair.large.cpu - pair.small.cpu:.1f} s"
            )
    return Compared(learner, pairs)


def make_table(compared: Sequence[Compared], classes: int) -> Table:
    """All figures as a table."""
    table = Table(title=f"{classes} classes: rates of added work by the plain loop's, medians")
    for name in ("learner", "side", "rows/s", "of the loop", "by CPU", "asked", "peak GiB"):
        table.add_column(name, justify="left" if name in ("learner", "side") else "right")
    for one in compared:
        _, small, large = SIZES[one.learner]
        for side, pairs in one.pairs.items():
            table.add_row(
                one.learner,
                side.name,
                f"{statistics.median(pair.rate(large - small) for pair in pairs):,.0f}",
                f"{statistics.median(one.shares(side)):.2f}",
                f"{statistics.median(one.cpu_shares(side)):.2f}",
                f"{SHARES[one.learner]:g}" if side == SIDES[1] else "",
                f"{max(pair.large.peak for pair in pairs) / (1 << 30):.2f}",
            )
    return table


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.class_rates", description=__doc__)
    parser.add_argument("learners", nargs="*", default=list(SHARES), help="only those (all)")
    parser.add_argument("--classes", type=int, default=2, help="how many there are (2)")
    parser.add_argument(
        "--target",
        choices=("integer", "text"),
        default="integer",
        help="what classes are (integer: scikit-learn takes longer for text)",
    )
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--runner", choices=("direct", "prism", "flink"), default="direct")
    given = parser.parse_args(argv)
    if set(given.learners) - set(SHARES) or given.classes < 2 or given.repeat < 1:
        parser.error(f"learners are {' and '.join(SHARES)}; --classes must be >= 2, --repeat >= 1")
    return given


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    given = parse_arguments(argv)
    out = Console() if sys.stdout.isatty() else Console(width=110)
    out.print(machine())
    with TemporaryDirectory(prefix="classes-") as folder:
        compared = [compare(one, given, Path(folder), out) for one in given.learners]
    out.print(make_table(compared, given.classes))
    wrong = [one.learner for one in compared if given.runner == "direct" and not one.held]
    for learner in wrong:
        out.print(f"not reached: {learner}: {SHARES[learner]:g} of the plain loop's rate")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
