"""The job on a source of one's own: any PCollection of dicts.

Run it as ``python -m examples.own_source FOLDER``. Here the rows come from ``beam.Create``;
any of Beam's sources that gives dicts will do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from model import files
from model.metrics import Metrics
from model.schema import load_schema
from pipeline.folder import RunFolder
from pipeline.graph import build
from pipeline.settings import settings_from
from transforms.sources.rows import FromRows

SCHEMA = "examples/tides.toml"


def tides() -> Iterator[dict[str, Any]]:
    """Six minutes of a made-up gauge, a row a second."""
    for second in range(360):
        wind = second * 7 % 11
        yield {"at": 1_767_225_600 + second, "level": 2.0 + 0.1 * wind, "wind": wind}


def run(folder: str) -> list[Metrics]:
    """Runs the job on the tides; returns its reports."""
    settings = settings_from({"window": "1m", "learner": "ridge", "schema_file": SCHEMA})
    rows = beam.Create(list(tides())) | FromRows(load_schema(SCHEMA), settings.cadence.latency)
    files.make_folder(folder)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        build(pipeline, rows, settings, RunFolder(folder))
    return RunFolder(folder).reports()


if __name__ == "__main__":
    for report in run(sys.argv[1]):
        print(report.refresh_start, report.rows, report.mae)
