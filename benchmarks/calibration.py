"""What calibration does to the log loss, over streams that installed packages bundle.

    python -m benchmarks.calibration [STREAM ...]

Each stream of ``benchmarks.classes`` goes through ``pipeline.backtest`` with each learner, under
``isotonic`` and under ``sigmoid``; the log loss before calibration, which both runs have as well,
is that of ``none``. It prints a table in Markdown, the least of each line in bold; docs/classes.md
has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import pipeline
from benchmarks.classes import STREAMS
from model.metrics import Metrics

WINDOWS = {
    "breast cancer": (200, 50),
    "digits": (600, 200),
    "phishing": (400, 100),
    "segment": (600, 200),
    "shuttle": (2_000, 1_000),
    "yeast": (600, 200),
    "flights": (4 * 86_400, 86_400),
}
"""Of each stream the window and the refresh, seconds."""
LEARNERS = ("logistic", "forest", "boosting")
METHODS = ("isotonic", "sigmoid")


class Losses(NamedTuple):
    """Log losses over the same rows.

    Attributes:
        rows: how many they are.
        raw: before calibration.
        calibrated: by method.
        baseline: of the class shares of the model's window.
    """

    rows: int
    raw: float
    calibrated: dict[str, float]
    baseline: float


def run(name: str, learner: str, method: str) -> list[Metrics]:
    """The reports of a stream that have figures."""
    stream = STREAMS[name]()
    window, every = WINDOWS[name]
    schema = {"name": "made", "time": "t", "target": "y", "task": "classification"}
    schema |= {"calibration": method, "features": {"numeric": stream.numeric}}  # type: ignore[dict-item]
    if stream.wait is not None:
        schema |= {"label_time": "known", "wait": stream.wait}  # type: ignore[dict-item]
    found = pipeline.backtest(
        stream.rows, schema, learner=learner, window=window, every=every, progress=False
    )
    return [one for one in found.metrics if one.labelled]


def measure(name: str, learner: str) -> Losses:
    """The log losses of a stream and a learner over all rows that a model has predicted."""
    found = {method: run(name, learner, method) for method in METHODS}
    first = found[METHODS[0]]
    rows = sum(one.labelled or 0 for one in first)

    def mean(reports: list[Metrics], losses: list[float | None]) -> float:
        pairs = zip(reports, losses, strict=True)
        return fsum((one.labelled or 0) * (loss or 0.0) for one, loss in pairs) / rows

    return Losses(
        rows,
        # A window that gave no calibrator has probabilities as they were.
        mean(first, [(one.raw or {}).get("log_loss", one.log_loss) for one in first]),
        {method: mean(mine, [one.log_loss for one in mine]) for method, mine in found.items()},
        mean(first, [one.baseline_log_loss for one in first]),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs and prints; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.calibration")
    parser.add_argument("streams", nargs="*", metavar="STREAM", help="all, if none is named")
    names = parser.parse_args(argv).streams or list(WINDOWS)
    print("| stream | rows | learner | none | isotonic | sigmoid | class shares |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        for learner in LEARNERS:
            found = measure(name, learner)
            losses = [found.raw, *found.calibrated.values()]
            cells = [f"**{one:.4f}**" if one == min(losses) else f"{one:.4f}" for one in losses]
            row = [name, f"{found.rows:,}", learner, *cells, f"{found.baseline:.4f}"]
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
