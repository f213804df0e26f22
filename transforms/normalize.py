"""Normalize: applies a window's statistics to its rows."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from model.schema import Schema
from model.training import Normalized, normalize
from transforms.elements import WindowData


class NormalizeFn(beam.DoFn):
    """``model.training.normalize`` of each window's data."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def process(self, data: WindowData) -> Iterator[Normalized]:
        sums = data.statistics, self.schema, data.window, data.moments, data.known
        yield normalize(data.rows, *sums)


class Normalize(beam.PTransform[beam.PCollection[WindowData], beam.PCollection[Normalized]]):
    """Windows' data in, their normalised rows out.

    Attributes:
        schema: the meaning of the columns.
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def expand(self, windows: beam.PCollection[WindowData]) -> beam.PCollection[Normalized]:
        return windows | beam.ParDo(NormalizeFn(self.schema)).with_output_types(Normalized)
