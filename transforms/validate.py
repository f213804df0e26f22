"""Validate: rows that fit the schema go on, the others leave with their reason."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from model.batch import tag_of
from model.label_stream import LabelSchema
from model.schema import Schema
from model.validation import validate
from transforms.counters import count
from transforms.elements import AcceptedBatch, RawBatch, Rejects

ACCEPTED, REJECTED = "accepted", "rejected"
Validated = tuple[beam.PCollection[AcceptedBatch], beam.PCollection[Rejects]]


def accept(raw: RawBatch, schema: Schema, clean: bool = False) -> tuple[AcceptedBatch, Rejects]:
    """``model.validation.validate`` of a raw batch, whose tag both parts have."""
    rows, rejects = validate(raw, schema, clean)
    tag = tag_of(raw)
    return AcceptedBatch(tag, rows.replace_schema_metadata(None)), Rejects(tag, rejects)


class ValidateFn(beam.DoFn):
    """``accept`` of each batch; rejects to the output ``rejected``."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.counted = "labels" if isinstance(schema, LabelSchema) else "rows"

    def process(self, raw: RawBatch) -> Iterator[AcceptedBatch | TaggedOutput[str, Rejects]]:
        accepted, rejects = accept(raw, self.schema)
        if rejects.items:
            count(f"{self.counted} rejected", len(rejects.items))
            yield TaggedOutput(REJECTED, rejects)
        if accepted.rows.num_rows:
            yield accepted


class Validate(beam.PTransform[beam.PCollection[RawBatch], Validated]):
    """Raw batches in; accepted batches and rejected rows out.

    Attributes:
        schema: what a row must fit. See ``model.validation.validate`` for the reasons.

    Example:
        ``accepted, rejected = batches | Validate(schema)``
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def expand(self, batches: beam.PCollection[RawBatch]) -> Validated:
        both = batches | beam.ParDo(ValidateFn(self.schema)).with_outputs(REJECTED, main=ACCEPTED)
        both[ACCEPTED].element_type = AcceptedBatch
        both[REJECTED].element_type = Rejects
        return both[ACCEPTED], both[REJECTED]
