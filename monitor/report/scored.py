"""Scored rows of a run: what was predicted and what came true, from the newest predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.batch import to_plain
from model.errors import UserError
from model.runs import RunFolder
from model.schema import Schema
from monitor.report.pictures.texts import figure
from monitor.report.series import Points

MOST = 200_000
"""Maximum number of rows that are drawn."""
COLUMNS = ["target", "prediction"]


def points(folder: RunFolder) -> tuple[Points, list[str]]:
    """Scored rows with a target, of the newest refreshes; where labels come later, by label.

    Refreshes are read from the newest back until there are enough rows; if there are more than
    ``MOST``, every so many-th is taken, so the same folder gives the same rows.

    Returns:
        The rows, and the names of the refreshes that they are of, oldest first.

    Raises:
        UserError: if a file holds no predictions.
    """
    parts: list[npt.NDArray[np.float64]] = []
    names = []
    for name, rows in _newest_first(folder):
        if rows.shape[1]:
            parts.append(rows)
            names.append(name)
        if sum(part.shape[1] for part in parts) >= MOST:
            break
    together = np.concatenate([np.empty((2, 0)), *reversed(parts)], axis=1)
    if together.shape[1] > MOST:
        together = together[:, np.linspace(0, together.shape[1] - 1, MOST).astype(np.int64)]
    return Points(*together), names[::-1]


class Newest(NamedTuple):
    """The newest predictions, as a table shows them.

    Attributes:
        refresh: its name.
        columns: their names.
        rows: the values as text; the newest row is the first.
    """

    refresh: str
    columns: list[str]
    rows: list[list[str]]


def newest(folder: RunFolder, schema: Schema, most: int = 20) -> Newest | None:
    """The newest predictions, with the user's own keys and what is kept beside them.

    Args:
        folder: the run's.
        schema: its.
        most: maximum number of rows.

    Returns:
        None if there are none.

    Raises:
        UserError: if a file holds no predictions.
    """
    found = folder.prediction_files()
    if not found:
        return None
    name, shards = list(found.items())[-1]
    try:
        tables = [pq.read_table(pa.BufferReader(files.read_whole(path))) for path in shards]
        table = pa.concat_tables(tables, promote_options="default")
        order = [(column, "descending") for column in ("time", "id")]
        table = table.sort_by(order).slice(0, most)
        key = "key" if "key" in table.column_names else "id"
        kept = [c for c in schema.keep if c in table.column_names and c not in (key, "time")]
        columns = [key, *kept, "time", "target", "prediction", "score", "model"]
        columns = [column for column in dict.fromkeys(columns) if column in table.column_names]
        values = [to_plain(table.column(c).combine_chunks()) for c in columns]
    except FileNotFoundError:  # --overwrite began meanwhile
        return None
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise UserError(f"{shards[0]}: holds no predictions: {error}") from error
    rows = [list(map(cell, row)) for row in zip(*values, strict=True)]
    return Newest(name, columns, rows)


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "\N{EN DASH}"
    return figure(value) if isinstance(value, float) else str(value)


def _newest_first(folder: RunFolder) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """The names of refreshes with their finite targets and predictions, shape (2, rows)."""
    found = folder.outcome_files() or folder.prediction_files()  # which then show no labels
    for name, shards in reversed(found.items()):
        rows = np.concatenate([_rows(path) for path in shards], axis=1)
        yield name, rows[:, np.isfinite(rows).all(axis=0)]


def _rows(path: str) -> npt.NDArray[np.float64]:
    try:
        data = files.read_whole(path)
    except FileNotFoundError:  # --overwrite began meanwhile
        return np.empty((2, 0))
    try:
        table = pq.read_table(pa.BufferReader(data), columns=COLUMNS)
        if pa.types.is_string(table.schema.field("prediction").type):
            return np.empty((2, 0))  # classes have pictures of their own
        return np.stack([table.column(c).cast(pa.float64()).to_numpy() for c in COLUMNS])
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: holds no predictions: {error}") from error
