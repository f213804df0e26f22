"""How a peer's script is run, and whether it did the plain loop's work."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import RATE, cut
from benchmarks.peers import Peer

PYTHON = Path(__file__).parents[2] / ".tools" / "peers" / "bin" / "python"
"""The Python of the peers' environment, which ``make peers`` makes."""


class Told(NamedTuple):
    """The line that a script ended with; ``mae`` is over all scored rows, None if there is none."""

    rows: int
    scored: int
    windows: int
    mae: float | None


def command(peer: Peer, learner: str, window: int, file: Path, folder: Path) -> list[str]:
    """What follows PYTHON, in the project's folder: windows of so many rows, an empty folder."""
    source = cut(file, window) if peer.cut else file
    argv = ["--input", str(source), "--learner", learner, "--window", str(window // RATE)]
    return ["-m", f"benchmarks.peers.{peer.script}", *argv, "--output", str(folder)]


def read(output: str) -> Told:
    """The last line of what a script printed."""
    return Told(**json.loads(output.splitlines()[-1]))


def expected_work(rows: int, window: int, maes: list[float]) -> Told:
    """What the plain loop did over so many rows; it gives the MAE of each window but the first.

    >>> expected_work(250, 100, [2.0, 5.0])
    Told(rows=250, scored=150, windows=3, mae=3.0)
    """
    counts = [min(window, rows - first) for first in range(window, rows, window)]
    error = sum(count * mae for count, mae in zip(counts, maes, strict=True))
    scored = sum(counts)
    return Told(rows, scored, len(counts) + 1, error / scored if scored else None)


def check(peer: Peer, found: Told, wanted: Told) -> None:
    """Compares what a peer did with what the plain loop did.

    Raises:
        RuntimeError: if a count differs, or, where the models are the same, the MAE by over 1 %.
    """
    same = found[:3] == wanted[:3]
    if peer.same_model and found.mae is not None and wanted.mae is not None:
        same = same and math.isclose(found.mae, wanted.mae, rel_tol=0.01)
    if not same:
        raise RuntimeError(f"{peer.script}: it did {found}, the plain loop {wanted}")
