"""``python -m benchmarks.soak``: the job live for minutes on each runner; is all of it steady?

It runs ``python -m pipeline --live`` in a process of its own, from the next edge of a window on,
looks at it once a second, and judges in the end: is the memory of its processes flat, and on Flink
the size of its checkpoints; how long after a window's end is its model committed (less the fit),
and how long after a serve window's end are its rows scored; is each row that people make in that
span predicted exactly once, by the model that the as-of rule says. Rows and models are computed
here, by rate and time, and looked for in the files; the job's own counters count for nothing.

Options that it does not know are the job's. Ctrl-C lets the job finish its refresh, and judges what
there is; again, and the job is cancelled. Ends with 1 if a bound is not held.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from scipy.stats import theilslopes

from benchmarks.showing import verdict
from model.asof import floor_to, format_iso, format_name
from model.batch import SECOND
from pipeline.progress import DELAYS, SETTLED, percentiles
from pipeline.runners.cluster import Cluster, Job, Unreachable
from pipeline.runners.flink import PAGE, job_name

BEHIND = {"prism": 1.0, "flink": 3.0}
"""Seconds that the 95th percentile of a delay may have."""
GROWTH = 0.1
"""What is flat is not shown to grow in ten minutes by more than this share of its level."""
BLOCK = 30.0
"""Growth is that of the medians of so many seconds: windows fill and empty meanwhile."""
LEAK = "source's part (apache/beam#27648)"
"""What Beam's Flink runner keeps of each pause of a source; told, no bound can be held on it."""
LEAST = 4
"""Of fewer medians nothing is told of growth."""
TOLD = 10.0
"""Seconds between two lines of progress."""
MIB = 1 << 20
Series = list[tuple[float, float]]
"""When, in seconds since the epoch, and what."""


class Plan(NamedTuple):
    """What people make in a soak, by rate and time alone.

    Attributes:
        start: event time of row 0, on an edge of windows; microseconds.
        rate: rows per second.
        window: seconds; each is one refresh.
        refreshes: how many.
    """

    start: int
    rate: Fraction
    window: int
    refreshes: int

    def edge(self, number: int) -> int:
        """Where a refresh starts, microseconds; that of ``refreshes`` is the end."""
        return self.start + number * self.window * SECOND

    def rows(self, number: int) -> int:
        """How many rows come before a refresh: the id of its first row."""
        return math.ceil((self.edge(number) - self.start) * self.rate / SECOND)


class Checkpoint(NamedTuple):
    """A checkpoint of Flink's.

    Attributes:
        at: when it began, seconds since the epoch.
        size: MiB.
        seconds: how long it took.
        source: MiB of the source's part in it.
    """

    at: float
    size: float
    seconds: float
    source: float


@dataclass
class Seen:
    """What was seen of a job while it ran.

    Attributes:
        began: when rows began to come, seconds since the epoch.
        memory: MiB by process: ``workers`` (the launcher, whose threads they are), ...
        checkpoints: of each, by its number: when, MiB and seconds, and MiB of the source's part.
        restarts: how often Flink restarted the job.
        busy: how busy all cores were, percent, whoever kept them so.
        interrupted: whether Ctrl-C ended it.
        code: its exit code.
    """

    began: float
    memory: dict[str, Series] = field(default_factory=lambda: defaultdict(list))
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    restarts: int = 0
    busy: list[float] = field(default_factory=list)
    interrupted: bool = False
    code: int = 0


class Check(NamedTuple):
    """One thing that was measured, and whether its bound is held; None: it has none."""

    what: str
    figure: Any
    shown: str
    bound: str = ""
    held: bool | None = None


class Soak:
    """One job on one runner, for some minutes.

    Attributes:
        runner: ``prism`` or ``flink``.
        plan: what people make meanwhile.
        folder: the run's.
        out: where progress is told.
    """

    def __init__(self, runner: str, plan: Plan, folder: Path, out: Console) -> None:
        self.runner = runner
        self.plan = plan
        self.folder = folder
        self.out = out
        self.seen = Seen(plan.start / SECOND)

    @property
    def log(self) -> Path:
        """What the job said."""
        return self.folder.with_suffix(".log")

    def run(self, argv: Sequence[str]) -> None:
        """Runs the job to its end, with further options, and looks at it meanwhile."""
        plan = self.plan
        options = {
            "--runner": self.runner,
            "--rate": str(float(plan.rate)),
            "--window": str(plan.window),
            "--refreshes": str(plan.refreshes),
            "--start": format_iso(plan.start),
            "--output": str(self.folder),
        }
        command = [sys.executable, "-m", "pipeline", "--live", "--learner", "ridge"]
        command += ["--latency", "1", "--keep", "0", "--on-interrupt", "drain"]
        command += [word for pair in options.items() for word in pair] + list(argv)
        with (
            self.log.open("w", encoding="utf-8") as log,
            # a session of its own: Ctrl-C reaches it through us, once
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) as process,
        ):
            watched = Watched(psutil.Process(process.pid), self)
            result = time.monotonic()
            while process.poll() is None:
                try:
                    watched.look()
                    if time.monotonic() >= result + TOLD:
                        result = time.monotonic()
                        self.out.print(self.line(), soft_wrap=True)
                    time.sleep(1 - time.time() % 1)
                except KeyboardInterrupt:
                    self.seen.interrupted = True
                    process.send_signal(signal.SIGINT)
            self.seen.code = process.returncode

    def line(self) -> str:
        """A line of progress."""
        seen = self.seen
        parts = [f"{name} {series[-1][1]:,.0f} MiB" for name, series in seen.memory.items()]
        if seen.checkpoints:
            last = seen.checkpoints[max(seen.checkpoints)]
            parts.append(f"checkpoint {last.size:.2f} MiB in {last.seconds:.1f} s")
        result = self.status()
        parts.append(f"{result.get('rows_read', 0):,} rows read")
        for name, figures in result.get("delays", {}).items():
            parts.append(f"{name} p95 {figures['p95']:.2f} s")
        if seen.restarts:
            parts.append(f"restarts {seen.restarts}")
        return f"{self.runner} {time.time() - seen.began:5.0f} s  " + ", ".join(parts)

    def status(self) -> dict[str, Any]:
        """The run's status.json."""
        path = self.folder / "status.json"
        body: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return body

    def checks(self) -> list[Check]:
        """All that is judged, in the order of the table."""
        return [
            self._check_end(),
            *self._rows(),
            *self._delays(),
            *self._growths(),
            *self._check_log(),
        ]

    def done(self) -> int:
        """How many refreshes have a report, counted from the first to before the first gap."""
        for number in range(self.plan.refreshes):
            if not (
                self.folder / "metrics" / f"{format_name(self.plan.edge(number))}.json"
            ).exists():
                return number
        return self.plan.refreshes

    def _check_end(self) -> Check:
        done, code = self.done(), self.seen.code
        reports = len(list(self.folder.glob("metrics/*.json")))
        whole = self.seen.interrupted or (done == self.plan.refreshes and code == 0)
        shown = f"{done} of {self.plan.refreshes}"
        shown += " (interrupted)" if self.seen.interrupted else f", exit code {code}"
        return Check("refreshes reported", done, shown, "all, 0", whole and reports == done > 0)

    def _rows(self) -> Iterator[Check]:
        """Rows in = rows out, and each by the model of the as-of rule."""
        plan, done = self.plan, self.done()
        ends = [plan.edge(number + 1) for number in range(plan.refreshes)]
        paths = {end: self.folder / "models" / format_name(end) / "manifest.json" for end in ends}
        models = {end: json.loads(p.read_bytes()) for end, p in paths.items() if p.exists()}
        reported, wrong, astray = 0, 0, 0
        for number in range(done):
            refresh = format_name(plan.edge(number))
            report = json.loads((self.folder / "metrics" / f"{refresh}.json").read_bytes())
            model = max((end for end in models if end <= plan.edge(number)), default=None)
            name = None if model is None else format_name(model)
            reported += report["rows"] if report["model"] == name else 0
            rows = pq.read_table(self.folder / "predictions" / refresh)
            expected = np.arange(plan.rows(number), plan.rows(number + 1))
            found, times = np.unique(rows["id"].to_numpy(), return_counts=True)
            wrong += len(np.setxor1d(found, expected)) + int((times - 1).sum())
            unscored = rows["prediction"].null_count
            astray += rows.num_rows - rows["model"].to_pylist().count(name)
            astray += unscored if name else rows.num_rows - unscored
        made = plan.rows(done)
        yield Check("rows made", made, f"{made:,}")
        yield Check("rows in reports", reported, f"{reported:,}", f"{made:,}", reported == made)
        yield Check("rows lost, twice or strange", wrong, f"{wrong:,}", "0", wrong == 0)
        yield Check("rows not by the as-of model", astray, f"{astray:,}", "0", astray == 0)
        trained = sum(models[end]["rows"] for end in ends[:done] if end in models)
        yield Check("rows trained on", trained, f"{trained:,}", f"{made:,}", trained == made)

    def _delays(self) -> Iterator[Check]:
        bound = BEHIND[self.runner]
        commits, fits = self._commits()
        observed = self.status().get("delays", {})
        delays = {"committed behind, less the fit": commits}
        delays |= {name: observed.get(name, {}) for name in DELAYS}
        short = self.done() * self.plan.window <= SETTLED
        for name, result in delays.items():
            held = None if short else bool(result) and result["p95"] <= bound
            shown = "too short to tell" if short else spread(result)
            yield Check(f"{name}, s", result, shown, f"p95 <= {bound:g}", held)
        yield Check("fit, s", fits, spread(fits))

    def _commits(self) -> tuple[dict[str, float], dict[str, float]]:
        """How long after its window's end each model was committed, less its fit; and the fit."""
        behind, fits = [], []
        for path in self.folder.glob("timing/*.json"):
            body = json.loads(path.read_bytes())
            end = seconds_of(body["window_end"])
            if end >= self.seen.began + SETTLED:
                behind.append(seconds_of(body["committed"]) - end - body["fit_seconds"])
                fits.append(body["fit_seconds"])
        return (percentiles(behind), percentiles(fits)) if behind else ({}, {})

    def _growths(self) -> Iterator[Check]:
        kept = self.seen.checkpoints.values()
        sizes = {
            "checkpoint, but for the source's part": [(c.at, c.size - c.source) for c in kept],
            LEAK: [(c.at, c.source) for c in kept],
        }
        span = self.plan.refreshes * self.plan.window
        settled = self.seen.began + max(SETTLED, span / 3)
        over = self.seen.began + span  # then all is torn down
        for name, series in (self.seen.memory | sizes).items():
            judged = [(at, value) for at, value in series if settled <= at <= over]
            if series:
                judgement = growth(name, calm(judged, settled))
                yield judgement._replace(bound="", held=None) if name == LEAK else judgement

    def _check_log(self) -> Iterator[Check]:
        seen = self.seen
        if seen.checkpoints:
            took = percentiles([one.seconds for one in seen.checkpoints.values()])
            yield Check("checkpoint took, s", took, spread(took))
            yield Check("restarts by Flink", seen.restarts, f"{seen.restarts}")
        busy = float(np.median(seen.busy))
        yield Check("all cores busy, median %", busy, f"{busy:.0f}")


class Watched:
    """The processes of a soak's job, and the job as Flink shows it."""

    def __init__(self, launcher: psutil.Process, soak: Soak) -> None:
        self.launcher = launcher
        self.soak = soak
        self.seen = soak.seen
        self.job: Job | None = None
        self.managers = task_managers() if soak.runner == "flink" else []
        psutil.cpu_percent()

    def look(self) -> None:
        """Notes how it stands."""
        with suppress(psutil.NoSuchProcess):  # it has just ended
            self._note("workers", [self.launcher])
            self._note("prism", self.launcher.children(recursive=True))
            self._note("TaskManager", self.managers)
        self.seen.busy.append(psutil.cpu_percent())
        if self.soak.runner == "flink":
            with suppress(Unreachable):
                self._look_at_flink(Cluster(PAGE))

    def _note(self, name: str, processes: list[psutil.Process]) -> None:
        held = sum(process.memory_info().rss for process in processes)
        if held:
            self.seen.memory[name].append((time.time(), held / MIB))

    def _look_at_flink(self, cluster: Cluster) -> None:
        for manager in cluster.get("/taskmanagers")["taskmanagers"]:
            names = ",".join(f"Status.JVM.Memory.{part}" for part in HEAP)
            result = cluster.get(f"/taskmanagers/{manager['id']}/metrics?get={names}")
            used = sum(float(one["value"]) for one in result) / MIB
            self.seen.memory["TaskManager in use"].append((time.time(), used))
        if self.job is None:
            jobs = cluster.jobs(job_name(str(self.soak.folder)))
            self.job = jobs[-1] if jobs else None
        if self.job is None:
            return
        self.seen.restarts = self.job.restarts()
        for one in self.job.checkpoints()["history"]:
            if one["status"] == "COMPLETED" and one["id"] not in self.seen.checkpoints:
                source = source_bytes(self.job, one["id"])
                self.seen.checkpoints[one["id"]] = Checkpoint(
                    one["trigger_timestamp"] / 1000,
                    one["state_size"] / MIB,
                    one["end_to_end_duration"] / 1000,
                    source / MIB,
                )


def source_bytes(job: Job, checkpoint: int) -> int:
    """The bytes of a checkpoint that are the state of the step that plans what is read."""
    path = f"/jobs/{job.id}"
    steps = {one["id"] for one in job.cluster.get(path)["vertices"] if "Plan" in one["name"]}
    tasks = job.cluster.get(f"{path}/checkpoints/details/{checkpoint}")["tasks"]
    return sum(int(one["state_size"]) for step, one in tasks.items() if step in steps)


HEAP = ("Heap.Used", "NonHeap.Used", "Direct.MemoryUsed")


def task_managers() -> list[psutil.Process]:
    """The TaskManagers of this machine."""
    every = psutil.process_iter(["cmdline"])
    return [
        one for one in every if any("TaskManagerRunner" in w for w in one.info["cmdline"] or [])
    ]


def seconds_of(time: str) -> float:
    """An ISO 8601 time as seconds since the epoch."""
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def spread(result: dict[str, float]) -> str:
    """Percentiles as text; ``-`` for none."""
    if not result:
        return "-"
    values = " / ".join(f"{result[key]:.2f}" for key in ("p50", "p95", "p99", "max"))
    return f"{values} (of {result['count']:,})"


def calm(series: Series, since: float) -> Series:
    """The median of each half minute from a time on, where it begins."""
    blocks = defaultdict(list)
    for at, value in series:
        blocks[floor_to(round(at - since), round(BLOCK))].append(value)
    return [(since + at, float(np.median(values))) for at, values in sorted(blocks.items())]


def growth(name: str, medians: Series) -> Check:
    """Whether a series is flat: the median of all slopes between two of its medians.

    The bound is broken if the least slope that 95 % of confidence allow is above it.
    """
    if len(medians) < LEAST:
        return Check(f"{name}, MiB", None, "too short to tell of growth")
    times, values = np.array(medians).T
    level = float(np.median(values))
    slope, _, least, most = (float(figure) for figure in theilslopes(values, times))
    share, low, high = (600 * figure / level for figure in (slope, least, most))
    figure = {"share_in_ten_minutes": share, "least": low, "most": high, "medians": values.tolist()}
    shown = f"{level:,.1f}, {share:+.0%} in ten minutes ({low:+.0%} to {high:+.0%})"
    return Check(f"{name}, MiB", figure, shown, f"<= +{GROWTH:.0%}", low <= GROWTH)


def arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """The command line's; what it does not know is the job's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long, on each runner")
    parser.add_argument("--runner", choices=list(BEHIND), action="append", help="(both)")
    parser.add_argument("--rate", type=float, default=20_000, help="rows per second")
    parser.add_argument("--window", type=int, default=10, help="seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there too")
    given, others = parser.parse_known_args(argv)
    if given.minutes <= 0 or given.rate <= 0 or given.window < 1:
        parser.error("--minutes, --rate and --window: above 0 is allowed")
    return given, others


def make_plan(given: argparse.Namespace) -> Plan:
    """A soak from the next edge of a window on, with some seconds to start in."""
    length = given.window * SECOND
    start = floor_to(time.time_ns() // 1000 + 5 * SECOND, length) + length
    refreshes = math.ceil(given.minutes * 60 / given.window)
    return Plan(start, Fraction(str(given.rate)), given.window, refreshes)


def make_table(runner: str, checks: list[Check]) -> Table:
    """A runner's checks as a table."""
    title = f"{runner}: delays are p50 / p95 / p99 / max, after the first minute"
    table = Table("measured", "value", "bound", "", title=title)
    for check in checks:
        held = "" if check.held is None else verdict(check.held)
        table.add_row(check.what, check.shown, check.bound, held)
    return table


def to_dict(given: argparse.Namespace, judged: dict[str, list[Check]]) -> dict[str, Any]:
    """All figures for the JSON file."""
    machine = {"cores": os.cpu_count(), "cpu": platform.machine(), "python": sys.version.split()[0]}
    asked = {"minutes": given.minutes, "rate": given.rate, "window": given.window}
    figures = {
        runner: {check.what: {"figure": check.figure, "held": check.held} for check in checks}
        for runner, checks in judged.items()
    }
    return {"format": 1, "machine": machine, **asked, **figures}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs, judges, prints, and gives the exit code: 0 if every bound is held, else 1."""
    given, others = arguments(argv)
    out = Console() if sys.stdout.isatty() else Console(width=110)
    base = Path(tempfile.mkdtemp(prefix="soak-"))
    judged: dict[str, list[Check]] = {}
    for runner in given.runner or BEHIND:
        soak = Soak(runner, make_plan(given), base / runner, out)
        out.print(f"{runner}: {soak.plan.refreshes} windows from {format_iso(soak.plan.start)} on")
        soak.run(others)
        judged[runner] = soak.checks()
        out.print(make_table(runner, judged[runner]))
        if soak.seen.interrupted:
            break
    if given.json:
        text = json.dumps(to_dict(given, judged), indent=2) + "\n"
        given.json.write_text(text, encoding="utf-8")
    held = all(check.held is not False for checks in judged.values() for check in checks)
    if held:
        shutil.rmtree(base)
    else:
        out.print(f"the runs and what they said stay in {base}", soft_wrap=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
