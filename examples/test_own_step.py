"""How to unit-test a step of your own, and a learner within the whole job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np

from model.batch import SECOND
from model.schema import Features, Schema
from pipeline.testing import run_graph
from transforms.elements import RawBatch
from transforms.testing import FromBatches, Gather, batches, embedded

TIDES = Schema(name="tides", time="at", target="level", features=Features(numeric=("wind",)))
ROWS = [{"at": second, "level": 2.0 + second % 3, "wind": second % 5} for second in range(90)]


class Storms(beam.PTransform[beam.PCollection[RawBatch], beam.PCollection[int]]):
    """A step of your own: how many rows of each batch have a strong wind."""

    def expand(self, raw: beam.PCollection[RawBatch]) -> beam.PCollection[int]:
        storms: beam.PCollection[int] = raw | beam.Map(
            lambda batch: sum(wind > 3 for wind in batch["wind"].to_pylist())
        )
        return storms


def test_storms_are_counted_in_each_batch() -> None:
    with embedded() as pipeline:
        source = FromBatches(batches(ROWS, TIDES, latency=60 * SECOND))
        seen = pipeline | source | Storms() | Gather()
    assert sorted(one.value for one in seen) == [6, 12]


class Mean:
    """A learner of your own: it has fit and predict."""

    def fit(self, matrix: Any, target: Any) -> Mean:
        self.mean = np.mean(target)
        return self

    def predict(self, matrix: Any) -> Any:
        return np.full(len(matrix), self.mean)


def test_the_mean_is_no_better_than_the_baseline(tmp_path: Path) -> None:
    run = run_graph(
        ROWS,
        str(tmp_path),
        window=60,
        learner="examples.test_own_step:Mean",
        schema_file="examples/tides.toml",
    )
    first, second = run.reports()
    assert first.model is None and second.skill == 0.0
