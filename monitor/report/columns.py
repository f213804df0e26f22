"""What the columns of a run were like over time.

A sample stands for each refresh (up to 1,000 rows), also for those whose model is gone. A run
without samples (``--predictions none``) is described by the manifests of the models that it keeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.asof import format_iso, parse_name
from model.errors import UserError
from model.manifest import Manifest
from model.runs import RunFolder
from model.schema import Schema
from model.statistics import Categorical, Numeric, count_values, summarize
from monitor.report.history import History
from monitor.report.series import Period

PLACES = 200
"""Maximum number of samples that are read: of so many refreshes in a row, the last one's each."""
Statistics = Mapping[str, Numeric | Categorical]


class Described(NamedTuple):
    """Columns over time.

    Attributes:
        source: what the statistics are of, in words.
        places: where in time, in order.
        statistics: at each place, by the column's name.
    """

    source: str
    places: list[Period]
    statistics: list[Statistics]


def describe(folder: RunFolder, history: History, manifests: Mapping[str, Manifest]) -> Described:
    """The target and the features of a run over time.

    Args:
        folder: the run's.
        history: what it did.
        manifests: of the models that it keeps by their names, in the order of time.

    Raises:
        UserError: if a sample is not valid.
    """
    schema = history.settings.data_schema
    samples = {format_iso(parse_name(name)): path for name, path in folder.samples().items()}
    there = [report for report in history.reports if report.refresh_start in samples]
    if there:
        apart = math.ceil(len(there) / PLACES)
        ends = range(len(there), 0, -apart)
        groups = [there[max(0, end - apart) : end] for end in reversed(ends)]
        return Described(
            "up to 1,000 rows of " + ("each refresh" if apart == 1 else f"one refresh in {apart}"),
            [Period(group[0].refresh_start, group[-1].refresh_end) for group in groups],
            [sample_statistics(samples[group[-1].refresh_start], schema) for group in groups],
        )
    return Described(
        "all labelled rows of the windows whose models are kept",
        [history.window(name) for name in manifests],
        [_with_names(manifest.statistics, schema) for manifest in manifests.values()],
    )


def over_time(
    described: Described, name: str
) -> tuple[list[Period], list[Numeric], list[Categorical]]:
    """A column's statistics with their places; one of the two lists is empty."""
    found = [(p, s[name]) for p, s in zip(*described[1:], strict=True) if name in s]
    numeric = [(place, column) for place, column in found if isinstance(column, Numeric)]
    categorical = [(place, column) for place, column in found if isinstance(column, Categorical)]
    places = [place for place, _ in numeric or categorical]
    return places, [c for _, c in numeric], [] if numeric else [c for _, c in categorical]


def null_shares(described: Described) -> dict[str, npt.NDArray[np.float64]]:
    """Which share of its values is null, of each column that has any null: shape (places,)."""
    names = {name: None for each in described.statistics for name in each}
    shares = {
        name: np.array([_null_share(each.get(name)) for each in described.statistics])
        for name in names
    }
    return {name: values for name, values in shares.items() if np.nanmax(values, initial=0) > 0}


def _null_share(column: Numeric | Categorical | None) -> float:
    rows = 0 if column is None else column.count + column.nulls
    return math.nan if column is None or not rows else column.nulls / rows


def sample_statistics(path: str, schema: Schema) -> Statistics:
    """Statistics of a sample's target and features.

    Raises:
        UserError: if the file is not a sample of that schema.
    """
    try:
        table = pq.read_table(pa.BufferReader(files.read_whole(path)))
        found: dict[str, Numeric | Categorical] = {
            name: summarize(table.column(name).cast(pa.float64()).to_numpy())
            for name in (*([] if schema.classifies else [schema.target]), *schema.numeric)
        }
        classes = [schema.target] if schema.classifies else []
        names = (*classes, *schema.categorical)
        found |= {n: count_values(table.column(n).combine_chunks()) for n in names}
    except (pa.ArrowException, KeyError, OSError) as error:
        raise UserError(f"{path}: is not a sample of this run: {error}") from error
    return found


def _with_names(statistics: Statistics, schema: Schema) -> Statistics:
    names = (schema.target, *schema.numeric, *schema.categorical)
    return {name: column for name, column in statistics.items() if name in names}
