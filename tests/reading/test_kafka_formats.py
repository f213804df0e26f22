"""How the values of a topic's records become rows, by the format."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.batch import PROBLEM, event_times
from model.errors import UserError
from model.label_stream import LabelSchema
from model.rows import RowError
from model.schema import Features, Schema, schema_of
from model.topic_format import TopicFormat
from reading.kafka.address import broker_properties, read_config, registry_properties
from reading.kafka.avro import HEAD, AvroReader, flatten
from reading.kafka.client import Record
from reading.kafka.decode import TOMBSTONE, decode
from reading.kafka.readers import reader_of
from reading.kafka.registry import UnknownSchema

FIRST = {
    "type": "record",
    "name": "Ride",
    "namespace": "org.example",
    "fields": [
        {"name": "a", "type": "double"},
        {"name": "color", "type": ["null", "string"]},
    ],
}
SECOND = {
    **FIRST,
    "fields": [
        {"name": "b", "type": ["null", "long"], "default": None},
        *FIRST["fields"],
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["X", "Y"]}},
    ],
}
TEXTS = st.text("aé😀", max_size=9)
ROWS = st.one_of(
    st.tuples(
        st.just(1),
        st.fixed_dictionaries({"a": st.floats(allow_nan=False), "color": st.none() | TEXTS}),
    ),
    st.tuples(
        st.just(2),
        st.fixed_dictionaries(
            {
                "b": st.none() | st.integers(-(2**63), 2**63 - 1),
                "a": st.floats(allow_nan=False),
                "color": st.none() | TEXTS,
                "kind": st.sampled_from(["X", "Y"]),
            }
        ),
    ),
)


class Schemas:
    """What a registry has: schemas by number."""

    def __init__(self, *schemas: object, kind: str = "AVRO") -> None:
        self.schemas = schemas
        self.kind = kind

    def schema(self, number: int) -> list[dict[str, Any]]:
        """As ``Registry`` has it."""
        if not 1 <= number <= len(self.schemas):
            raise UnknownSchema
        return [{"schema": json.dumps(self.schemas[number - 1]), "schemaType": self.kind}]


def reader(*schemas: object, **more: Any) -> AvroReader:
    """What reads records that were written by schemas 1, 2, ..."""
    return AvroReader(Schemas(*schemas, **more), TOMBSTONE)  # type: ignore[arg-type]


def write(number: int, schema: Any, row: object) -> bytes:
    """A value in Confluent's framing."""
    out = io.BytesIO(HEAD.pack(0, number))
    out.seek(HEAD.size)
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), row)
    return out.getvalue()


def reasons(rows: list[Any]) -> list[str]:
    """Why rows cannot be read."""
    return [row.reason for row in rows if isinstance(row, RowError)]


@given(st.lists(ROWS, max_size=20))
def test_each_record_is_read_by_the_schema_that_wrote_it(
    rows: list[tuple[int, dict[str, object]]],
) -> None:
    values = [write(number, (FIRST, SECOND)[number - 1], row) for number, row in rows]
    assert reader(FIRST, SECOND)([*values, None]) == [*(row for _, row in rows), TOMBSTONE]


@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_a_row_or_a_reject(data: bytes, number: int) -> None:
    read = reader(FIRST, SECOND)
    for value in (data, HEAD.pack(0, number) + data):
        [row] = read([value])
        assert isinstance(row, (dict, RowError))
        if isinstance(row, RowError):
            assert row.text == value.hex() and row.reason


def test_what_cannot_be_read_says_why() -> None:
    value = write(1, FIRST, {"a": 1.5, "color": "red"})
    values = [b'{"a": 1}', b"", value[:-1], value + b"x", HEAD.pack(0, 9)]
    found = reasons(reader(FIRST)(values))
    assert len(found) == len(values)
    for reason, part in zip(
        found,
        ["zero byte", "zero byte", "cannot be read by schema 1", "1 bytes more", "schema 9"],
        strict=True,
    ):
        assert part in reason


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]},
            "itself",
        ),
        (
            {
                "type": "record",
                "name": "N",
                "fields": [{"name": "n", "type": {"type": "array", "items": "null"}}],
            },
            "no byte",
        ),
        ("string", "not a record"),
        ({"type": "record"}, "not Avro"),
    ],
)
def test_a_schema_by_which_nothing_is_read_is_a_reject(schema: object, message: str) -> None:
    [reason] = reasons(reader(schema)([HEAD.pack(0, 1) + b"\x02" * 1_000_000]))
    assert message in reason


def test_a_schema_of_another_kind_is_a_reject() -> None:
    [reason] = reasons(reader(FIRST, kind="PROTOBUF")([HEAD.pack(0, 1)]))
    assert "PROTOBUF" in reason


def test_logical_types_unions_and_records_within_are_columns() -> None:
    fields = [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {
            "name": "y",
            "type": [
                "null",
                {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            ],
        },
        {
            "name": "place",
            "type": {
                "type": "record",
                "name": "Place",
                "fields": [
                    {"name": "city", "type": "string"},
                    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                ],
            },
        },
        {"name": "key", "type": {"type": "string", "logicalType": "uuid"}},
    ]
    avro = {"type": "record", "name": "R", "fields": fields}
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone.utc)
    key = "0b0b3cf6-3d1c-4f6e-8b0f-2f6f2d6d8c11"
    rows = [
        {
            "ts": at + timedelta(seconds=i),
            "day": date(2026, 1, 2),
            "y": Decimal("1.25") if i else None,
            "place": {"city": "Rome", "at": at.replace(microsecond=678_000)},
            "key": key,
        }
        for i in range(2)
    ]
    schema = Schema(
        name="s",
        time="ts",
        target="y",
        features=Features(categorical=("place.city", "day")),
        id="key",
        keep=("place.at",),
    )
    stamp = int(at.timestamp()) * 1_000_000
    records = [Record(i, stamp, write(1, avro, row)) for i, row in enumerate(rows)]
    read = reader(avro)
    batch = decode(records, 0, schema, 10**9, lambda v: flatten(read(v), schema.columns))
    assert PROBLEM not in batch.schema.names
    assert event_times(batch).tolist() == [stamp + 678_901, stamp + 1_678_901]
    assert batch.column("y").to_pylist() == [None, 1.25]
    assert batch.column("place.city").to_pylist() == ["Rome"] * 2
    assert batch.column("day").to_pylist() == ["2026-01-02"] * 2
    assert batch.column("key").to_pylist() == [key] * 2
    assert batch.column("place.at").to_pylist() == ["2026-01-02T03:04:05.678Z"] * 2


def change(op: str, before: object, after: object, **more: object) -> dict[str, object]:
    """A change as Debezium has it."""
    source = {"table": "rides", "ts_ms": 1_700_000_000_000}
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": 5, **more}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("are_labels", [False, True])
def test_a_change_in_a_database_is_a_row_or_says_what_it_is(
    wrapped: bool, are_labels: bool
) -> None:
    old, new = {"y": 1, "x": 2, "op": "own"}, {"y": 3, "x": None, "op": "own"}
    changes: list[Any] = [
        change("c", None, new),
        change("r", None, new),
        change("u", old, new),
        change("d", old, None),
        change("t", None, None),
        change("c", None, None),
        {"y": 1, "x": 2},
    ]
    if wrapped:
        changes = [{"schema": {"type": "struct"}, "payload": one} for one in (*changes, None)]
    else:
        changes.append(None)
    values = [json.dumps(one).encode() for one in changes[:-1]]
    values.append(json.dumps(changes[-1]).encode() if wrapped else None)  # type: ignore[arg-type]
    form = {"type": "debezium"}
    labels = {"id": "k", "target": "y", "time": "source.ts_ms"}
    schema = schema_of(
        {**SCHEMA, "id": "k", "wait": "1d", "labels": labels, "format": form}, "--schema"
    )
    rows = reader_of(LabelSchema.of(schema) if are_labels else schema, None)(values)
    good = 3 if are_labels else 2
    for row in rows[:good]:
        assert not isinstance(row, RowError)
        assert (row["y"], row["x"], row["op"], row["ts_ms"]) == (3, None, "own", 5)
        assert not are_labels or row["source.ts_ms"] == 1_700_000_000_000
    wanted = ["an update (op 'u')", "a delete", "a truncate", "no row after it", "not a change"]
    found = reasons(rows)
    assert len(found) == len(values) - good
    for reason, part in zip(found, [*wanted[good - 2 :], "tombstone"], strict=True):
        assert part in reason


SCHEMA = {"name": "s", "time": "t", "target": "y", "features": {"numeric": ["x"]}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"type": "avro"}, "needs registry"),
        ({"registry": "http://localhost:1"}, 'goes with type = "avro"'),
        ({"type": "avro", "registry": "localhost:8081"}, "must be an address"),
        ({"type": "xml"}, "format.type"),
    ],
)
def test_a_format_that_is_not_one_is_refused(keys: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        schema_of({**SCHEMA, "format": keys}, "--schema s.toml")


@pytest.mark.parametrize("address", ["http://me:s3cret@localhost:1", "http://me:s3c/ret@host"])
def test_a_password_in_the_registrys_address_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(UserError) as caught:
        schema_of({**SCHEMA, "format": {"type": "avro", "registry": address}}, "--schema s.toml")
    assert "--kafka-config" in str(caught.value) and "s3c" not in str(caught.value)


def test_a_schema_without_a_format_is_written_as_ever() -> None:
    assert '"format"' not in schema_of(dict(SCHEMA), "s").model_dump_json()


def test_the_properties_of_broker_and_registry_stand_in_one_file(tmp_path: Any) -> None:
    path = tmp_path / "client.properties"
    path.write_text("a.b=1\nschema.registry.basic.auth.user.info=me:s3cret\n")
    assert broker_properties(str(path)) == {"a.b": "1"}
    assert registry_properties(str(path)) == {"basic.auth.user.info": "me:s3cret"}
    path.write_text("schema.registry.url=http://me:s3cret@host\n")
    with pytest.raises(UserError, match="url is not known") as caught:
        read_config(str(path))
    assert "s3cret" not in str(caught.value)


@given(
    st.lists(st.tuples(st.integers(0, 4_102_444_800_000), st.booleans()), min_size=1, max_size=9),
    st.sampled_from([None, "ms", "%d.%m.%Y"]),
)
def test_the_event_time_may_be_the_records_timestamp(
    made: list[tuple[int, bool]], form: str | None
) -> None:
    fields: dict[str, Any] = {"name": "s", "time": "t", "target": "y", "time_format": form}
    fields |= {"features": Features(numeric=("a",))}
    schema = Schema(**fields, format=TopicFormat(time="record"))
    records = [
        # What the value has in the column does not count.
        Record(place, millis * 1_000, json.dumps({"a": 1, "t": "x"} if has else {"a": 1}).encode())
        for place, (millis, has) in enumerate(made)
    ]
    batch = decode(records, 0, schema, 0, reader_of(schema, None))
    assert PROBLEM not in batch.schema.names
    assert event_times(batch).tolist() == [record.time for record in records]
