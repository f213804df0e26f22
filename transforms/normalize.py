"""Normalize: applies a window's statistics to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa

from model.schema import Schema
from model.training import Normalized, normalize
from transforms.statistics import known_of, moments_of, statistics_of, window_of


class NormalizeFn(beam.DoFn):
    """``model.training.normalize`` of each window's data."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def process(self, batch: pa.RecordBatch) -> Iterator[Normalized]:
        told = statistics_of(batch), self.schema, window_of(batch), moments_of(batch)
        yield normalize(batch, *told, known=known_of(batch))


class Normalize(beam.PTransform[Any, Any]):
    """Windows' data in (``CollectWindows``), their normalised rows out (``Normalized``).

    Attributes:
        schema: the meaning of the columns.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def expand(self, windows: Any) -> Any:
        return windows | beam.ParDo(NormalizeFn(self.schema)).with_output_types(Normalized)
