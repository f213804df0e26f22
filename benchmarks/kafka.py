"""``python -m benchmarks.kafka``: from a Kafka topic to a model, beside a plain loop and peers.

All read the same topics (one partition, so that rows are in order for everybody; JSON, some 160
bytes a record, 1,000 rows a second of event time, windows of 100,000 rows) from a broker on this
machine (``make kafka-up``), in turns, in processes of their own. What counts is *added work*: CPU
seconds of the large topic less those of the small one. Rates are shown, too, but on a machine
that does other things they say little. Bytewax and Spark come with ``make peers``; Spark's
connector to Kafka, which is no part of pyspark, is copied by Maven when it is first needed.

The loop that only decodes to Arrow is the limit; the other one fits and scores as the job does.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import data
from benchmarks.measure import Pair, run
from benchmarks.peers.run import PYTHON, expected_work, read
from deploy.local import kafka
from deploy.local.install import copy_jars, install_whole
from deploy.local.parameters import ROOT

WINDOW = 100_000
START = 1_767_225_600_000
"""The first record's timestamp, milliseconds: of 0 the client makes the wall clock."""
SCHEMA = data.SCHEMA.replace('"iso8601"', '"ms"')
CONNECTOR = "4.2.0"
"""Version of Spark's connector to Kafka: the newest that there is, one before pyspark's."""
BY_RATE = frozenset({"Spark foreachBatch"})
"""Those whose work is not that of the process that is measured, but of its JVM: by rows/s alone."""
LIMITS = {"loop that decodes": 0.7, "Bytewax": 3.0}
"""What the job's rate must be, at least, of theirs."""


def topic_of(rows: int, servers: str) -> str:
    """The topic of so many rows; it is filled once."""
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    name = f"benchmark-{rows}"
    admin = AdminClient({"bootstrap.servers": servers})
    if name in admin.list_topics(timeout=20).topics:
        reader = Consumer({"bootstrap.servers": servers, "group.id": "bench"})
        _, end = reader.get_watermark_offsets(TopicPartition(name, 0), 20)
        reader.close()
        if end == rows:
            return name
        admin.delete_topics([name])[name].result(20)
    topic = NewTopic(name, 1, 1, config={"retention.ms": "-1"})
    admin.create_topics([topic])[name].result(20)
    settings = {"linger.ms": 50, "queue.buffering.max.messages": 200_000}
    producer = Producer({"bootstrap.servers": servers, **settings})
    for first in range(0, rows, 50_000):
        table = data.rows(first, min(50_000, rows - first))
        times = START + table["time"].cast("int64").to_numpy() // 1000
        for row, at in zip(table.drop_columns("time").to_pylist(), times.tolist(), strict=True):
            producer.produce(name, orjson.dumps({"time": at, **row}), partition=0, timestamp=at)
        if producer.flush(60):
            raise RuntimeError("the broker does not take the rows")
    return name


class Contender(NamedTuple):
    """Someone who reads a topic.

    Attributes:
        argv: the Python process's, for a topic and an empty folder.
        python: which Python.
        check: raises RuntimeError if what it printed or wrote is not what the loop did.
    """

    argv: Callable[[str, Path], list[str]]
    python: Path | str
    check: Callable[[str, Path, int, list[float]], None]


def _check_counts(output: str, _: Path, rows: int, maes: list[float]) -> None:
    found, wanted = read(output), expected_work(rows, WINDOW, maes)
    if found[:3] != wanted[:3] or not math.isclose(found[3] or 0, wanted[3] or 0, rel_tol=0.01):
        raise RuntimeError(f"it did {found}, the plain loop {wanted}")


def _check_job(_: str, folder: Path, rows: int, maes: list[float]) -> None:
    reports = [json.loads(p.read_bytes()) for p in sorted(folder.glob("metrics/*.json"))]
    found = [report["mae"] for report in reports[1:]]
    same = len(found) == len(maes) and all(
        math.isclose(one, other, rel_tol=1e-9) for one, other in zip(found, maes, strict=True)
    )
    if not same or sum(report["rows"] for report in reports) != rows:
        raise RuntimeError(f"MAEs {found[:4]}, the plain loop's {maes[:4]}")


def _check_nothing(output: str, folder: Path, rows: int, maes: list[float]) -> None:
    return None


def contenders(servers: str, folder: Path) -> dict[str, Contender]:
    """All who can run here, by name: the loop that fits comes first."""
    schema = folder / "bench.toml"
    schema.write_text(SCHEMA, encoding="utf-8")
    seconds = str(WINDOW // data.RATE)

    def loop(topic: str, out: Path) -> list[str]:
        return ["-m", "benchmarks.topic_loop", servers, topic, str(WINDOW), str(out)]

    def decode(topic: str, _: Path) -> list[str]:
        return ["-m", "benchmarks.topic_loop", servers, topic, str(WINDOW)]

    def job(topic: str, out: Path) -> list[str]:
        argv = ["--input", f"kafka://{servers}/{topic}", "--schema", str(schema), "--until", "now"]
        argv += ["--window", seconds, "--learner", "ridge", "--predictions", "none"]
        argv += ["--gate", "none"]  # the loop has none
        return ["-m", "pipeline", *argv, "--runner", "direct", "--output", str(out)]

    def bytewax(topic: str, out: Path) -> list[str]:
        return ["-m", "benchmarks.peers.topic_bytewax", servers, topic, str(WINDOW), str(out)]

    def spark(topic: str, out: Path) -> list[str]:
        argv = [servers, topic, str(WINDOW), str(out), spark_jars()]
        return ["-m", "benchmarks.peers.topic_spark", *argv]

    found = {
        "loop that fits": Contender(loop, sys.executable, _check_nothing),
        "loop that decodes": Contender(decode, sys.executable, _check_nothing),
        "Correnteza, embedded": Contender(job, sys.executable, _check_job),
    }
    if PYTHON.exists():
        found["Bytewax"] = Contender(bytewax, PYTHON, _check_counts)
        found["Spark foreachBatch"] = Contender(spark, PYTHON, _check_counts)
    return found


def spark_jars() -> str:
    """The jars of Spark's connector to Kafka, with commas between; they are copied once."""
    folder = ROOT / ".tools" / "spark-kafka" / CONNECTOR
    install_whole(
        folder,
        f"Spark's connector to Kafka {CONNECTOR} (once)",
        lambda part: copy_jars(
            part,
            ROOT / "benchmarks" / "peers" / "spark-kafka.xml",
            {"spark.version": CONNECTOR},
            "Spark's connector",
            folder.parent,
        ),
    )
    return ",".join(str(path) for path in sorted(folder.glob("*.jar")))


def measure(
    one: Contender, topics: dict[int, str], folder: Path, maes: dict[int, list[float]]
) -> Pair:
    """Has a contender read the small topic and the large one.

    Raises:
        RuntimeError: if it failed, or did something else than the loop.
    """
    found = []
    for rows, topic in topics.items():
        with TemporaryDirectory(dir=folder) as out:
            done = run(one.argv(topic, Path(out)), one.python)
            if rows not in maes:
                maes[rows] = json.loads(done.output.splitlines()[-1])
            one.check(done.output, Path(out), rows, maes[rows])
            found.append(done)
    return Pair(*found)


def show(costs: dict[str, list[float]], rates: dict[str, list[float]], out: Console) -> bool:
    """Shows what each took a row; gives whether the limits are held."""
    table = Table(box=None, header_style="bold")
    for title in ("who", "CPU µs a row", "rows/s", "the job's rate by theirs", "asked"):
        table.add_column(title, justify="left" if title == "who" else "right")
    job, held = min(costs["Correnteza, embedded"]), True
    for name, found in costs.items():
        rate, asked = statistics.median(rates[name]), LIMITS.get(name)
        cost, factor = f"{min(found):.2f}", min(found) / job
        if name in BY_RATE:
            cost, factor = "", statistics.median(rates["Correnteza, embedded"]) / rate
        held = held and (asked is None or factor >= asked)
        shown = (cost, f"{rate:,.0f}", f"{factor:.2f}")
        table.add_row(name, *shown, "" if asked is None else str(asked))
    out.print(table)
    return held


def main() -> int:
    """Measures all, in turns; ends with 1 if a limit is not held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kafka", description=__doc__)
    parser.add_argument("names", nargs="*", help="only who has such a word in the name (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large topic (1000000)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured (3)")
    given = parser.parse_args()
    out = Console(width=120)
    parameters = kafka.from_environment()
    if not kafka.is_up(parameters):
        out.print("Kafka is not up: make kafka-up")
        return 2
    topics = {n: topic_of(n, parameters.servers) for n in (given.rows // 5, given.rows)}
    added = given.rows - given.rows // 5
    costs: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {}
    maes: dict[int, list[float]] = {}
    with TemporaryDirectory() as made:
        folder = Path(made)
        chosen = {
            name: one
            for name, one in contenders(parameters.servers, folder).items()
            if not given.names
            or name.startswith(("loop", "Corr"))
            or any(word.lower() in name.lower() for word in given.names)
        }
        for turn in range(given.repeat):
            for name, one in chosen.items():
                try:
                    pair = measure(one, topics, folder, maes)
                except RuntimeError as error:
                    if turn or name.startswith(("loop", "Corr")):
                        raise
                    out.print(f"left out: {name}: {str(error).splitlines()[-1]}")
                    continue
                cost = (pair.large.cpu - pair.small.cpu) / added * 1e6
                costs.setdefault(name, []).append(cost)
                rates.setdefault(name, []).append(added / (pair.large.seconds - pair.small.seconds))
                out.print(f"{name}: {rates[name][-1]:,.0f} rows/s, {cost:.2f} CPU µs a row")
    return 0 if show(costs, rates, out) else 1


if __name__ == "__main__":
    sys.exit(main())
