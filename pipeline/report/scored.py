"""Scored rows of a run: what was predicted and what came true, from the newest predictions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.errors import UserError
from pipeline.folder import NAME, RunFolder
from pipeline.report.pictures import Points

MOST = 200_000
"""So many rows at most are drawn."""
COLUMNS = ["target", "prediction"]


def points(folder: RunFolder) -> tuple[Points, list[str]]:
    """Scored rows with a target, of the newest refreshes.

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


def _newest_first(folder: RunFolder) -> Iterator[tuple[str, npt.NDArray[np.float64]]]:
    """The names of refreshes with their finite targets and predictions, shape (2, rows)."""
    shards: dict[str, list[str]] = {}
    for path in files.list_files(folder.predictions, f"{NAME}/*.parquet"):
        shards.setdefault(PurePath(path).parent.name, []).append(path)
    for name in sorted(shards, reverse=True):
        rows = np.concatenate([_rows(path) for path in shards[name]], axis=1)
        yield name, rows[:, np.isfinite(rows).all(axis=0)]


def _rows(path: str) -> npt.NDArray[np.float64]:
    try:
        data = files.read_whole(path)
    except FileNotFoundError:  # --overwrite began meanwhile
        return np.empty((2, 0))
    try:
        table = pq.read_table(pa.BufferReader(data), columns=COLUMNS)
        return np.stack([table.column(c).cast(pa.float64()).to_numpy() for c in COLUMNS])
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: holds no predictions: {error}") from error
