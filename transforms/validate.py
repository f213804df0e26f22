"""Validate: rows that keep the schema go on, those that break it leave with their reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from model.batch import Tag, tag_of
from model.schema import Schema
from model.validation import Reject, validate
from transforms.tally import count

ACCEPTED, REJECTED = "accepted", "rejected"


class Rejects(NamedTuple):
    """The rows of one batch that broke the schema."""

    tag: Tag
    items: list[Reject]


class ValidateFn(beam.DoFn):
    """``model.validation.validate`` of each batch; rejects to the output ``rejected``."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        accepted, rejects = validate(batch, self.schema)
        if rejects:
            count("rows rejected", len(rejects))
            yield TaggedOutput(REJECTED, Rejects(tag_of(batch), rejects))
        if accepted.num_rows:
            yield accepted


class Validate(beam.PTransform[Any, Any]):
    """Raw batches in; ``accepted`` batches and ``rejected`` rows (``Rejects``) out.

    Attributes:
        schema: what a row must keep. See ``model.validation.validate`` for the reasons.

    Example:
        ``accepted, rejected = batches | Validate(schema)``
    """

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def expand(self, batches: Any) -> tuple[Any, Any]:
        both = batches | beam.ParDo(ValidateFn(self.schema)).with_outputs(REJECTED, main=ACCEPTED)
        both[ACCEPTED].element_type = pa.RecordBatch
        both[REJECTED].element_type = Rejects
        return both[ACCEPTED], both[REJECTED]
