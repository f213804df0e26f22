r"""Fills a Kafka topic with synthetic people, live: something to try ``--input kafka://...`` on.

Run it as ``python -m examples.topic kafka://127.0.0.1:19092/people --rate 200 --seconds 600``
beside ``make kafka-up``. The topic is made if it is not there. Each person is a JSON object, whose
record has the person's own time as timestamp.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from model.batch import SECOND
from model.errors import UserError
from model.people import SCHEMA, People
from reading.kafka.address import parse_topic

PARTITIONS = 4


def lines(people: People, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """People as JSON objects, each with its time in microseconds."""
    import orjson

    rows = people.rows(
        first, stop, [SCHEMA.time, SCHEMA.target, *SCHEMA.numeric, *SCHEMA.categorical]
    )
    for index, row in enumerate(rows.to_pylist(), first):
        kept = {name: value for name, value in row.items() if not name.startswith("__")}
        yield people.time(index), orjson.dumps(kept)


def fill(address: str, rate: float, seconds: float) -> int:
    """Produces people for some seconds; gives how many.

    Raises:
        UserError: if the address names no topic, or no broker answers.
    """
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    topic = parse_topic(address)
    admin = AdminClient({"bootstrap.servers": topic.servers})
    try:
        there = topic.name in admin.list_topics(timeout=60).topics
        if not there:
            admin.create_topics([NewTopic(topic.name, PARTITIONS, 1)])[topic.name].result(20)
    except KafkaException as error:
        raise UserError(f"{address}: {error.args[0].str()}") from error
    producer = Producer({"bootstrap.servers": topic.servers, "enable.idempotence": True})
    began, sent = time.time(), 0
    people = People("learnable", 42, rate, int(began * SECOND), 0, None)
    while (passed := time.time() - began) < seconds:
        due = int(passed * rate)
        for place, (stamp, line) in enumerate(lines(people, sent, due), sent):
            producer.produce(
                topic.name, line, partition=place % PARTITIONS, timestamp=stamp // 1000
            )
        sent = due
        producer.flush()
        time.sleep(0.1)
    return sent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.topic", description=__doc__)
    parser.add_argument("topic", metavar="kafka://HOST:PORT/TOPIC")
    parser.add_argument("--rate", type=float, default=200.0, help="people a second (200)")
    parser.add_argument("--seconds", type=float, default=600.0, help="for so long (600)")
    given = parser.parse_args()
    print(f"{fill(given.topic, given.rate, given.seconds):,} people produced")
