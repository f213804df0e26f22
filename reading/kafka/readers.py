"""Finds what reads the records of a topic, by the schema's ``[format]``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from model.label_stream import LabelSchema
from model.rows import Row
from model.schema import Schema
from model.topic_format import TopicFormat
from reading.kafka.avro import AvroReader, flatten
from reading.kafka.debezium import unwrap
from reading.kafka.decode import TOMBSTONE, ReadValues, read_json
from reading.kafka.registry import registry_of


def reader_of(schema: Schema, config: str | None) -> ReadValues:
    """What reads the values of a topic's records.

    Args:
        schema: of the rows.
        config: the file of properties, which may have the registry's user.

    Raises:
        UserError: if a library is not installed, or the properties cannot be read.
    """
    return _reader_of(schema.format, config, schema.columns, isinstance(schema, LabelSchema))


@lru_cache(maxsize=16)
def _reader_of(
    form: TopicFormat, config: str | None, columns: tuple[str, ...], are_labels: bool
) -> ReadValues:
    read: ReadValues = read_json
    if form.registry is not None:
        read = AvroReader(registry_of(form.registry, config), TOMBSTONE)
    if form.type == "json":
        return read

    def read_rows(values: Sequence[bytes | None]) -> list[Row]:
        rows = read(values)
        if form.type == "debezium":
            rows = [unwrap(row, are_labels, TOMBSTONE) for row in rows]
        return flatten(rows, columns)

    return read_rows


def check_format(schema: Schema, config: str | None) -> None:
    """Checks that what a topic's records need to be read is there.

    Raises:
        UserError: if a library is not installed, or the registry refuses to answer.
        KafkaError: if the registry does not answer.
    """
    reader_of(schema, config)
    if schema.format.registry is not None:
        registry_of(schema.format.registry, config).check()
