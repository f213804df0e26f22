"""Which topic is read, and how a client reaches its brokers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import UserError

SCHEME = "kafka://"
SERVER = re.compile(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
TOPIC = re.compile(r"[\w.-]{1,249}", re.ASCII)
FORM = "must be kafka://HOST:PORT[,HOST:PORT]/TOPIC"
RESERVED = frozenset(
    {
        *("bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id"),
        *("enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof"),
        *("auto.offset.reset", "isolation.level"),
    }
)
"""Properties that decide what is read, and so are not the user's."""
OF_REGISTRY = "schema.registry."
"""Prefix of the properties that are of the schema registry, and not of the broker."""
REGISTRY = frozenset(
    {
        *("basic.auth.user.info", "bearer.auth.token"),
        *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"),
    }
)
"""The properties of a schema registry, without their prefix."""


@dataclass(frozen=True)
class Topic:
    """A topic, and how it is reached.

    Attributes:
        servers: the brokers to begin with, as ``localhost:9092``.
        name: the topic's.
        config: a file of librdkafka's properties, which each process reads for itself: what it
            holds may be secret, so it is in no job graph, no settings and no log. None: none.
    """

    servers: str
    name: str
    config: str | None = None


def is_kafka(text: str | None) -> bool:
    """Whether an input is meant to be a topic: ``parse_topic`` says what is wrong with it.

    Example:
        >>> [is_kafka(text) for text in ("kafka://localhost:9092/rides", "Kafka:rides", "*.csv")]
        [True, True, False]
    """
    return text is not None and text.lower().startswith(SCHEME.removesuffix("//"))


def parse_topic(text: str, config: str | None = None, option: str = "--input") -> Topic:
    """The topic that a text names.

    Args:
        text: as ``FORM`` says.
        config: a file of properties.
        option: for messages.

    Raises:
        UserError: if it names none.

    Example:
        >>> parse_topic("kafka://a:9092,b:9092/rides").servers
        'a:9092,b:9092'
    """
    servers, slash, name = text.removeprefix(SCHEME).partition("/")
    if "@" in servers:
        raise UserError(f"{option} kafka://...: a password goes into the file of --kafka-config")
    wrong = [server for server in servers.split(",") if not SERVER.fullmatch(server)]
    if not text.startswith(SCHEME) or wrong or not slash or not TOPIC.fullmatch(name):
        raise UserError(f"{option} {text}: {FORM}")
    return Topic(servers, name, config)


def read_config(path: str | None) -> Mapping[str, str]:
    """The properties in a file: a line each, ``name=value``; ``#`` begins a comment.

    Raises:
        UserError: if the file cannot be read, or a line is not a property, or one is reserved. A
            value is never part of the message.
    """
    if path is None:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text in UTF-8"
        raise UserError(f"--kafka-config {path}: cannot be read: {reason}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UserError(f"--kafka-config {path}:{number}: must be a property, name=value")
        if name.startswith(OF_REGISTRY) and name.removeprefix(OF_REGISTRY) not in REGISTRY:
            known = ", ".join(sorted(REGISTRY))
            raise UserError(
                f"--kafka-config {path}:{number}: {name} is not known: {OF_REGISTRY}... must be "
                f"one of {known} (its address is the schema's [format] registry)"
            )
        if name in RESERVED:
            raise UserError(
                f"--kafka-config {path}:{number}: {name} is set by the job: remove the line"
            )
        found[name] = value
    return found


def broker_properties(path: str | None) -> dict[str, str]:
    """The properties in a file that are the broker's; raises as ``read_config``."""
    found = read_config(path).items()
    return {name: value for name, value in found if not name.startswith(OF_REGISTRY)}


def registry_properties(path: str | None) -> dict[str, str]:
    """Those that are the schema registry's, without their prefix; raises as ``read_config``."""
    found = read_config(path).items()
    return {
        name.removeprefix(OF_REGISTRY): value
        for name, value in found
        if name.startswith(OF_REGISTRY)
    }
