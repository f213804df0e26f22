"""``python -m benchmarks.topic_latency``: how long after a record is written is it predicted?

For each rate a process of its own writes records to a new topic of four partitions, stamped with
the wall clock, and the job follows it live (``make kafka-up prism``): serve windows of 100 ms,
refreshes of a minute, ``--lag 2``, ridge. It shows percentiles of how long after its serve window's
end a batch is scored (status.json's ``delays``, without the first minute), and what that is at
most from a record's own time: 100 ms more. A machine that does other things makes all of it longer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import data
from deploy.local import kafka

PARTITIONS = 4
LATENCY = 100
"""Milliseconds of a serve window."""
SCHEMA = data.SCHEMA.replace('"iso8601"', '"ms"')
STEP = 0.02
"""Seconds between two writes."""


def write(servers: str, topic: str, rate: int, seconds: float) -> None:
    """Writes records for some seconds, as many a second; says if it could not keep up."""
    from confluent_kafka import Producer

    rows = data.rows(0, 50_000).drop_columns("time").to_pylist()
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})
    began, sent = time.time(), 0
    while (passed := time.time() - began) < seconds:
        due = int(passed * rate)
        at = int(time.time() * 1000)
        for number in range(sent, due):
            value = orjson.dumps({"time": at, **rows[number % len(rows)]})
            producer.produce(topic, value, partition=number % PARTITIONS, timestamp=at)
        sent = due
        producer.poll(0)
        time.sleep(STEP)
    producer.flush(30)
    if sent < 0.98 * rate * seconds:
        print(f"only {sent / seconds:,.0f} records a second were written", flush=True)


def follow(
    servers: str, rate: int, given: argparse.Namespace, more: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Has the job follow a topic that is written to; gives its last status while it ran.

    Raises:
        RuntimeError: if the job ends before.
    """
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    name = f"latency-{rate}-{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(20)
    schema = folder / "bench.toml"
    schema.write_text(SCHEMA, encoding="utf-8")
    out = folder / "run"
    argv = ["--input", f"kafka://{servers}/{name}", "--schema", str(schema), "--output", str(out)]
    argv += ["--window", given.window, "--latency", f"{LATENCY}ms", "--lag", "2"]
    argv += ["--learner", "ridge", "--runner", given.runner, "--idle", "10", *more]
    with (folder / "log").open("wb") as log:
        job = subprocess.Popen([sys.executable, "-m", "pipeline", *argv], stdout=log, stderr=log)
    source = (servers, name, rate, given.seconds)
    writer = multiprocessing.get_context("spawn").Process(target=write, args=source)
    writer.start()
    try:
        until = time.monotonic() + given.seconds
        while time.monotonic() < until and job.poll() is None:
            time.sleep(1)
        if job.poll() is not None:
            raise RuntimeError((folder / "log").read_text()[-2000:])
        status: dict[str, Any] = json.loads((out / "status.json").read_text())
        return status
    finally:
        writer.terminate()
        job.send_signal(signal.SIGINT)
        job.wait(60)
        admin.delete_topics([name])


def main() -> int:
    """Measures each rate; ends with 1 if no batch was scored."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.topic_latency", description=__doc__)
    parser.add_argument("--rates", type=int, nargs="*", default=[1_000, 5_000, 10_000, 20_000])
    parser.add_argument("--seconds", type=float, default=240, help="for each rate (240)")
    parser.add_argument("--window", default="60s", help="a refresh (60s)")
    parser.add_argument("--runner", default="prism", help="prism, or flink with its options")
    given, more = parser.parse_known_args()
    out = Console(width=120)
    parameters = kafka.from_environment()
    if not kafka.is_up(parameters):
        out.print("Kafka is not up: make kafka-up")
        return 2
    table = Table(box=None, header_style="bold")
    titles = (
        "records/s",
        "read/s",
        "to read",
        "scored behind, p50",
        "p95",
        "from a record, p95 at most",
    )
    for title in titles:
        table.add_column(title, justify="right")
    seen = 0
    for rate in given.rates:
        with TemporaryDirectory() as folder:
            status = follow(parameters.servers, rate, given, more, Path(folder))
        delay = status.get("delays", {}).get("scored behind")
        seen += delay is not None
        p50, p95 = (np.nan, np.nan) if delay is None else (delay["p50"], delay["p95"])
        lag = status.get("topic", {}).get("lag_rows", 0)
        times = [f"{p50:.2f} s", f"{p95:.2f} s", f"{p95 + LATENCY / 1000:.2f} s"]
        table.add_row(f"{rate:,}", f"{status['rate']:,.0f}", f"{lag:,}", *times)
        out.print(f"{rate:,}: {' '.join(times)}")
    out.print(table)
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
