"""A schema guessed from a table's types, for who names only its time and target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from model.categories import is_category
from model.errors import UserError
from model.schema import Schema, as_schema, schema_of
from model.validation import is_number
from pipeline.frames.tables import FRAME, as_table

MOSTLY_DISTINCT = 0.5
"""A column of text with more distinct values than this share of the rows is not a feature."""
SAMPLE_ROWS = 10_000
"""Maximum number of rows by which that is judged."""

SchemaLike = Schema | Mapping[str, Any] | str | Path | None


def guess_schema(table: pa.Table, time: str, target: str, **keys: Any) -> dict[str, Any]:
    """The keys of a schema for a table.

    Every other column is a feature: numbers and booleans by their type, texts as categories. Left
    out are times, nested columns, ``id``, ``keep``, and texts that are nearly all different.

    Args:
        table: the rows.
        time: the event time's column.
        target: the column to predict.
        keys: further keys of a schema; ``numeric`` and ``categorical`` name features, and those
            of the other kind are then not guessed.

    Raises:
        UserError: if a column is missing, or nothing is left to learn from.
    """
    keys = {name: value for name, value in keys.items() if value is not None}
    named = {name: list(keys.pop(name)) for name in ("numeric", "categorical") if name in keys}
    used = [time, target, keys.get("id"), keys.get("label_time"), *keys.get("keep", ())]
    others = [name for names in named.values() for name in names]
    check_columns(table, [name for name in (*used, *others) if name is not None])
    features = named or _guess_features(table, {*used})
    if not any(features.values()):
        raise UserError(
            f"{FRAME}: no column to learn from beside time and target: name some by numeric= or "
            "categorical="
        )
    return {"name": FRAME, "time": time, "target": target, **keys, "features": features}


def _guess_features(table: pa.Table, used: set[str | None]) -> dict[str, list[str]]:
    features: dict[str, list[str]] = {"numeric": [], "categorical": []}
    for field in table.schema:
        name, kind = field.name, field.type
        if name in used or not name or name.startswith("__"):
            continue
        if _is_text(kind):
            if not _mostly_distinct(table.column(name)):
                features["categorical"].append(name)
        elif is_number(kind) and not pa.types.is_null(kind):
            features["numeric"].append(name)
    return features


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ) and (is_category(kind) or pa.types.is_string_view(kind))


def _mostly_distinct(values: pa.ChunkedArray) -> bool:
    sample = values.slice(0, SAMPLE_ROWS)
    if pa.types.is_string_view(sample.type):
        sample = sample.cast(pa.large_string())
    known = len(sample) - sample.null_count
    return known > 20 and pc.count_distinct(sample).as_py() > MOSTLY_DISTINCT * known


def check_columns(table: pa.Table, names: Sequence[str]) -> None:
    """Refuses columns that a table lacks.

    Raises:
        UserError: names them and those that there are.
    """
    missing = [repr(name) for name in dict.fromkeys(names) if name not in table.column_names]
    if missing:
        there = ", ".join(repr(name) for name in table.column_names) or "none"
        raise UserError(f"{FRAME}: has no column {', '.join(missing)}: it has {there}")


def read_frame(frame: Any, schema: SchemaLike, keys: dict[str, Any]) -> tuple[pa.Table, Schema]:
    """A frame as an Arrow table, and its schema: the one given, or one that is guessed.

    Args:
        frame: a table of any library.
        schema: a schema, its keys, or the path of a TOML file; None: it is guessed.
        keys: ``time``, ``target`` and further keys of a schema by name, for a guess.

    Raises:
        UserError: if it is not a table, there is no schema, or a column is missing.
    """
    keys = {name: value for name, value in keys.items() if value is not None}
    if schema is None:
        if "time" not in keys or "target" not in keys:
            raise UserError(
                "schema is missing: give one, or the columns by time=... and target=..."
            )
        table = as_table(frame, index=keys["time"])
        return table, schema_of(guess_schema(table, **keys), "schema")
    if keys:
        names = ", ".join(f"{name}=" for name in keys)
        raise UserError(f"schema and {names} were given: must be one of the two")
    found = as_schema(schema)
    return as_table(frame, index=found.time), found
