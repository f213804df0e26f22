"""Topics in Avro with a schema registry: as the same rows in JSON; what is refused."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3

from tests.end_to_end import kafka
from tests.end_to_end.kafka import (
    REGISTRY,
    SCHEMA,
    Record,
    make_rides,
    make_topic,
    produce,
    register,
    write_avro,
)
from tests.end_to_end.test_kafka import JOB, address, compared, reports_of, run

pytestmark = [*kafka.needs_kafka, kafka.needs_registry]
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
FIELDS = [
    {"name": "ts", "type": MILLIS},
    {"name": "y", "type": ["null", "double"]},
    {"name": "a", "type": "double"},
    {"name": "b", "type": "double"},
    {"name": "color", "type": "string"},
]
RIDE = {"type": "record", "name": "Ride", "fields": FIELDS}
WIDER = {**RIDE, "fields": [{"name": "note", "type": ["null", "string"], "default": None}, *FIELDS]}


def avro_schema(folder: Path, registry: str = REGISTRY) -> Path:
    """The rides' schema, of a topic in Avro."""
    path = folder / "avro.toml"
    path.write_text(f'{SCHEMA}[format]\ntype = "avro"\nregistry = "{registry}"\n')
    return path


def rejects_of(folder: Path) -> dict[str, str]:
    """The reasons of all rejected rows, by their place."""
    found = [
        json.loads(line)
        for path in folder.glob("rejected/*/*.ndjson")
        for line in path.read_text().splitlines()
    ]
    return {one["where"]: one["reason"] for one in found}


class Guarded(BaseHTTPRequestHandler):
    """Lets one user ask the registry."""

    user = "Basic " + base64.b64encode(b"me:s3cret-password").decode()

    def do_GET(self) -> None:
        """Forwards a request of that user."""
        status, data = 401, b"{}"
        if self.headers.get("Authorization") == self.user:
            answer = urllib3.request("GET", REGISTRY + self.path)
            status, data = answer.status, answer.data
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Writes no line."""


@pytest.fixture
def guarded() -> Iterator[str]:
    """The address of a registry that wants a user."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_topic_in_avro_gives_the_bytes_of_the_same_rows_in_json(tmp_path: Path) -> None:
    rides = make_rides(6_000, 2)
    (tmp_path / "rides.toml").write_text(SCHEMA)
    plain, packed = make_topic(2), make_topic(2)
    produce(plain, rides)
    numbers = [register(f"{packed}-value", one) for one in (RIDE, WIDER)]
    changed = []
    for i, ride in enumerate(rides):
        at = int(i > 3_000)  # the producer's schema changes
        row = {**orjson.loads(ride.value or b""), "note": "new"}
        changed.append(ride._replace(value=write_avro(numbers[at], (RIDE, WIDER)[at], row)))
    produce(packed, changed)
    argv = (*JOB, "--until", "now", "--output")
    schemas = {plain: tmp_path / "rides.toml", packed: avro_schema(tmp_path)}
    for topic, schema in schemas.items():
        result = run("--input", address(topic), "--schema", schema, *argv, tmp_path / topic)
        assert result.code == 0, result.err
    assert sum(one["rows"] for one in reports_of(tmp_path / packed)) == len(rides)
    made, found = compared(tmp_path / packed), compared(tmp_path / plain)
    figures = ("predictions/", "metrics/")
    differ = [name for name in made if name.startswith(figures) and made[name] != found.get(name)]
    assert made.keys() == found.keys() and len(made) > 10 and not differ


def test_a_registry_that_wants_a_user_is_asked_by_that_of_the_properties(
    guarded: str, tmp_path: Path
) -> None:
    rides = make_rides(2_000, 1)
    topic = make_topic(1)
    number = register(f"{topic}-value", RIDE)
    values = [write_avro(number, RIDE, orjson.loads(ride.value or b"")) for ride in rides]
    values[100] = b"no Avro"
    values[200] = b"\0" + (987_654_321).to_bytes(4, "big") + b"?"
    values[300] = values[300][:-2]
    produce(topic, [Record(ride.time, value, 0) for ride, value in zip(rides, values, strict=True)])
    config = tmp_path / "client.properties"
    config.write_text("schema.registry.basic.auth.user.info=me:s3cret-password\n")
    schema = avro_schema(tmp_path, guarded)
    argv = ("--input", address(topic), "--schema", schema, *JOB, "--until", "now")
    folder = tmp_path / "run"
    result = run(*argv, "--kafka-config", config, "--output", folder)
    assert result.code == 0, result.err
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert "s3cret" not in result.out + result.err and b"s3cret" not in written
    reasons = rejects_of(folder)
    assert sorted(reasons) == [f"{topic}/0/{offset}" for offset in (100, 200, 300)]
    assert "987654321, which the registry does not have" in reasons[f"{topic}/0/200"]
    result = run("check", *argv)
    assert result.code == 2 and "schema.registry.basic.auth.user.info" in result.error


@pytest.mark.parametrize("packed", [False, True])
def test_inserts_of_a_database_are_questions_and_other_changes_are_rejected(
    packed: bool, tmp_path: Path
) -> None:
    rides = make_rides(2_000, 1)
    topic = make_topic(1)
    nullable = [{"name": name, "type": ["null", "Ride"]} for name in ("before", "after")]
    fields = [{"name": "op", "type": "string"}, {**nullable[0], "type": ["null", RIDE]}]
    envelope = {"type": "record", "name": "Envelope", "fields": [*fields, nullable[1]]}
    number = register(f"{topic}-value", envelope) if packed else 0
    values: list[bytes | None] = []
    expected, ops = {}, {4: "u", 5: "d", 6: "r"}
    for i, ride in enumerate(rides):
        row, op = orjson.loads(ride.value or b""), ops.get(i % 10, "c")
        change = {"op": op, "before": row if op in "ud" else None, "after": row}
        change["after"] = None if op == "d" else row
        value = write_avro(number, envelope, change) if packed else orjson.dumps(change)
        values.append(None if i % 10 == 7 else value)
        name = {4: "update", 5: "delete", 7: "tombstone"}.get(i % 10)
        if name is not None:
            expected[f"{topic}/0/{i}"] = name
    produce(topic, [Record(ride.time, value, 0) for ride, value in zip(rides, values, strict=True)])
    schema = tmp_path / "debezium.toml"
    registry = f'registry = "{REGISTRY}"\n' if packed else ""
    schema.write_text(f'{SCHEMA}[format]\ntype = "debezium"\n{registry}')
    argv = ("--input", address(topic), "--schema", schema, *JOB, "--until", "now")
    result = run(*argv, "--output", tmp_path / "run")
    assert result.code == 0, result.err
    reports = reports_of(tmp_path / "run")
    assert sum(one["rows"] for one in reports) == 1_400
    assert sum(one["rejected"] for one in reports) == 600
    found = rejects_of(tmp_path / "run")
    assert found.keys() == expected.keys()
    assert all(name in found[where] for where, name in expected.items())


@pytest.mark.parametrize(
    ("registry", "message"),
    [("http://127.0.0.1:1", "does not answer"), (f"{REGISTRY}/subjects", "is no schema registry")],
)
def test_a_registry_that_is_not_there_is_one_line(
    registry: str, message: str, tmp_path: Path
) -> None:
    topic = make_topic(1)
    argv = ("--input", address(topic), "--schema", avro_schema(tmp_path, registry), *JOB)
    result = run(*argv, "--until", "now", "--output", tmp_path / "run")
    assert result.code == 2 and message in result.error and registry in result.error
    assert not (tmp_path / "run" / "settings.json").exists()
