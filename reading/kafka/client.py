"""What is asked of Kafka's brokers: partitions, offsets by time, and the records of a range."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from operator import attrgetter
from typing import Any, NamedTuple

from model.errors import UserError
from model.loading import import_lock
from reading.kafka.address import Topic, broker_properties
from reading.kafka.planning import Found

ANSWER_SECONDS = 20.0
"""Seconds that a broker has to answer; one that restarts takes some."""
RECORDS_SECONDS = 60.0
"""Seconds that a range's next records may take."""
CONSUMED_AT_ONCE = 10_000
HANGS_UP = (
    "it hangs up at once: if it expects TLS, security.protocol=SSL or SASL_SSL goes into the file "
    "of --kafka-config"
)
MAX_IDLE_CONSUMERS = 16
"""Maximum number of consumers that a process keeps for its next range."""


class Record(NamedTuple):
    """A record.

    Attributes:
        offset: its place in its partition.
        time: its timestamp, microseconds.
        value: its bytes; None if it is a tombstone.
    """

    offset: int
    time: int
    value: bytes | None


class KafkaError(RuntimeError):
    """A broker that did not answer, or refused."""


def _library() -> Any:
    with import_lock():
        try:
            import confluent_kafka
            import confluent_kafka.admin
        except ImportError as error:
            raise UserError(
                "kafka:// needs confluent-kafka: pip install 'correnteza[kafka]'"
            ) from error
    return confluent_kafka


def _properties(topic: Topic) -> dict[str, object]:
    return {
        **broker_properties(topic.config),
        "bootstrap.servers": topic.servers,
        # What a broker that is away would have printed again and again is raised, once.
        "logger": _Logger(),
    }


class _Logger:
    """Drops librdkafka's lines, which may name users, and go to standard error.

    Attributes:
        hung_up: whether one of them is of a broker that hangs up on a client's first request, as
            one does that is spoken to in plain text where it expects TLS.
    """

    def __init__(self) -> None:
        self.hung_up = False

    def log(self, *arguments: object) -> None:
        """Drops a line."""
        line = str(arguments[-1])
        self.hung_up |= "Disconnected" in line and "APIVERSION_QUERY" in line


class Client:
    """Asks about a topic.

    Attributes:
        topic: which.

    Raises:
        UserError: if the library is not installed, or the properties are wrong.
    """

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self._kafka = _library()
        self._logger = _Logger()
        self._last_error = ""
        try:
            noting = {"error_cb": self._note}  # why no broker answers is said here alone
            properties = {**_properties(topic), "logger": self._logger}
            self._admin = self._kafka.admin.AdminClient({**properties, **noting})
        except self._kafka.KafkaException as error:
            raise UserError(f"--kafka-config {topic.config}: {explain(error)}") from None

    def _note(self, error: Any) -> None:
        if error.code() != self._kafka.KafkaError._ALL_BROKERS_DOWN:
            self._last_error = f" ({error.str()})"

    def why(self) -> str:
        """More of why no broker answers; "" if nothing is known."""
        self._admin.poll(0)  # has the library call ``_note``, and the logger
        if not self._last_error and self._logger.hung_up:
            return f" ({HANGS_UP})"
        return self._last_error

    def partitions(self) -> list[int]:
        """The topic's partitions.

        Raises:
            UserError: if there is no such topic.
            KafkaError: if no broker answers.
        """
        with _raising(self):
            found = self._admin.list_topics(self.topic.name, timeout=ANSWER_SECONDS)
        topic = found.topics[self.topic.name]
        if topic.error is not None or not topic.partitions:
            reason = "no such topic" if topic.error is None else describe(topic.error, "Describe")
            raise UserError(f"kafka://{self.topic.servers}/{self.topic.name}: {reason}")
        return sorted(topic.partitions)

    def begins(self, partitions: Collection[int]) -> dict[int, int]:
        """The first offset that each partition still has."""
        return self._offsets(partitions, self._kafka.admin.OffsetSpec.earliest())

    def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """The offset behind each partition's last record that is committed."""
        return self._offsets(partitions, self._kafka.admin.OffsetSpec.latest())

    def newest(self, partitions: Collection[int]) -> dict[int, int]:
        """The greatest timestamp of each partition's records, microseconds; none where none is.

        Raises:
            KafkaError: also by brokers before 3.0, which do not know.
        """
        found = self._list(dict.fromkeys(partitions, self._kafka.admin.OffsetSpec.max_timestamp()))
        return {p: one.timestamp * 1000 for p, one in found.items() if one.timestamp >= 0}

    def _offsets(self, partitions: Collection[int], spec: Any) -> dict[int, int]:
        found = self._list(dict.fromkeys(partitions, spec))
        return {partition: answer.offset for partition, answer in found.items()}

    def find(self, times: Mapping[int, int]) -> dict[int, Found | None]:
        """Each partition's first record whose timestamp is not before a time.

        Args:
            times: microseconds, by partition.

        Returns:
            The record's place and time, by partition; None where there is none yet.
        """
        specs = {
            # Timestamps are whole milliseconds.
            partition: self._kafka.admin.OffsetSpec.for_timestamp(max(0, -(-micros // 1000)))
            for partition, micros in times.items()
        }
        return {
            partition: None if one.offset < 0 else Found(one.offset, one.timestamp * 1000)
            for partition, one in self._list(specs).items()
        }

    def _list(self, specs: Mapping[int, Any]) -> dict[int, Any]:
        if not specs:
            return {}
        name = self.topic.name
        asked = {
            self._kafka.TopicPartition(name, partition): spec for partition, spec in specs.items()
        }
        with _raising(self):
            futures = self._admin.list_offsets(
                asked,
                isolation_level=self._kafka.IsolationLevel.READ_COMMITTED,
                request_timeout=ANSWER_SECONDS,
            )
            return {one.partition: future.result() for one, future in futures.items()}


class _raising:
    """A context whose errors of the library are ``KafkaError``, in one line without secrets."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and isinstance(error, self.client._kafka.KafkaException):
            topic = self.client.topic
            why = f"{explain(error, 'Describe')}{self.client.why()}"
            raise KafkaError(f"kafka://{topic.servers}/{topic.name}: {why}") from None


def explain(error: BaseException, right: str = "") -> str:
    """What the library says of an error: one line, which holds no value of a property."""
    first = error.args[0] if error.args else error
    return describe(first, right) if hasattr(first, "str") else str(first).split("\n")[0]


def describe(error: Any, right: str) -> str:
    """An error of the library's, with the operation that a user lacks if it is for that."""
    line = str(error.str()).split("\n")[0]
    lacks = error.code() == error.TOPIC_AUTHORIZATION_FAILED and right
    return f"{line}: its ACL has to allow the user {right}" if lacks else line


def read_range(topic: Topic, partition: int, start: int, stop: int) -> Iterator[list[Record]]:
    """The records of a range of offsets, some thousand at once: the same ones on every call.

    Args:
        topic: which is read.
        partition: of the topic.
        start: the first offset.
        stop: the offset behind the last one.

    Raises:
        UserError: if retention has removed the first of them.
        KafkaError: if no records come.
    """
    consumers = _consumers(topic)
    consumer = consumers.take(partition, start)
    whole = False
    try:
        yield from consumer.read(partition, start, stop)
        whole = True
    finally:
        consumers.give(consumer, (partition, stop) if whole else None)


_record: Callable[[tuple[int, int, bytes | None]], Record] = partial(tuple.__new__, Record)


def _cut(records: list[Record], stop: int) -> tuple[list[Record], list[Record]]:
    """The records before an offset, and the others."""
    if not records or records[-1].offset < stop:
        return records, []
    place = bisect_left(records, stop, key=attrgetter("offset"))
    return records[:place], records[place:]


class _Consumer:
    """A consumer that reads ranges, one after the other; it commits nothing."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.kafka = _library()
        self.at: tuple[int, int] | None = None
        self.kept: list[Record] = []
        self.consumer = self.kafka.Consumer(
            {
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 16_384,
                **_properties(topic),
                "group.id": "correnteza",  # the library asks for one; nothing is committed to it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )

    def read(self, partition: int, start: int, stop: int) -> Iterator[list[Record]]:
        """As ``read_range``; what was fetched beyond is kept for the range that follows."""
        if self.at != (partition, start):
            self.kept = []
            self.consumer.assign([self.kafka.TopicPartition(self.topic.name, partition, start)])
        self.at = None
        kept, self.kept = self.kept, []
        inside, self.kept = _cut(kept, stop)
        if inside:
            yield inside
        # A range is whole when something behind it has been seen: its last offsets may hold no
        # record, but a transaction's end, or what compaction removed.
        reached = stop if self.kept else (inside[-1].offset + 1 if inside else start)
        asked = time.monotonic()
        while reached < stop:
            found, reached = self._fetch(reached)
            inside, self.kept = _cut(found, stop)
            if inside:
                asked = time.monotonic()
                yield inside
            elif time.monotonic() - asked > RECORDS_SECONDS:
                raise KafkaError(
                    f"{self._place(partition, reached)}: nothing came for {RECORDS_SECONDS:.0f} s"
                )

    def _fetch(self, reached: int) -> tuple[list[Record], int]:
        """The next records, and the offset up to which all were seen."""
        # Asked for many, the library waits until so many are there; without time, it does not.
        messages = self.consumer.consume(1, 1.0)
        if messages and not messages[0].error():
            messages += self.consumer.consume(CONSUMED_AT_ONCE, 0)
        good = [message for message in messages if message.error() is None]
        # A call of its own for each record would take half of the time in which they are read.
        offsets = [message.offset() for message in good]
        times = [message.timestamp()[1] * 1000 for message in good]
        values = [message.value() for message in good]
        records = list(map(_record, zip(offsets, times, values, strict=True)))
        reached = offsets[-1] + 1 if offsets else reached
        for message in messages if len(good) < len(messages) else ():
            error = message.error()
            if error is None:
                continue
            if error.code() == self.kafka.KafkaError._PARTITION_EOF:
                reached = max(reached, message.offset())
            elif error.code() in (
                self.kafka.KafkaError.OFFSET_OUT_OF_RANGE,
                self.kafka.KafkaError._AUTO_OFFSET_RESET,
            ):
                place = self._place(message.partition(), reached)
                raise UserError(
                    f"{place}: the topic has no such offset any more: its retention "
                    "has removed it; begin a new run, or keep records for longer"
                )
            elif error.fatal() or (error.code() > 0 and not error.retriable()):
                place = self._place(message.partition(), reached)
                raise KafkaError(f"{place}: {describe(error, 'Read')}")
        return records, reached

    def _place(self, partition: int, offset: int) -> str:
        return f"kafka://{self.topic.servers}/{self.topic.name}/{partition}/{offset}"


class _Consumers:
    """The consumers of a process that wait for their next range; safe for many threads."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self._idle: list[_Consumer] = []
        self._known = 0
        self._lock = threading.Lock()

    def take(self, partition: int, start: int) -> _Consumer:
        """The consumer that stands at a place, or any other."""
        with self._lock:
            for place, consumer in enumerate(self._idle):
                if consumer.at == (partition, start):
                    return self._idle.pop(place)
            if self._idle and self._known >= MAX_IDLE_CONSUMERS:
                return self._idle.pop(0)
            self._known += 1
        return _Consumer(self.topic)

    def give(self, consumer: _Consumer, at: tuple[int, int] | None) -> None:
        """Takes a consumer back, which stands at a place."""
        consumer.at = at
        with self._lock:
            self._idle.append(consumer)
            surplus = self._idle.pop(0) if len(self._idle) > MAX_IDLE_CONSUMERS else None
            self._known -= surplus is not None
        if surplus is not None:  # each has threads, and one of a process's 1,024 thread-local keys
            surplus.consumer.close()


@cache
def _consumers(topic: Topic) -> _Consumers:
    return _Consumers(topic)
