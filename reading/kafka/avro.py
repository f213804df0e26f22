"""Reads records in Avro, in Confluent's framing: a zero, the schema's number, the value.

Each record is read by the schema that it was written by, so a column that was added later is null
in records before. Times, dates and decimals come as Python's; a field of a record in the record is
a column of the name ``outer.inner``.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from model.errors import UserError
from model.loading import import_lock
from model.rows import Row, RowError
from reading.kafka.registry import Registry, UnknownSchema

HEAD = struct.Struct(">bI")
"""A zero, and the number of the schema."""
MAX_SCHEMAS = 1_000
"""Maximum number of schemas that are held parsed."""
MAX_SHOWN = 1_000
"""Maximum number of bytes of a record that are shown, as hexadecimal digits, in its reject."""


class _Unreadable(Exception):
    """A schema whose records are not read, and why."""


def _library() -> Any:
    with import_lock():
        try:
            import fastavro
        except ImportError as error:
            raise UserError("Avro needs fastavro: pip install 'correnteza[kafka]'") from error
    return fastavro


class AvroReader:
    """Reads values in Avro.

    Attributes:
        registry: knows their schemas.
        tombstone: what stands for a record without a value.

    Raises:
        UserError: if the library is not installed.
    """

    def __init__(self, registry: Registry, tombstone: RowError) -> None:
        self.registry = registry
        self.tombstone = tombstone
        self._avro = _library()
        self._parsed = lru_cache(maxsize=MAX_SCHEMAS)(self._parse)

    def __call__(self, values: Sequence[bytes | None]) -> list[Row]:
        """A row a value, or why it is not one.

        Raises:
            KafkaError: if the registry does not answer.
            UserError: if it refuses to.
        """
        return [self.tombstone if value is None else self._read(value) for value in values]

    def _read(self, value: bytes) -> Row:
        if len(value) < HEAD.size or value[0]:
            return _reject(value, "is not Avro in Confluent's framing: must begin with a zero byte")
        number = HEAD.unpack_from(value)[1]
        try:
            schema = self._parsed(number)
        except UnknownSchema:
            return _reject(value, f"has schema {number}, which the registry does not have")
        if isinstance(schema, _Unreadable):
            return _reject(value, f"has schema {number}, {schema}")
        data = io.BytesIO(value)
        data.seek(HEAD.size)
        try:
            row = self._avro.schemaless_reader(data, schema, None)
        except Exception as error:  # of any kind: the bytes are anything
            reason = str(error).split("\n")[0] or "it ends too early"
            return _reject(value, f"cannot be read by schema {number}: {reason}")
        if data.tell() != len(value):
            more = len(value) - data.tell()
            return _reject(
                value, f"has {more:,} bytes more than its schema {number} has fields for"
            )
        return dict(row)

    def _parse(self, number: int) -> Any:
        """A schema, ready to be read by; or why it is not."""
        found = self.registry.schema(number)
        named: dict[str, Any] = {}
        parsed: Any = None
        try:
            for one in found:
                kind = one.get("schemaType", "AVRO")
                if kind != "AVRO":
                    raise _Unreadable(f"which is {kind}: must be Avro")
                parsed = self._avro.parse_schema(json.loads(one["schema"]), named)
            if not isinstance(parsed, Mapping) or parsed.get("type") != "record":
                raise _Unreadable("which is not a record: its top must be one")
            _check(parsed, named, ())
        except _Unreadable as error:
            return error
        except Exception as error:
            return _Unreadable(f"which is not Avro: {str(error).splitlines()[:1]}")
        return parsed


def _reject(value: bytes, reason: str) -> RowError:
    dots = "..." if len(value) > MAX_SHOWN else ""
    return RowError(value[:MAX_SHOWN].hex() + dots, reason)


def _check(schema: Any, named: Mapping[str, Any], around: tuple[str, ...]) -> bool:
    """Checks that a few bytes cannot be a value without end; whether a value may have no byte.

    Raises:
        _Unreadable: if the schema holds itself (the library would overflow the stack), or has
            arrays of what takes no byte (of which there may be any number).
    """
    if isinstance(schema, list):
        for one in schema:
            _check(one, named, around)
        return False
    if isinstance(schema, str):
        if schema in around:
            raise _Unreadable(f"whose {schema!r} holds itself: must not be recursive")
        return _check(named[schema], named, around) if schema in named else schema == "null"
    kind = schema["type"]
    if kind in ("record", "error"):
        inside = (*around, schema["name"])
        empty = [_check(field["type"], named, inside) for field in schema["fields"]]
        return all(empty)
    if kind == "array":
        if _check(schema["items"], named, around):
            raise _Unreadable("which has an array of what takes no byte")
        return False
    if kind == "map":
        _check(schema["values"], named, around)
        return False
    if kind == "fixed":
        return bool(schema["size"] == 0)
    return (
        _check(kind, named, around)
        if not isinstance(kind, str) or kind in named
        else (kind == "null")
    )


def flatten(rows: Iterable[Row], columns: Collection[str]) -> list[Row]:
    """Rows with a column for each field of a record within them that the schema names.

    Args:
        rows: as they were read.
        columns: what is read; ``outer.inner`` is the field ``inner`` of the record ``outer``.

    Example:
        >>> flatten([{"a": {"b": 1}}], ["a.b"])[0]["a.b"]
        1
    """
    paths = {name: name.split(".") for name in columns if "." in name}
    return [row if isinstance(row, RowError) else _flatten(row, paths) for row in rows]


def _flatten(row: Mapping[str, object], paths: Mapping[str, list[str]]) -> Row:
    more: dict[str, object] = {}
    for name, path in paths.items():
        value: object = row
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if name not in row:
            more[name] = value
    plain = {name: str(value) for name, value in row.items() if isinstance(value, UUID)}
    return {**row, **more, **plain} if more or plain else row
