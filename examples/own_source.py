r"""The job on a source of one's own: any Beam transform that gives dicts.

Run it as ``python -m examples.own_source runs/tides``, or from the command line of the job, on any
runner::

    python -m pipeline --source examples.own_source:tides --source-param minutes=6 \
        --schema examples/tides.toml --learner ridge --output runs/tides

Here the rows come from ``beam.Create``; any of Beam's sources that gives dicts will do. What the
run leaves is as any other run's: ``python -m pipeline report runs/tides`` works on it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import apache_beam as beam

from model.metrics import Metrics
from pipeline import run_on

SCHEMA = Path(__file__).with_name("tides.toml")


def tides(minutes: int = 6) -> beam.PTransform[Any, Any]:
    """A source: a made-up gauge, a row a second."""
    rows = []
    for second in range(60 * minutes):
        wind = second * 7 % 11
        rows.append({"at": 1_767_225_600 + second, "level": 2.0 + 0.1 * wind, "wind": wind})
    return beam.Create(rows)


def run(folder: str) -> list[Metrics]:
    """Runs the job on the tides; returns its reports."""
    return run_on(tides(), SCHEMA, folder, window="1m", learner="ridge").reports()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m examples.own_source FOLDER", file=sys.stderr)
        sys.exit(2)
    for report in run(sys.argv[1]):
        print(report.refresh_start, report.rows, report.mae)
