"""What the tests of reading share: a schema, and the whole input through plan and read."""

from __future__ import annotations

import pyarrow as pa

from model.batch import ID, LATE, LINE, PROBLEM, TEXT, TIME
from model.schema import Features, Schema
from reading import Plan, plan, read

SCHEMA = Schema(
    name="s", time="t", target="y", features=Features(numeric=("x",), categorical=("k",))
)


def rows_of(planned: Plan, schema: Schema = SCHEMA, batch_rows: int = 3) -> list[dict[str, object]]:
    """Every row in the order of ids, as dicts that have the line in ``line`` and the path."""
    rows = []
    for chunk in planned.chunks:
        file = planned.files[chunk.file]
        for batch in read(file, chunk, schema, batch_rows):
            assert 0 < batch.num_rows <= batch_rows
            assert batch.schema.names[:3] == [ID, TIME, LATE]
            assert set(schema.columns) <= set(batch.schema.names)
            check_times(batch, chunk.least, chunk.greatest)
            for row in batch.to_pylist():
                assert row[LATE] is False
                line = row.pop(LINE, None)
                here = chunk.line - chunk.first + row[ID] if line is None else line
                blank = {PROBLEM: None, TEXT: None}
                rows.append(blank | row | {"line": here, "path": file.path})
    return sorted(rows, key=lambda row: row[ID])


def check_times(batch: pa.RecordBatch, least: int, greatest: int) -> None:
    """Every readable time lies within its chunk's."""
    for time in batch.column(TIME).cast(pa.int64()).to_pylist():
        assert time is None or least <= time <= greatest


def columns_of(path: str, schema: Schema = SCHEMA, batch_rows: int = 3) -> list[list[object]]:
    """The schema's columns of every row of an input, after its ids were checked."""
    planned = plan(path, schema)
    rows = rows_of(planned, schema, batch_rows)
    assert [row[ID] for row in rows] == list(range(planned.rows))
    return [[row[name] for name in schema.columns] for row in rows]
