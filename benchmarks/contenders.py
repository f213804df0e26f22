"""Who does the work: the plain loop, the job on each runner, and the peers."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from typing_extensions import override

from benchmarks import data, peers
from benchmarks.measure import Measured, run
from benchmarks.peers import run as peer_runs
from pipeline.runners import flink
from pipeline.runners.cluster import Cluster, Unreachable
from pipeline.runners.prism import find_prism


class Work(NamedTuple):
    """What is done.

    Attributes:
        learner: ``ridge`` or ``forest``.
        window: rows of a window.
        small, large: rows of the two files.
    """

    learner: str
    window: int
    small: int
    large: int


class Done(NamedTuple):
    """What a contender did.

    Attributes:
        measured: its process.
        folder: what it wrote.
    """

    measured: Measured
    folder: Path


class Contender(ABC):
    """Someone who does the work."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called."""

    @property
    def missing(self) -> str | None:
        """The command that brings what it lacks here; None: nothing is lacking."""
        return None

    @property
    def warms_up(self) -> bool:
        """Whether it is slow at first: then it does the small work once before it is measured."""
        return False

    @abstractmethod
    def run(self, work: Work, file: Path, folder: Path) -> Measured:
        """Does the work on a file, into an empty folder."""

    def check(self, work: Work, rows: int, done: Done, maes: list[float]) -> None:
        """Compares what it did with the plain loop's MAEs of all windows but the first.

        Raises:
            RuntimeError: if it did something else.
        """
        return None


class Loop(Contender):
    """The plain loop: the limit that all are measured by."""

    @property
    @override
    def name(self) -> str:
        return "plain loop"

    @override
    def run(self, work: Work, file: Path, folder: Path) -> Measured:
        argv = [str(file), work.learner, str(work.window), str(folder)]
        return run(["-m", "benchmarks.loop", *argv])


@dataclass(frozen=True)
class Job(Contender):
    """The job on a runner, figures only.

    Attributes:
        runner: where it runs.
        gate: which models serve. The loop has no gate, so the work that is compared with its own
            has none.
    """

    runner: str
    gate: str = "none"

    @property
    @override
    def name(self) -> str:
        return f"Correnteza, {self.runner}" + ("" if self.gate == "none" else ", with the gate")

    @property
    @override
    def warms_up(self) -> bool:
        return self.runner == "flink"

    @override
    def run(self, work: Work, file: Path, folder: Path) -> Measured:
        schema = file.with_suffix(".toml")
        schema.write_text(data.SCHEMA, encoding="utf-8")
        argv = ["--input", str(file), "--schema", str(schema), "--output", str(folder)]
        argv += ["--window", str(work.window // data.RATE), "--learner", work.learner]
        argv += ["--gate", self.gate]
        return run(["-m", "pipeline", *argv, "--predictions", "none", "--runner", self.runner])

    @override
    def check(self, work: Work, rows: int, done: Done, maes: list[float]) -> None:
        reports = [json.loads(p.read_bytes()) for p in sorted(done.folder.glob("metrics/*.json"))]
        found = [report["mae"] for report in reports[1:]]
        same = len(found) == len(maes) and all(
            math.isclose(a, b, rel_tol=1e-9) for a, b in zip(found, maes, strict=True)
        )
        if not same or sum(report["rows"] for report in reports) != rows:
            raise RuntimeError(f"{self.name}: MAEs {found[:4]}..., the plain loop's {maes[:4]}...")

    @property
    @override
    def missing(self) -> str | None:
        if self.runner == "prism" and find_prism() is None:
            return "make prism"
        if self.runner == "flink":
            try:
                Cluster(flink.PAGE).slots()
            except Unreachable:
                return "make flink-up"
        return None


@dataclass(frozen=True)
class Peer(Contender):
    """One of ``benchmarks.peers``, by its name there."""

    called: str

    @property
    @override
    def name(self) -> str:
        return self.called

    @override
    def run(self, work: Work, file: Path, folder: Path) -> Measured:
        peer = peers.PEERS[self.name]
        argv = peer_runs.command(peer, work.learner, work.window, file, folder)
        return run(argv, peer_runs.PYTHON)

    @override
    def check(self, work: Work, rows: int, done: Done, maes: list[float]) -> None:
        wanted = peer_runs.expected_work(rows, work.window, maes)
        peer_runs.check(peers.PEERS[self.name], peer_runs.read(done.measured.output), wanted)

    @property
    @override
    def missing(self) -> str | None:
        return None if peer_runs.PYTHON.exists() else "make peers"


def file_of(rows: int, folder: Path) -> Path:
    """The file of so many rows; it is written once."""
    file = folder / f"{rows}.parquet"
    if not file.exists():
        data.write(file, rows)
    return file


def once(contender: Contender, work: Work, rows: int, folder: Path, maes: list[float]) -> Measured:
    """Has a contender do its work on so many rows, and checks what it did.

    Raises:
        RuntimeError: if it failed, or did something else.
    """
    file = file_of(rows, folder)
    with TemporaryDirectory(dir=folder) as output:
        done = contender.run(work, file, Path(output))
        contender.check(work, rows, Done(done, Path(output)), maes)
    return done
