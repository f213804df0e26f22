"""Spark Structured Streaming over a Kafka topic: its own source, ``from_json``, ``foreachBatch``.

``PYTHON -m benchmarks.peers.topic_spark SERVERS TOPIC WINDOW_ROWS FOLDER JARS``. A micro-batch has
as many records as a window; the rest is as in ``with_spark``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import functions as f

from benchmarks.data import RATE
from benchmarks.peers.with_spark import COLUMNS, session, take_all
from benchmarks.peers.work import Work


def stream(servers: str, topic: str, work: Work, jars: str) -> str:
    """Runs the query to what the topic's end is now; gives the line of what was done."""
    spark = session(work.output / "spark", {"spark.jars": jars})
    records = spark.readStream.format("kafka").options(
        **{
            "kafka.bootstrap.servers": servers,
            "subscribe": topic,
            "startingOffsets": "earliest",
            "maxOffsetsPerTrigger": work.window * RATE,
        }
    )
    value = f.from_json(f.col("value").cast("string"), f"time BIGINT, {COLUMNS}")
    rows = records.load().select(value.alias("row")).select("row.*")
    line = take_all(rows.withColumn("time", f.timestamp_millis("time")), work)
    spark.stop()
    return line


if __name__ == "__main__":
    servers, topic, rows, folder, jars = sys.argv[1:]
    print(stream(servers, topic, Work(Path(topic), "ridge", int(rows) // RATE, Path(folder)), jars))
