"""Which texts are addresses of a topic, and what is said of those that are meant to be."""

from __future__ import annotations

import pytest

from model.errors import UserError
from reading.kafka.address import is_kafka, parse_topic


@pytest.mark.parametrize("servers", ["a:9092", "a:9092,b-1.c:9093", "[::1]:9092", "10.0.0.1:1"])
def test_an_address_names_brokers_and_a_topic(servers: str) -> None:
    topic = parse_topic(f"kafka://{servers}/rides.v1_a-b")
    assert (topic.servers, topic.name) == (servers, "rides.v1_a-b")


@pytest.mark.parametrize(
    "text",
    [
        *("kafka:rides", "kafka:/a:9092/rides", "Kafka://a:9092/rides", "kafka://a/rides"),
        *("kafka://a:9092", "kafka://a:9092/", "kafka:///rides", "kafka://a:9092,/rides"),
        *("kafka://a:9092/rides/0", "kafka://a:9092/rides*", "kafka://a:9092/café"),
    ],
)
def test_a_mistyped_address_is_an_error_that_shows_the_form(text: str) -> None:
    assert is_kafka(text)
    with pytest.raises(UserError, match=r"^--input [kK]afka.*: must be kafka://HOST:PORT.*/TOPIC$"):
        parse_topic(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UserError) as caught:
        parse_topic("kafka://user:secret@a:9092/rides")
    assert "secret" not in str(caught.value) and "--kafka-config" in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "rides/*.csv", "kafka/rides.csv", "/data/kafka:1.csv"])
def test_files_are_no_topics(text: str | None) -> None:
    assert not is_kafka(text)
