"""Whether a target fits its task: classes cannot be regressed, and numbers are no classes."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from model.batch import PROBLEM
from model.categories import canonical_column
from model.classes.decision import find_positive_fault
from model.errors import UserError
from model.numbers import NumberFormat, format_of, parse_numbers
from model.schema import Schema
from model.times import is_text
from model.validation import show_value
from reading.chunks import Plan
from reading.plans import read, read_first

ROWS = 10_000
"""Number of first rows that are looked at."""
MOST = 1_000
"""Maximum number of different numbers that may be classes."""
FEW = 10
"""Maximum number of different whole numbers that look like classes where numbers are regressed."""
ENOUGH = 100
"""Minimum number of values of which it is news that few are different, or most."""
REGRESS = 'set task = "regression" in the schema'
CLASSIFY = 'if it is a class, set task = "classification" in the schema'
BOOLEANS = ["true", "false"]


def check_target(
    plan: Plan, schema: Schema, warn: Callable[[str], None] = lambda line: None
) -> Plan:
    """Refuses an input whose target is of another task than the schema's, by its first rows.

    Args:
        plan: of the input.
        schema: of its rows.
        warn: is given a line if the target may be of another task, has hardly a value twice where
            it is a class, or has no value that is the positive.

    Returns:
        The plan.

    Raises:
        UserError: if most targets are text where numbers are regressed; if they are fractions, or
            more different numbers than there can be classes; if a positive has more than one other
            class beside it.
    """
    if plan.chunks:
        chunk = plan.chunks[0]
        file = plan.files[chunk.file]
        check_rows(next(iter(read(file, chunk, schema, ROWS)), None), schema, file.path, warn)
    return plan


def check_first_target(pattern: str, schema: Schema, warn: Callable[[str], None]) -> None:
    """Does what ``check_target`` does before there is a plan: only the first rows are read.

    Args:
        pattern: a path or a glob, as for ``reading.plan``.
        schema: of the rows.
        warn: as for ``check_target``.

    Raises:
        UserError: as ``check_target``, and as ``reading.plan`` of the files that are looked at.
        OSError: if a file cannot be read any more.
    """
    check_rows(next(read_first(pattern, schema, ROWS), None), schema, pattern, warn)


def check_rows(
    batch: pa.RecordBatch | None, schema: Schema, path: str, warn: Callable[[str], None]
) -> None:
    """Does what ``check_target`` does, of rows that have been read.

    Args:
        batch: the first rows; None, and rows without the target, are not looked at.
        schema: of the rows.
        path: where they come from, as a message names it.
        warn: as for ``check_target``.

    Raises:
        UserError: as ``check_target``.
    """
    if batch is None or schema.target not in batch.schema.names:
        return
    place = f"{path}: column {schema.target!r} (the target)"
    if not schema.classifies:
        _check_problems(batch, schema, place)
    field = batch.schema.field(batch.schema.get_field_index(schema.target))
    values = batch.column(schema.target).drop_null()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not len(values) or pa.types.is_nested(values.type):
        return

    def warn_of(message: str) -> None:
        warn(f"warning: {place}: {message}")

    if not schema.classifies:
        _check_numbers(values, format_of(field), place, warn_of)
    elif schema.classes is None:
        _check_classes(values, place, warn_of)
    if schema.classifies and schema.positive is not None:
        _check_positive(values, schema, place, warn_of)


def _check_problems(batch: pa.RecordBatch, schema: Schema, place: str) -> None:
    """Checks the rows of which reading says that their target is no number, as JSON has them."""
    if PROBLEM not in batch.schema.names:
        return
    start = f"column {schema.target!r}: "
    found = batch.column(PROBLEM).drop_null()
    found = found.filter(pc.starts_with(found, start))
    if 2 * len(found) > batch.num_rows:
        raise UserError(
            f"{place}: {len(found):,} of the first {batch.num_rows:,} rows are no numbers, as "
            f"{found[0].as_py().removeprefix(start)}: {CLASSIFY}"
        )


def _check_positive(
    values: pa.Array, schema: Schema, place: str, warn: Callable[[str], None]
) -> None:
    names = canonical_column(values).dictionary.to_pylist()
    # with classes in the schema, rows of others are rejected
    fault = None if schema.classes is not None else find_positive_fault(names, schema)
    if fault is not None:
        raise UserError(
            f"{place}: {fault}: leave positive out, or list two classes in classes, and other "
            "rows are rejected"
        )
    if schema.positive not in names:
        known = ", ".join(map(show_value, sorted(names)[:3]))
        warn(
            f"none of the first {len(values):,} values is the positive {schema.positive!r}; they "
            f"are {known}"
        )


def _check_numbers(
    values: pa.Array, form: NumberFormat, place: str, warn: Callable[[str], None]
) -> None:
    """Checks a target that is to be regressed."""
    texts = values.cast(pa.string())
    numbers, bad = parse_numbers(texts, form)
    if is_text(values.type) and 2 * int(bad.sum()) > len(texts):
        shown = _show_frequent(texts.filter(pa.array(bad)))
        raise UserError(
            f"{place}: {int(bad.sum()):,} of the first {len(texts):,} values are not numbers, as "
            f"{shown}: {CLASSIFY}"
        )
    if pc.all(pc.is_in(pc.utf8_lower(texts), pa.array(BOOLEANS))).as_py():
        warn(f"all of the first {len(values):,} values are true or false: {CLASSIFY}")
        return
    known = pa.array(numbers).filter(pa.array(~bad))
    distinct = pc.unique(known)
    if _are_whole(distinct) and len(known) >= ENOUGH and 2 <= len(distinct) <= FEW:
        shown = ", ".join(f"{number:g}" for number in sorted(distinct.to_pylist())[:3])
        more = ", ..." if len(distinct) > 3 else ""
        warn(
            f"the first {len(values):,} values are only {len(distinct)} whole numbers, {shown}"
            f"{more}: {CLASSIFY}"
        )


def _check_classes(values: pa.Array, place: str, warn: Callable[[str], None]) -> None:
    """Checks a target that is to be a class, of which the schema does not say which there are."""
    texts = values.cast(pa.string())
    distinct = texts.unique()
    numbers, bad = parse_numbers(distinct)
    known = pa.array(numbers).filter(pa.array(~bad))
    whole = _are_whole(known)
    if len(known) == len(distinct) and len(known) > (MOST if whole else 20):
        raise UserError(
            f"{place}: has {len(distinct):,} different numbers in the first {len(values):,} rows: "
            f"to predict a number {REGRESS}; if they are classes, list them in classes"
        )
    if 10 * len(distinct) > len(values) >= ENOUGH or len(distinct) >= MOST:
        warn(
            f"has {len(distinct):,} different values in the first {len(values):,} rows, and each "
            f"is a class: if it is a number, {REGRESS}; if it is a key or free text, name another "
            "target"
        )
    elif alike := _find_alike(canonical_column(values).dictionary.to_pylist()):
        shown = ", ".join(map(show_value, alike[:3]))
        warn(f"{shown} are {len(alike)} classes: they differ in upper case alone")
    elif not whole:
        warn(f"has fractions, as {_show_fraction(known)}: to predict a number {REGRESS}")


def _find_alike(names: list[str]) -> list[str]:
    """The first names that differ in upper case alone; none if there are none."""
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(name.casefold(), []).append(name)
    return next((found for found in alike.values() if len(found) > 1), [])


def _show_frequent(texts: pa.Array) -> str:
    """The three most frequent values."""
    found = pc.value_counts(texts).to_pylist()
    few = sorted(found, key=lambda one: -one["counts"])[:3]
    return ", ".join(show_value(one["values"]) for one in few)


def _are_whole(numbers: pa.Array) -> bool:
    return bool(pc.all(pc.equal(numbers, pc.floor(numbers)), min_count=0).as_py())


def _show_fraction(numbers: pa.Array) -> str:
    fractions = numbers.filter(pc.not_equal(numbers, pc.floor(numbers)))
    return f"{fractions[0].as_py():g}"
