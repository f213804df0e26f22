"""How the records of a topic are written: the schema's ``[format]``."""

from __future__ import annotations

from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from model.section import Section


class TopicFormat(Section):
    """How the records of a Kafka topic are written.

    Attributes:
        type: ``json``: an object; ``avro``: a record in Confluent's framing, whose schema the
            registry has; ``debezium``: a change of a row in a database, as JSON, or as Avro if
            there is a registry.
        registry: the address of a schema registry with Confluent's API. Credentials stand in the
            file of ``--kafka-config``.
        time: where a row's event time stands: in its ``column``, or ``record``: it is the record's
            timestamp, in place of that column, which the value need not have.

    Raises:
        pydantic.ValidationError: if the address is not one, or holds credentials; if it is there
            without need, or needed and not there.

    Example:
        >>> TopicFormat(type="avro", registry="http://localhost:8081/").registry
        'http://localhost:8081'
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"registry", "time"})

    type: Literal["json", "avro", "debezium"] = "json"
    registry: str | None = Field(default=None, min_length=1)
    time: Literal["column", "record"] = "column"

    @field_validator("registry", mode="before")
    @classmethod
    def _check_registry(cls, registry: object) -> object:
        if not isinstance(registry, str):
            return registry
        try:
            parts = urlsplit(registry)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            known, parts = False, urlsplit("")
        if "@" in registry:
            raise ValueError("must hold no user and password: the file of --kafka-config has them")
        if not known or parts.query or parts.fragment:
            raise ValueError('must be an address, as "http://localhost:8081"')
        return registry.rstrip("/")

    @model_validator(mode="after")
    def _check(self) -> TopicFormat:
        if self.type == "avro" and self.registry is None:
            raise ValueError('type = "avro" needs registry, as "http://localhost:8081"')
        if self.type == "json" and self.registry is not None:
            raise ValueError('registry: goes with type = "avro" or "debezium"')
        return self
