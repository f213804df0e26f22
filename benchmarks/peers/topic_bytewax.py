"""Bytewax over a Kafka topic: its own ``KafkaSource``, orjson, then as ``with_bytewax``.

``PYTHON -m benchmarks.peers.topic_bytewax SERVERS TOPIC WINDOW_ROWS FOLDER``. Records are decoded
one by one: a step of Bytewax takes an item.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import orjson
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.connectors.stdio import StdOutSink
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.run import cli_main

from benchmarks.data import FEATURES, RATE
from benchmarks.peers.with_bytewax import EPOCH, Row, as_window, event_time
from benchmarks.peers.work import Done, Turn, Work


def decode(message: KafkaSourceMessage) -> Row:
    """A record's row."""
    row = orjson.loads(message.value)
    return row["time"] * 1000, row["y"], *(row[name] for name in FEATURES)


def dataflow(servers: str, topic: str, work: Work) -> Dataflow:
    """Source, decoding, window, model, and at the end what was done."""
    clock = windowing.EventClock(
        event_time, timedelta(0), now_getter=lambda: EPOCH, to_system_utc=lambda _: None
    )
    windower = windowing.TumblingWindower(timedelta(seconds=work.window), EPOCH)

    def step(turn: Turn | None, item: tuple[int, list[Row]]) -> tuple[Turn, str]:
        turn = turn or Turn(work, Done())
        turn.take(as_window(item[1]))
        return turn, turn.done.line()

    flow = Dataflow("peer")
    source = KafkaSource([servers], [topic], tail=False, batch_size=10_000)
    rows = op.map("decode", op.input("read", flow, source), decode)
    keyed = op.key_on("key", rows, lambda _: "all")
    windows = windowing.collect_window("window", keyed, clock, windower, ordered=False)
    lines = op.stateful_map("train", windows.down, step)
    last = op.reduce_final("last", lines, lambda _, line: line)
    op.output("tell", op.key_rm("line", last), StdOutSink())
    return flow


if __name__ == "__main__":
    servers, topic, rows, folder = sys.argv[1:]
    work = Work(Path(topic), "ridge", int(rows) // RATE, Path(folder))
    cli_main(dataflow(servers, topic, work))
