"""What ``check`` shows of the categorical features of files: which have many values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from model.batch import Key, Tag, with_tag
from model.errors import UserError
from model.manifest import keep_all, share_other
from model.reach import reach
from model.schema import Schema
from model.statistics import MAX_CATEGORIES
from model.validation import validate
from model.wording import first_line
from pipeline.settings import Settings
from reading.plans import read_first

ROWS = 100_000
"""Maximum number of the files' first rows that are looked at."""
LEAST = np.iinfo(np.int64).min


@contextmanager
def reading_input(settings: Settings) -> Iterator[None]:
    """While it lasts the input is read, which can be reached.

    Raises:
        UserError: if it cannot be reached, or read.
    """
    reach(str(settings.input), "--input")
    try:
        yield
    except OSError as error:
        raise UserError(f"--input {settings.input}: cannot be read: {first_line(error)}") from error


def describe_categories(settings: Settings) -> Iterator[str]:
    """A line for each feature of whose values some have no column of their own.

    Raises:
        UserError: if there are no files, or one cannot be read.
    """
    schema = settings.row_schema
    encoders = schema.encoders
    columns = {
        name: schema.max_categories.get(name, MAX_CATEGORIES)
        for name in schema.categorical
        if name not in encoders or encoders[name].encoder == "onehot"
    }
    if not columns:
        return
    with reading_input(settings):
        rows, counts = count_values(read_first(str(settings.input), schema, ROWS), schema, columns)
    for name, most in columns.items():
        values = counts[name]
        if len(values) > most:
            kept = sum(count for _, count in values.most_common(most))
            share = (values.total() - kept) / rows
            found = share_other(name, len(values), most, share)
            yield f"first {rows:,} rows: {found}; {keep_all(len(values), schema.task)}"


def count_values(
    batches: Iterable[pa.RecordBatch], schema: Schema, names: Iterable[str]
) -> tuple[int, dict[str, Counter[str]]]:
    """The number of accepted rows, and of each feature how many of them have which value."""
    rows, counts = 0, {name: Counter[str]() for name in names}
    for raw in batches:
        accepted, _ = validate(with_tag(raw, Tag(Key(0, 0, 0), LEAST, "", 0)), schema)
        rows += accepted.num_rows
        for name, counter in counts.items():
            found = accepted.column(name).drop_null().value_counts()
            values, numbers = found.field("values").to_pylist(), found.field("counts").to_pylist()
            counter.update(dict(zip(values, numbers, strict=True)))
    return rows, counts
