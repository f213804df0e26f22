"""What the run folder has beside models: reports, status, samples; read as they are.

A report is written once, so it is read once; figures that later versions add go through. Each file
is checked alone: one that is not as a run writes it is skipped, and the others are shown.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AwareDatetime, BaseModel, Field, FiniteFloat, ValidationError
from pydantic_core import to_json

from model import files
from model.batch import to_plain
from model.metrics import STREAM_COUNTS
from model.problems import explain
from model.runs import RunFolder, parse_json
from model.schema import Schema
from monitor.newest import NewestFiles
from monitor.serve.damage import Damaged

KEPT = 10_000
"""Of an endless run so many reports, the newest, are at hand."""
SAMPLES = 5
"""Maximum number of samples that are tried until one can be read."""
NORMALIZED = " (normalized)"
"""A sample's normalised columns end so."""

COUNTED = ("rows", "scored", "unlabelled", "late", "rejected")
"""What is summed over all reports."""
LABEL_COUNTS = ("answered", "expired")
"""What is summed, too, where labels have a time of their own."""
Report = dict[str, Any]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Figure = FiniteFloat | None
Shifts = dict[str, Figure]


class Drift(BaseModel):
    """How far columns have drifted, by measure; later versions may add some."""

    features: dict[str, Shifts]
    prediction: Shifts
    shares: dict[str, FiniteFloat] | None = None


class RequiredFields(BaseModel):
    """What a report has to have, so that it can be shown; what it has beside that goes through."""

    refresh_start: AwareDatetime
    refresh_end: AwareDatetime
    model: str | None
    rows: Count
    scored: Count
    unlabelled: Count
    late: Count
    rejected: Count
    mae: Figure = None
    rmse: Figure = None
    r2: Figure = None
    baseline_mae: Figure = None
    skill: Figure = None
    labelled: Count = 0
    answered: Count = 0
    expired: Count = 0
    label_late: Count = 0
    drift: Drift | None = None


class Reports:
    """The reports of a run, each read once; one thread looks, any may read ``known``.

    Args:
        folder: of the run.

    Attributes:
        totals: ``refreshes``, and the sums of ``COUNTED``, of all that were ever known.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.totals: Counter[str] = Counter()
        self._newest = NewestFiles(folder.metrics, "json", parse_report, KEPT)

    @property
    def known(self) -> dict[str, Report]:
        """The newest reports by their files' names, oldest first; never changed in place."""
        return self._newest.kept

    @property
    def damaged(self) -> dict[str, str]:
        """Why others among the newest cannot be read, by their paths."""
        return self._newest.damaged

    @property
    def newest(self) -> Report | None:
        """The report of the newest refresh."""
        return next(reversed(self.known.values()), None)

    def look(self) -> list[Report]:
        """Reads what is new, and forgets what is gone. A report that cannot be read is skipped.

        Returns:
            The new reports, oldest first.

        Raises:
            OSError: if the folder cannot be read.
        """
        new = list(self._newest.look().values())
        for report in new:
            self.totals.update({name: report[name] for name in COUNTED}, refreshes=1)
            self.totals.update({name: report[name] for name in LABEL_COUNTS if name in report})
            if "duplicates" in report:
                counts = {name: report.get(name) for name in ("label_late", *STREAM_COUNTS)}
                whole = {name: one for name, one in counts.items() if isinstance(one, int)}
                self.totals.update(whole)
        return new


def parse_report(data: bytes) -> Report:
    """A report, as it stands.

    Raises:
        ValueError: if it is not one.
    """
    report = parse_json(data)
    RequiredFields.model_validate(report)
    return report


def read_json(path: str) -> dict[str, Any] | None:
    """One of the folder's JSON files, or None if it is not there (yet) or damaged."""
    try:
        return parse_json(files.read_whole(path))
    except (OSError, ValueError):
        return None


def explain_unreadable(error: Exception) -> str:
    """Why a file cannot be read, in a line."""
    return explain(error) if isinstance(error, ValidationError) else str(error)


def newest_sample(
    folder: RunFolder, most: int, columns: Callable[[pa.Table], dict[str, str]], damaged: Damaged
) -> tuple[str, list[dict[str, Any]]] | None:
    """The first rows of the newest sample that can be read, with the name of its refresh.

    Args:
        folder: the run's.
        most: maximum number of rows.
        columns: chooses columns of a sample, and gives them names.
        damaged: notes the samples that cannot be read.

    Returns:
        None if there is no sample.
    """
    found = list(folder.samples().items())
    for name, path in found[: -SAMPLES - 1 : -1]:
        file = f"sample/{name}.parquet"
        try:
            sample = pq.read_table(io.BytesIO(files.read_whole(path)))
            rows = rows_of(sample, columns(sample), most)
            to_json(rows)
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            damaged.note(file, error)
            continue
        damaged.forget(file)
        return name, rows
    return None


def raw_columns(sample: pa.Table) -> dict[str, str]:
    """Which of a sample's columns hold rows as they came: the same names."""
    return {c: c for c in sample.column_names if not c.endswith(NORMALIZED)}


def find_normalized(sample: pa.Table, schema: Schema) -> dict[str, str]:
    """Which of a sample's columns hold normalised rows, and the names that these have in answers.

    Categorical features have no figure: they stand as they came.
    """
    ours = {c: c.removesuffix(NORMALIZED) for c in sample.column_names if c.endswith(NORMALIZED)}
    others = ("id", "time", schema.target, *schema.categorical)
    return {**{c: c for c in others if c in sample.column_names}, **ours}


def rows_of(sample: pa.Table, columns: dict[str, str], most: int) -> list[dict[str, Any]]:
    """The first rows of a sample as dicts, by the names that the columns are given."""
    head = sample.slice(0, most)
    values = [to_plain(head.column(name).combine_chunks()) for name in columns]
    return [dict(zip(columns.values(), row, strict=True)) for row in zip(*values, strict=True)]
