"""How many windows of real streams the gate refuses, of how many that have a trial.

    python -m benchmarks.real_gate [LEARNER ...]

The streams are those of ``benchmarks.real_alerts`` and ``benchmarks.learners``, from packages
(``make flights learners``). What is not there is left out. Without a learner it is the ridge.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks import learners, real_alerts
from pipeline import backtest

WEEKS = {"electricity": "7d", "wind": "7d", "births": "28d", "train": "28d", "approval": "7d"}
"""How often the streams of ``benchmarks.learners`` have a window: more often than there."""


class Verdicts(NamedTuple):
    """What the gate has found in a stream.

    Attributes:
        tried: number of windows that had a trial.
        refused: number of those whose model does not serve.
        untried: number of windows whose model serves without a trial: they had too few rows.
    """

    tried: int
    refused: int
    untried: int


def streams() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The name of each stream, its rows, and the options of its backtest."""
    for name, stream in real_alerts.STREAMS.items():
        frame = stream.read()
        if frame is not None:
            columns = {"time": stream.time, "target": stream.target}
            yield name, frame, {"window": stream.window, "every": stream.every, **columns}
    for name, read in learners.STREAMS.items():
        if name not in WEEKS:
            continue
        try:
            found = read()
        except (ImportError, OSError):
            continue
        options = {"window": found.window, "every": WEEKS[name], **found.columns}
        yield f"{name}, every {WEEKS[name]}", found.frame, options


def judge(frame: Any, options: dict[str, Any], learner: str) -> Verdicts:
    """The gate's verdicts on the windows of a stream."""
    found = backtest(frame, learner=learner, min_rows=10, keep=0, progress=False, **options)
    refused = sum(one.kind == "refused" for one in found.skipped)
    gates = [model.manifest.gate for model in found.models.values()]
    tried = sum(gate is not None and gate.trial is not None for gate in gates)
    return Verdicts(tried + refused, refused, len(gates) - tried)


def main(argv: list[str]) -> None:
    """Prints a table."""
    if str(learners.PACKAGES) not in sys.path:
        sys.path.append(str(learners.PACKAGES))
    print("| real stream | learner | refused | without a trial |\n|---|---|---|---|")
    for name, frame, options in streams():
        for learner in argv or ["ridge"]:
            found = judge(frame, options, learner)
            refused = f"{found.refused} of {found.tried}"
            print(f"| {name} | {learner} | {refused} | {found.untried} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
