"""Bytewax over a Kafka topic: its own ``KafkaSource``, orjson, then as ``with_bytewax``.

``PYTHON -m benchmarks.peers.topic_bytewax SERVERS TOPIC WINDOW_ROWS FOLDER``. Records are decoded
one by one: a step of Bytewax takes an item.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.run import cli_main

from benchmarks.data import FEATURES, RATE
from benchmarks.peers.with_bytewax import Row, dataflow
from benchmarks.peers.work import Work


def decode(message: KafkaSourceMessage) -> Row:
    """A record's row."""
    row = orjson.loads(message.value)
    return row["time"] * 1000, row["y"], *(row[name] for name in FEATURES)


if __name__ == "__main__":
    servers, topic, rows, folder = sys.argv[1:]
    work = Work(Path(topic), "ridge", int(rows) // RATE, Path(folder))
    source = KafkaSource([servers], [topic], tail=False, batch_size=10_000)
    cli_main(dataflow(work, source, decode))
