"""The plain loop over a Kafka topic: confluent-kafka, pyarrow, scikit-learn, joblib, no more.

``python -m benchmarks.topic_loop SERVERS TOPIC WINDOW_ROWS FOLDER`` consumes a topic of one
partition to its end, 10,000 records at once, decodes them to Arrow, cuts windows, and does with
each what ``benchmarks.loop`` does. It prints the MAEs as a JSON list. Without FOLDER it decodes,
and does no more: it prints how many rows there were.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.json

from benchmarks.data import RATE
from benchmarks.loop import cut_windows, loop

AT_ONCE = 10_000


def batches(servers: str, topic: str) -> Iterator[pa.Table]:
    """A topic's records, decoded, 10,000 at once."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False}
    )
    place = TopicPartition(topic, 0, 0)
    _, end = consumer.get_watermark_offsets(place)
    consumer.assign([place])
    seen = 0
    while seen < end:
        messages = consumer.consume(min(AT_ONCE, end - seen), 10.0)
        seen += len(messages)
        lines = b"\n".join(message.value() or b"" for message in messages)
        yield pyarrow.json.read_json(pa.BufferReader(lines))
    consumer.close()


if __name__ == "__main__":
    servers, topic, size, *folder = sys.argv[1:]
    read = batches(servers, topic)
    if folder:
        found = cut_windows(read, int(size) * 1_000 // RATE)
        print(json.dumps(loop(found, "ridge", Path(folder[0]))))
    else:
        print(sum(table.num_rows for table in read))
