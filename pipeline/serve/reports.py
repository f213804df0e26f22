"""What the run folder tells beside its models: reports, status, samples; read as it stands.

A report is written once, so it is read once; figures that later versions add go through.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.batch import text_of
from model.schema import Schema
from pipeline.folder import NAME, RunFolder

KEPT = 10_000
"""Of an endless run so many reports, the newest, are at hand."""
NORMALIZED = " (normalized)"
"""A sample's normalised columns end so."""

Report = dict[str, Any]


@dataclass
class Reports:
    """The reports of a run, each read once; one thread looks, any may read ``known``.

    Attributes:
        folder: of the run.
        known: the newest reports by their files' names, oldest first; never changed in place.
    """

    folder: RunFolder
    known: dict[str, Report] = field(default_factory=dict)

    def look(self) -> list[Report]:
        """Reads what is new, and forgets what is gone.

        Returns:
            The new reports, oldest first.

        Raises:
            OSError: if the folder cannot be read.
        """
        found = {}
        new = []
        for path in files.list_files(self.folder.metrics, f"{NAME}.json")[-KEPT:]:
            name = PurePath(path).stem
            if name not in self.known:
                new.append(json.loads(files.read_whole(path)))
            found[name] = self.known.get(name) or new[-1]
        self.known = found
        return new

    @property
    def newest(self) -> Report | None:
        """The report of the newest refresh."""
        return next(reversed(self.known.values()), None)


def read_json(path: str) -> dict[str, Any] | None:
    """One of the folder's JSON files, or None if it is not there (yet)."""
    try:
        read: dict[str, Any] = json.loads(files.read_whole(path))
    except FileNotFoundError:
        return None
    return read


def newest_sample(folder: RunFolder) -> tuple[str, pa.Table] | None:
    """The newest sample, with the name of its refresh; None if there is none."""
    found = files.list_files(folder.sample, f"{NAME}.parquet")
    if not found:
        return None
    data = files.read_whole(found[-1])
    return PurePath(found[-1]).stem, pq.read_table(io.BytesIO(data))


def raw_columns(sample: pa.Table) -> dict[str, str]:
    """Which of a sample's columns hold rows as they came: the same names."""
    return {c: c for c in sample.column_names if not c.endswith(NORMALIZED)}


def normalized_columns(sample: pa.Table, schema: Schema) -> dict[str, str]:
    """Which of a sample's columns hold normalised rows, and the names that these have in answers.

    Categorical features have no figure: they stand as they came.
    """
    ours = {c: c.removesuffix(NORMALIZED) for c in sample.column_names if c.endswith(NORMALIZED)}
    others = ("id", "time", schema.target, *schema.categorical)
    return {**{c: c for c in others if c in sample.column_names}, **ours}


def rows_of(sample: pa.Table, columns: dict[str, str], most: int) -> list[dict[str, Any]]:
    """The first rows of a sample as dicts, by the names that the columns are given."""
    head = sample.slice(0, most)
    values = [text_of(head.column(name).combine_chunks()) for name in columns]
    return [dict(zip(columns.values(), row, strict=True)) for row in zip(*values, strict=True)]
