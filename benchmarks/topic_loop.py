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
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.json
from sklearn.metrics import mean_absolute_error

from benchmarks.data import FEATURES, RATE
from benchmarks.loop import Window, fit, join_pieces

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


def windows(found: Iterator[pa.Table], window_rows: int) -> Iterator[Window]:
    """The windows of a topic, by the rows' event times."""
    length = window_rows * 1_000 // RATE
    pieces: list[Window] = []
    current = None
    for table in found:
        slots = table["time"].to_numpy() // length
        features = np.column_stack([table[name].to_numpy() for name in FEATURES])
        target = table["y"].to_numpy()
        cuts = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(slots)]
        for low, high in pairwise(cuts):
            if pieces and slots[low] != current:
                yield join_pieces(pieces)
                pieces = []
            current = slots[low]
            pieces.append(Window(features[low:high], target[low:high]))
    if pieces:
        yield join_pieces(pieces)


def loop(found: Iterator[Window], folder: Path) -> list[float]:
    """Scores each window by the model of the one before, and fits its own; gives the MAEs."""
    maes: list[float] = []
    model = None
    for number, window in enumerate(found):
        if model is not None:
            scaler, estimator = model
            prediction = estimator.predict(scaler.transform(window.features))
            maes.append(float(mean_absolute_error(window.target, prediction)))
        model = fit(window, "ridge")
        joblib.dump(model, folder / f"{number:06d}.joblib")
    return maes


if __name__ == "__main__":
    servers, topic, size, *folder = sys.argv[1:]
    read = batches(servers, topic)
    if folder:
        print(json.dumps(loop(windows(read, int(size)), Path(folder[0]))))
    else:
        print(sum(table.num_rows for table in read))
