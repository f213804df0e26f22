"""``python -m benchmarks.labels``: what it costs that labels are a stream of their own.

The same questions twice: with their targets in the row (figures only, as ``python -m benchmarks``),
and with labels that come up to five refreshes later: 2 % twice, 1 % before their question, 3 %
never. Each side in a process of its own, in turn. What counts is added work, as there, in seconds
and in CPU seconds, and the ratio of the two. ``--wait`` makes questions stay open for more
refreshes. Predictions are written on both sides, for labels need them; ``--predictions none``
leaves them out of the side without labels. Ends with 1 if a share is not reached.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.contenders import Job
from benchmarks.measure import Measured, Pair, run
from benchmarks.showing import machine

SHARES = {"ridge": 0.2, "forest": 0.9}
"""Of the rate without a stream of labels so much must be reached on the embedded runner."""
SIZES = {"ridge": (100_000, 400_000, 2_000_000), "forest": (10_000, 50_000, 200_000)}
"""Rows of a refresh, of the small and of the large file."""
DELAY = 5
"""Maximum number of refreshes from a question to its label."""
LABELS = """\
id = "id"
wait = "{wait}s"
[labels]
id = "id"
target = "y"
time = "known"
"""


Values = npt.NDArray[Any]


class Stream(NamedTuple):
    """Files of the same rows: with their targets, without them, and the labels.

    Attributes:
        whole, questions, labels: the files.
        refresh: rows of a refresh.
    """

    whole: Path
    questions: Path
    labels: Path
    refresh: int

    @classmethod
    def write(cls, folder: Path, rows: int, refresh: int) -> Stream:
        """Writes the files of so many questions, unless they are there."""
        whole, questions, labels = (folder / f"{name}-{rows}.parquet" for name in ("w", "q", "l"))
        stream = cls(whole, questions, labels, refresh)
        if stream.labels.exists():
            return stream
        parts: list[tuple[Values, Values, Values]] = []
        layout = data.rows(0, 0).schema.append(pa.field("id", pa.int64()))
        asked = layout.remove(layout.get_field_index("y"))
        with (
            pq.ParquetWriter(whole, layout) as with_target,
            pq.ParquetWriter(questions, asked) as without,
        ):
            for first in range(0, rows, data.GROUP):
                some = data.rows(first, min(data.GROUP, rows - first))
                some = some.append_column("id", pa.array(np.arange(first, first + len(some))))
                with_target.write_batch(some, row_group_size=data.GROUP)
                without.write_batch(some.drop_columns(["y"]), row_group_size=data.GROUP)
                parts.append(_label(some, refresh))
        found = [np.concatenate(each) for each in zip(*parts, strict=True)]
        order = np.lexsort((found[2], found[0], found[1]))
        names = ("id", "known", "y")
        table = pa.table(dict(zip(names, (each[order] for each in found), strict=True)))
        table = table.set_column(1, "known", table["known"].cast(pa.timestamp("us", "UTC")))
        pq.write_table(table, labels, row_group_size=data.GROUP)
        return stream

    def schemas(self, wait: int) -> tuple[Path, Path]:
        """Writes both schemas: without a stream of labels, and with one.

        Args:
            wait: how many refreshes a question stays open.
        """
        folder = self.whole.parent
        plain, apart = folder / "plain.toml", folder / "labels.toml"
        head, features = data.SCHEMA.split("[features]")
        plain.write_text(f"{head}[features]{features}", encoding="utf-8")
        keys = LABELS.format(wait=wait * self.refresh // data.RATE)
        names, section = keys.split("[labels]")
        text = f"{head}{names}[features]{features}[labels]{section}"
        apart.write_text(text, encoding="utf-8")
        return plain, apart


def _label(rows: pa.RecordBatch, refresh: int) -> tuple[Values, Values, Values]:
    """The labels of some questions: ids, times in microseconds, targets."""
    ids, targets = rows["id"].to_numpy(), rows["y"].to_numpy()
    rng = np.random.default_rng([7, int(ids[0])])
    span = refresh * 1_000_000 // data.RATE
    kind = rng.random(len(ids))
    delay = rng.integers(0, DELAY * span, len(ids))
    delay = np.where(kind < 0.04, -rng.integers(1, span, len(ids)), delay)
    times = np.maximum(rows["time"].cast(pa.int64()).to_numpy() + delay, 0)
    there = np.flatnonzero(kind >= 0.03)
    twice = there[rng.random(len(there)) < 0.02]
    again = times[twice] + rng.integers(0, 2 * span, len(twice))
    return (
        np.concatenate([ids[there], ids[twice]]),
        np.concatenate([times[there], again]),
        np.concatenate([targets[there], targets[twice] + 1_000]),
    )


class Side(NamedTuple):
    """One way to do the work.

    Attributes:
        name: of it.
        argv: of the job.
    """

    name: str
    argv: list[str]


def find_sides(stream: Stream, given: argparse.Namespace) -> tuple[Side, Side]:
    """Without a stream of labels, and with one."""
    plain, apart = stream.schemas(given.wait)
    without = ["--input", str(stream.whole), "--schema", str(plain)]
    without += ["--predictions", given.predictions]
    with_ = ["--input", str(stream.questions), "--labels", str(stream.labels)]
    return Side("without", without), Side("labels", [*with_, "--schema", str(apart)])


def measure(
    side: Side, learner: str, stream: Stream, folder: Path, options: Sequence[str]
) -> Measured:
    """Runs a side and measures it.

    Raises:
        RuntimeError: if it fails, or has not counted all questions.
    """
    with TemporaryDirectory(dir=folder) as output:
        window = str(stream.refresh // data.RATE)
        argv = [*side.argv, "--output", output, "--window", window, "--learner", learner, *options]
        done = run(["-m", "pipeline", *argv])
        reports = [json.loads(p.read_bytes()) for p in Path(output).glob("metrics/*.json")]
        rows = pq.ParquetFile(stream.whole).metadata.num_rows
        if sum(report["rows"] for report in reports) != rows:
            raise RuntimeError(f"{side.name}: not all of {rows:,} questions were counted")
    return done


class Compared(NamedTuple):
    """What was measured with a learner.

    Attributes:
        learner: its name.
        rows: of added work.
        pairs: of each side a small and a large run for each repetition.
    """

    learner: str
    rows: int
    pairs: tuple[list[Pair], list[Pair]]

    def shares(self) -> list[float]:
        """The rate with labels by that without, of each repetition."""
        without, labels = self.pairs
        found = zip(without, labels, strict=True)
        return [one.rate(self.rows) / other.rate(self.rows) for other, one in found]

    def cpu_shares(self) -> list[float]:
        """The same by CPU seconds, which depend less on what else the machine does."""
        without, labels = (
            [pair.large.cpu - pair.small.cpu for pair in pairs] for pairs in self.pairs
        )
        return [other / one for other, one in zip(without, labels, strict=True)]

    @property
    def held(self) -> bool:
        """Whether the median share, by CPU seconds, reaches what is asked."""
        return statistics.median(self.cpu_shares()) >= SHARES[self.learner]


def compare(learner: str, given: argparse.Namespace, folder: Path, tell: Console) -> Compared:
    """Measures both sides in turn, several times."""
    refresh, small, large = SIZES[learner]
    large = given.rows if learner == "ridge" else large
    streams = [Stream.write(folder, rows, refresh) for rows in (small, large)]
    found: tuple[list[Pair], list[Pair]] = ([], [])
    options = ["--runner", given.runner]
    for number in range(given.repeat):
        for place in (0, 1):
            runs = []
            for stream in streams:
                side = find_sides(stream, given)[place]
                runs.append(measure(side, learner, stream, folder, options))
            found[place].append(Pair(*runs))
            last = found[place][-1].large
            tell.print(
                f"  {number + 1}: {learner}: {side.name}: {last.seconds:.1f} s, "
                f"CPU {last.cpu:.1f} s, peak {last.peak / (1 << 30):.2f} GiB"
            )
    return Compared(learner, large - small, found)


def make_table(compared: Sequence[Compared], wait: int) -> Table:
    """All figures as a table."""
    table = Table(title=f"labels of their own, a wait of {wait} refreshes")
    for name in ("learner", "without, rows/s", "labels, rows/s", "share", "by CPU", "asked"):
        table.add_column(name, justify="left" if name == "learner" else "right")
    table.add_column("peak GiB", justify="right")
    for one in compared:
        rates = [statistics.median(p.rate(one.rows) for p in pairs) for pairs in one.pairs]
        shares = [statistics.median(found) for found in (one.shares(), one.cpu_shares())]
        peak = max(pair.large.peak for pair in one.pairs[1]) / (1 << 30)
        table.add_row(
            one.learner,
            *(f"{rate:,.0f}" for rate in rates),
            *(f"{share:.2f}" for share in shares),
            *(f"{SHARES[one.learner]:g}", f"{peak:.2f}"),
        )
    return table


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=__doc__)
    parser.add_argument("learners", nargs="*", default=list(SHARES), help="only those (all)")
    parser.add_argument("--rows", type=int, default=SIZES["ridge"][2], help="of the ridge's file")
    parser.add_argument("--wait", type=int, default=DELAY, metavar="N", help="in refreshes (5)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured (3)")
    outputs = ("parquet", "none")
    parser.add_argument("--predictions", choices=outputs, default="parquet", help="without labels")
    parser.add_argument("--runner", choices=("direct", "prism", "flink"), default="direct")
    given = parser.parse_args(argv)
    unknown = set(given.learners) - set(SHARES)
    if unknown or given.rows < 1_000_000 or given.repeat < 1 or given.wait < DELAY:
        parser.error(
            f"learners are {' and '.join(SHARES)}; --rows must be >= 1000000, --repeat >= 1 and "
            f"--wait >= {DELAY}"
        )
    return given


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    given = parse_arguments(argv)
    out = Console() if sys.stdout.isatty() else Console(width=110)
    out.print(machine())
    missing = Job(given.runner).missing
    if missing:
        out.print(f"{given.runner}: {missing} brings it")
        return 1
    with TemporaryDirectory(prefix="labels-") as name:
        compared = []
        for learner in given.learners:
            folder = Path(name, learner)
            folder.mkdir()
            compared.append(compare(learner, given, folder, out))
    out.print(make_table(compared, given.wait))
    wrong = [one.learner for one in compared if given.runner == "direct" and not one.held]
    for learner in wrong:
        out.print(f"not reached: {learner}: {SHARES[learner]:g} of the rate without labels")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
