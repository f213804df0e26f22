"""Whether a target fits its task: classes cannot be regressed, and numbers are no classes."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from model.categories import canonical_column
from model.classes.decision import find_positive_fault
from model.errors import UserError
from model.numbers import NumberFormat, format_of, parse_numbers
from model.schema import Schema
from model.times import is_text
from model.validation import show_value
from reading.chunks import Plan
from reading.plans import read

ROWS = 10_000
"""Number of first rows that are looked at."""
MOST = 1_000
"""Maximum number of different numbers that may be classes."""


def check_target(
    plan: Plan, schema: Schema, warn: Callable[[str], None] = lambda line: None
) -> Plan:
    """Refuses an input whose target is of another task than the schema's, by its first rows.

    Args:
        plan: of the input.
        schema: of its rows.
        warn: is given a line if none of these rows is of the positive.

    Returns:
        The plan.

    Raises:
        UserError: if most targets are text where numbers are regressed; if they are fractions, or
            more different numbers than there can be classes; if a positive has more than one other
            class beside it.
    """
    found = _first_targets(plan, schema)
    if found is None or not len(found[0]):
        return plan
    values, field = found
    place = f"{plan.files[plan.chunks[0].file].path}: column {schema.target!r} (the target)"
    if not schema.classifies:
        _check_numbers(values, format_of(field), place)
    elif schema.classes is None:
        _check_classes(values, place)
    if schema.classifies and schema.positive is not None:
        _check_positive(values, schema, place, warn)
    return plan


def _check_positive(
    values: pa.Array, schema: Schema, place: str, warn: Callable[[str], None]
) -> None:
    names = canonical_column(values).dictionary.to_pylist()
    fault = find_positive_fault(names, schema)
    if fault is not None:
        raise UserError(
            f"{place}: {fault}: leave positive out, or list two classes in classes, and other "
            "rows are rejected"
        )
    if schema.positive not in names:
        known = ", ".join(map(show_value, sorted(names)[:3]))
        warn(
            f"warning: {place}: none of the first {len(values):,} values is the positive "
            f"{schema.positive!r}; they are {known}"
        )


def _first_targets(plan: Plan, schema: Schema) -> tuple[pa.Array, pa.Field] | None:
    """The targets of the first rows that are not null, and their field; None without a row."""
    if not plan.chunks:
        return None
    chunk = plan.chunks[0]
    batch = next(iter(read(plan.files[chunk.file], chunk, schema, ROWS)), None)
    if batch is None or schema.target not in batch.schema.names:
        return None
    place = batch.schema.get_field_index(schema.target)
    return batch.column(place).drop_null(), batch.schema.field(place)


def _check_numbers(values: pa.Array, form: NumberFormat, place: str) -> None:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not is_text(values.type):
        return
    texts = values.cast(pa.string())
    _, bad = parse_numbers(texts, form)
    if 2 * int(bad.sum()) <= len(texts):
        return
    found = pc.value_counts(texts.filter(pa.array(bad))).to_pylist()
    few = sorted(found, key=lambda one: -one["counts"])[:3]
    shown = ", ".join(show_value(one["values"]) for one in few)
    raise UserError(
        f"{place}: {int(bad.sum()):,} of the first {len(texts):,} values are not numbers, as "
        f'{shown}: if it is a class, set task = "classification" in the schema'
    )


def _check_classes(values: pa.Array, place: str) -> None:
    texts = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
    distinct = texts.cast(pa.string()).unique()
    numbers, bad = parse_numbers(distinct)
    if bad.any():
        return
    whole = pc.all(pc.equal(numbers, pc.floor(numbers))).as_py()
    if (whole and len(distinct) <= MOST) or len(distinct) <= 20:
        return
    raise UserError(
        f"{place}: has {len(distinct):,} different numbers in the first {len(values):,} rows: to "
        'predict a number set task = "regression" in the schema; if they are classes, list them in '
        "classes"
    )
