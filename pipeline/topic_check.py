"""What ``check`` says of a topic: can it be read, and does ``--disorder`` fit its rows?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model.batch import PROBLEM, SECOND, event_times
from model.errors import UserError
from model.label_stream import LabelSchema
from model.schema import Schema
from model.wording import format_count, format_duration
from pipeline.label_ids import FirstRows, SeenIds, warn_of_ids
from pipeline.settings import Settings
from reading.kafka.address import Topic, parse_topic
from reading.kafka.client import Client, KafkaError, read_range
from reading.kafka.decode import decode
from reading.kafka.planning import Rules
from reading.kafka.readers import check_format, reader_of
from reading.targets import check_rows

ROWS = 10_000
"""Maximum number of the topic's first rows that are looked at."""
NONE = -(2**62)
"""The clock of a partition's first record, which is never late."""


def describe_topic(settings: Settings) -> Iterator[str]:
    """Lines on the topic of a job: its records, its first rows, and how far they are out of order.

    Raises:
        UserError: if no broker answers, there is no such topic, it may not be read, or its target
            is of another task than the schema's.
    """
    schema, config = settings.row_schema, settings.kafka_config
    seen: list[FirstRows] = []
    try:
        yield from _describe(parse_topic(str(settings.input), config), schema, settings, seen)
    except KafkaError as error:
        raise UserError(f"--input: {error}") from error
    if schema.labels is None:
        return
    labels = parse_topic(str(settings.labels), config, "--labels")
    try:
        of_labels = LabelSchema.of(schema).with_positive(schema)
        yield from _describe(labels, of_labels, settings, seen)
    except KafkaError as error:
        raise UserError(f"--labels: {error}") from error
    yield from warn_of_ids(SeenIds(*seen), settings.clock)


def _describe(
    topic: Topic, schema: Schema, settings: Settings, seen: list[FirstRows]
) -> Iterator[str]:
    """Lines on a topic; the ids of its first rows are added to those seen, with ``[labels]``."""
    check_format(schema, settings.kafka_config)
    read = reader_of(schema, settings.kafka_config)
    client = Client(topic)
    begins = client.begins(client.partitions())
    ends = client.ends(sorted(begins))
    partitions = format_count(len(begins), "partition")
    records = format_count(sum(ends.values()) - sum(begins.values()), "record")
    yield f"kafka://{topic.servers}/{topic.name}: {partitions}, up to {records}"
    cadence = settings.cadence
    step = cadence.every if isinstance(schema, LabelSchema) else cadence.latency
    rules = Rules(step, cadence.offset)
    rows, problems, behind = 0, [], 0
    ids, joins = FirstRows.none(), settings.row_schema.labels is not None
    warnings: list[str] = []
    for partition, begin in begins.items():
        stop = min(ends[partition], begin + -(-ROWS // len(begins)))
        clock: int | None = None
        for found in read_range(topic, partition, begin, stop):
            batch = decode(found, partition, schema, cadence.every, read)
            if not rows:
                check_rows(batch, schema, f"topic {topic.name}", warnings.append)
            rows += batch.num_rows
            if joins:
                ids = ids.add(batch, schema)
            if PROBLEM in batch.schema.names:
                problems += [one for one in batch.column(PROBLEM).to_pylist() if one is not None]
            times = event_times(batch)
            stamps = np.array([record.time for record in found], np.int64)
            clocks = np.maximum.accumulate(stamps if clock is None else np.append(clock, stamps))
            before = np.append(NONE, clocks[:-1]) if clock is None else clocks[:-1]
            dated = times > np.iinfo(np.int64).min
            floors = (before - rules.offset) // rules.step * rules.step + rules.offset
            if dated.any():
                behind = max(behind, int((floors - times)[dated].max()))
            clock = int(clocks[-1])
    seen.append(ids)
    yield from warnings
    if problems:
        yield f"{len(problems):,} of its first {rows:,} rows would be rejected, as: {problems[0]}"
    needed = -(-behind // SECOND)
    if needed > settings.disorder:
        yield (
            f"its first {rows:,} rows lie up to {format_duration(needed)} behind their partition's "
            f"clock, and --disorder is {format_duration(settings.disorder)}: those further behind "
            f"are late, and not trained on; --disorder {needed} covers them"
        )
    elif rows:
        yield f"none of its first {rows:,} rows would be late"
