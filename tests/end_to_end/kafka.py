"""A Kafka broker for tests: ``make kafka-up`` starts it; CI does so before the tests."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import fastavro
import numpy as np
import orjson
import pytest
import urllib3

from deploy.local import kafka, registry
from deploy.local.kafka import BROKER, HOME
from deploy.local.kafka import USER as USER

ALL = os.environ.get("REQUIRE_ALL") == "1"
"""Where no test may be skipped it fails if the broker is down, and not if it is busy just now."""
PARAMETERS = kafka.from_environment()
SERVERS = PARAMETERS.servers
TLS_SERVERS = f"127.0.0.1:{PARAMETERS.kafka_tls_port}"
CLIENT = HOME / "client.properties"
needs_kafka = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ALL or kafka.is_up(PARAMETERS)), reason="Kafka is not up: make kafka-up"
    ),
]
"""The marks of a test that reads from the broker."""
REGISTRY = registry.from_environment().address
needs_registry = pytest.mark.skipif(
    not (ALL or registry.is_up(registry.from_environment())),
    reason="the schema registry is not up: make registry-up",
)
START = 1_767_225_600_000
"""The timestamp of the first record, milliseconds: 2026-01-01T00:00:00Z."""
SCHEMA = """\
name = "rides"
time = "ts"
target = "y"
[features]
numeric = ["a", "b"]
categorical = ["color"]
"""


class Record(NamedTuple):
    """A record to produce.

    Attributes:
        time: its timestamp, milliseconds.
        value: its bytes.
        partition: where it goes.
        key: by which compaction keeps the newest record alone.
    """

    time: int
    value: bytes | None
    partition: int
    key: bytes | None = None


def make_rides(count: int, partitions: int = 4, seed: int = 1) -> list[Record]:
    """Rides, one every 10 ms, whose event time lies up to three seconds before their records'."""
    rng = np.random.default_rng(seed)
    a, b, noise = rng.normal(size=(3, count))
    back = rng.integers(0, 3_000, count)
    place = rng.integers(0, partitions, count)
    records = []
    for i in range(count):
        stamp = START + 10 * i
        row = {
            "ts": int(stamp - back[i]),
            "y": float(2 * a[i] - b[i] + 0.1 * noise[i]),
            "a": float(a[i]),
            "b": float(b[i]),
            "color": "red" if i % 3 else "blue",
        }
        records.append(Record(stamp, orjson.dumps(row), int(place[i])))
    return records


def register(subject: str, schema: object) -> int:
    """Registers a schema in Avro; gives its number."""
    answer = urllib3.request(
        "POST",
        f"{REGISTRY}/subjects/{subject}/versions",
        json={"schema": orjson.dumps(schema).decode()},
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    assert answer.status == 200, answer.data
    return int(answer.json()["id"])


def write_avro(number: int, schema: Any, row: object) -> bytes:
    """A row as a record's value in Confluent's framing."""
    out = BytesIO()
    out.write(b"\0" + number.to_bytes(4, "big"))
    fastavro.schemaless_writer(out, schema, row)
    return out.getvalue()


def make_topic(partitions: int = 4, **config: str) -> str:
    """Makes a topic of its own; gives its name."""
    from confluent_kafka.cimpl import NewTopic

    name = f"rides-{uuid4().hex[:12]}"
    topic = NewTopic(
        name, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()}
    )
    make_admin().create_topics([topic])[name].result(120)
    return name


@cache
def make_admin() -> Any:
    """The client that makes topics: one, which lives until its answers have come."""
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": SERVERS})


def allow(user: str, topic: str, operations: Sequence[str]) -> None:
    """Allows a user operations on a topic, which is nobody else's from then on."""
    import confluent_kafka.admin

    admin: Any = confluent_kafka.admin  # which names in no list what it exports
    of_topic = (admin.ResourceType.TOPIC, topic, admin.ResourcePatternType.LITERAL)
    for operation in operations:
        asked = (admin.AclOperation[operation], admin.AclPermissionType.ALLOW)
        rule = admin.AclBinding(*of_topic, f"User:{user}", "*", *asked)
        make_admin().create_acls([rule])[rule].result(120)


def add_partitions(topic: str, count: int) -> None:
    """Has a topic ``count`` partitions."""
    from confluent_kafka.cimpl import NewPartitions

    made = make_admin().create_partitions([NewPartitions(topic, count)])
    made[topic].result(120)


def produce(topic: str, records: Sequence[Record], **config: Any) -> None:
    """Produces records, and waits until the broker has them."""
    producer = make_producer(**config)
    send(producer, topic, records)


def make_producer(**config: Any) -> Any:
    """A producer that neither loses records nor writes them twice."""
    from confluent_kafka import Producer

    named = {key.replace("_", "."): value for key, value in config.items()}
    return Producer(
        {"bootstrap.servers": SERVERS, "linger.ms": 5, "enable.idempotence": True, **named}
    )


def send(producer: Any, topic: str, records: Sequence[Record]) -> None:
    """Sends records, and waits until the broker has them."""
    for record in records:
        while not _take(producer, topic, record):
            producer.poll(0.1)
    assert producer.flush(240) == 0


def _take(producer: Any, topic: str, record: Record) -> bool:
    """Whether a producer takes a record: it may not know yet of a partition that was added."""
    from confluent_kafka import KafkaError, KafkaException

    place = {"partition": record.partition, "timestamp": record.time}
    try:
        producer.produce(topic, record.value, record.key, **place)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
            raise
        return False
    return True


def ends_of(topic: str) -> dict[int, int]:
    """By partition of a topic the offset behind its last record."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

    admin = make_admin()
    partitions = admin.list_topics(topic, timeout=120).topics[topic].partitions
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}
    found = admin.list_offsets(asked, request_timeout=120)
    return {one.partition: int(answer.result(120).offset) for one, answer in found.items()}


def read_values(topic: str, partition: int) -> list[bytes]:
    """The values of all records that a partition has now, in order."""
    from confluent_kafka import Consumer, TopicPartition

    end = ends_of(topic)[partition]
    reader = Consumer({"bootstrap.servers": SERVERS, "group.id": topic})
    try:
        reader.assign([TopicPartition(topic, partition, 0)])
        values: list[bytes] = []
        # Compaction may have left gaps, at the end too: so it goes by the position.
        while (position := reader.position([TopicPartition(topic, partition)])[0].offset) < end:
            for record in reader.consume(10_000, 0.2):
                assert record.error() is None, record.error()
                values.append(record.value() or b"")
            assert position <= end
        return values
    finally:
        reader.close()


class Producing:
    """Produces records over some seconds, in a thread.

    Attributes:
        sent: how many the broker has.
    """

    def __init__(
        self,
        topic: str,
        records: Sequence[Record],
        seconds: float,
        at: Mapping[int, Callable[[], object]] | None = None,
    ) -> None:
        self.topic, self.records, self.seconds = topic, records, seconds
        self.at = dict(at or {})
        self.sent = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            producer = make_producer(topic_metadata_refresh_interval_ms=500)
            began, step = time.monotonic(), 200
            for first in range(0, len(self.records), step):
                for place in [place for place in self.at if place <= first]:
                    self.at.pop(place)()
                send(producer, self.topic, self.records[first : first + step])
                self.sent = min(first + step, len(self.records))
                due = began + self.seconds * self.sent / len(self.records)
                time.sleep(max(0.0, due - time.monotonic()))
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        """Waits until all is produced."""
        self._thread.join(self.seconds + 300)
        assert self.error is None and self.sent == len(self.records), self.error


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keeps who kills the broker apart from who needs it beside Flink, in another worker."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "tests.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def kill_broker() -> None:
    """Kills the broker at once, and starts it again."""
    for pid in BROKER.alive("broker"):
        os.kill(pid, 9)
    while BROKER.alive("broker"):
        time.sleep(0.05)
    kafka.start(PARAMETERS)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The rides' schema, as a file."""
    path = tmp_path_factory.mktemp("schema") / "rides.toml"
    path.write_text(SCHEMA)
    yield path
