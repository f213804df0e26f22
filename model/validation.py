"""Validation: which rows of a source's batch fit the schema, and why the others do not.

A raw batch goes in, whatever types its columns have; an accepted batch (``model.batch``) and
a ``Reject`` for each other row come out. No row is lost: accepted plus rejected is all. On a
clean batch nothing is looked at row by row, and float64 columns are not copied.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from reprlib import Repr

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from model.batch import (
    CATEGORY_TYPE,
    ID,
    LABEL,
    LATE,
    LINE,
    PROBLEM,
    READ,
    TEXT,
    TIME,
    TIME_TYPE,
    accepted_schema,
    all_within,
    event_times,
    filter_rows,
    tag_of,
    to_micros,
    to_plain,
)
from model.calendar import derive
from model.carried import KEYS, SCALARS, is_key, is_scalar, take_mask, to_keys, to_texts
from model.categories import CATEGORIES, canonical_column, is_category
from model.label_stream import LabelSchema
from model.numbers import explain_number, format_of, parse_numbers
from model.schema import Schema
from model.times import (
    describe_times,
    find_skipped,
    is_blank,
    is_text,
    is_time,
    read_optional_times,
)

NUMBERS = "must be a finite number or null"
"""What the target and a numeric feature may be, for messages."""
GREATEST = 1e150
"""No number may be greater, positive or negative: squares are summed, and must stay finite."""
SMALLER = f"must be a number from {-GREATEST:g} to {GREATEST:g} or null"
_FLOAT64 = pa.float64()
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 60


@dataclass(frozen=True)
class Reject:
    """A row that does not fit the schema.

    Attributes:
        row: the schema's columns as they were read (a dict), or the row's text.
        reason: one line that names the column, the value and what it must be.
        where: ``file:line``.
        at: the stamp of its batch, microseconds.
        dated: whether its event time could be read.
    """

    row: object
    reason: str
    where: str
    at: int
    dated: bool

    def as_json(self) -> str:
        """One NDJSON line of row, reason and where; a float that is not finite is text.

        Example:
            >>> print(Reject({"x": math.inf}, "column 'x': inf", "a.csv:2", 0, True).as_json())
            {"row": {"x": "inf"}, "reason": "column 'x': inf", "where": "a.csv:2"}
        """
        line = {"row": _plain(self.row), "reason": self.reason, "where": self.where}
        return json.dumps(line, ensure_ascii=False, allow_nan=False, default=str)


def show_value(value: object) -> str:
    """A value as a message shows it: null for None, long ones shortened."""
    return "null" if value is None else _REPR.repr(value)


def explain_missing(name: str) -> str:
    """The reason for a row without a column that the schema names."""
    return f"column {name!r} is missing: every row needs it (null is allowed)"


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of that type can be the target or a numeric feature, text apart."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_number(kind.value_type)
    tests = (types.is_floating, types.is_integer, types.is_decimal, types.is_boolean, types.is_null)
    return any(test(kind) for test in tests)


def validate(
    raw: pa.RecordBatch, schema: Schema, clean: bool = False
) -> tuple[pa.RecordBatch, list[Reject]]:
    """Parts a raw batch into the rows that fit the schema and those that do not.

    A row is rejected for the first of these: its source could not read it, it has no readable
    event time, its target or a numeric feature is infinite or is text, a column has a type
    that cannot serve or is absent, a column of times for calendar features cannot be read (null is
    allowed), it has a target or a label time without the other, its label
    time cannot be read or is before its event time. NaN is a null. Numbers as text are read (a
    CSV's); the words in ``NULL_WORDS`` are nulls there. Columns that the schema does not name are
    ignored.

    Args:
        raw: a tagged raw batch; the time's own column may be absent.
        schema: of its rows.
        clean: whether all rows are known to fit: float64 columns are not looked through then.

    Returns:
        The accepted batch with the same tag (it may have no rows), and the rejects in order.

    Raises:
        ValueError: if a row is rejected and the batch has no tag.

    Example:
        >>> from model.batch import Key, Tag, TIME_TYPE, with_tag
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> raw = pa.record_batch({
        ...     ID: pa.array([0, 1]), TIME: pa.array([5, 6], TIME_TYPE),
        ...     LATE: pa.array([False, False]), "y": [1, 2], "x": [None, math.inf]})
        >>> tag = Tag(Key(0, 0, 0), 5, "a.csv", 2)
        >>> accepted, rejects = validate(with_tag(raw, tag), schema)
        >>> accepted.column("y").to_pylist(), rejects[0].where, rejects[0].reason
        ([1.0], 'a.csv:3', "column 'x': inf: must be a finite number or null")
    """
    reasons: dict[int, str] = {}
    _find_problems(raw, reasons)
    _find_undated(raw, schema, reasons)
    columns = [raw.column(name) for name in (ID, TIME, LATE)]
    read_target = _classes if schema.classifies else _target
    columns.append(read_target(raw, schema, reasons, clean))
    columns += [_numbers(raw, name, reasons, clean) for name in schema.read_numeric]
    for source, features in schema.calendar.items():
        times = raw.column(TIME)
        if source != schema.time:  # whose rows without one have a reason already
            times = _optional_times(raw, source, schema, reasons)
        columns += map(pa.array, derive(times, features, schema.time_zone))
    columns += [_categories(raw, name, reasons) for name in schema.categorical]
    columns += [_labels(raw, columns[3], schema, reasons)] if schema.has_label_time else []
    columns += [] if schema.id is None else [_keys(raw, schema.id, reasons)]
    if isinstance(schema, LabelSchema):
        _find_incomplete(raw, columns, schema, reasons)
    columns += [_kept_as_text(raw, name, reasons) for name in schema.passed]
    layout = accepted_schema(schema).with_metadata(raw.schema.metadata)
    accepted = pa.RecordBatch.from_arrays(columns, schema=layout)
    if not reasons:
        return accepted, []
    keep = np.ones(raw.num_rows, np.bool_)
    keep[list(reasons)] = False
    return filter_rows(accepted, keep), _rejects(raw, schema, reasons)


def _find_problems(raw: pa.RecordBatch, reasons: dict[int, str]) -> None:
    if raw.schema.get_field_index(PROBLEM) < 0:
        return
    problems = raw.column(PROBLEM)
    for row in np.flatnonzero(problems.is_valid().to_numpy(zero_copy_only=False)).tolist():
        reasons[row] = problems[row].as_py()


def _find_undated(raw: pa.RecordBatch, schema: Schema, reasons: dict[int, str]) -> None:
    times = raw.column(TIME)
    if not times.null_count:
        return
    name = schema.time
    values = raw.column(name) if raw.schema.get_field_index(name) >= 0 else times
    undated = times.is_null().to_numpy(zero_copy_only=False)
    place = f"column {name!r} (the time)"
    if schema.time_zone is not None:
        skipped = find_skipped(values, schema).to_numpy(zero_copy_only=False)
        _note(values, undated & skipped, place, f"{schema.time_zone}'s clocks skip it", reasons)
    _note(values, undated, place, describe_times(schema), reasons)


def _target(raw: pa.RecordBatch, schema: Schema, reasons: dict[int, str], clean: bool) -> pa.Array:
    """The target, all null where labels are a stream of their own."""
    if schema.labels is not None:
        return pa.array(np.full(raw.num_rows, math.nan))
    return _numbers(raw, schema.target, reasons, clean)


def _find_incomplete(
    raw: pa.RecordBatch, columns: list[pa.Array], schema: LabelSchema, reasons: dict[int, str]
) -> None:
    """Notes the labels without a target, or without the key of their question."""
    target, keys = columns[3], columns[-1]
    empty = (
        target.is_null() if schema.classifies else np.isnan(target.to_numpy(zero_copy_only=False))
    )
    places = {schema.target: (empty, "the target"), str(schema.id): (keys.is_null(), "the id")}
    for name, (mask, role) in places.items():
        lacking = np.asarray(mask, np.bool_)
        if lacking.any() and name in raw.schema.names:
            _note(raw.column(name), lacking, f"column {name!r} ({role})", "must be there", reasons)


def _numbers(raw: pa.RecordBatch, name: str, reasons: dict[int, str], clean: bool) -> pa.Array:
    """A column as float64 without nulls; notes the rows that are infinite, too great or text."""
    if _absent(raw, name, reasons):
        return pa.array(np.full(raw.num_rows, math.nan))
    values = raw.column(name)
    if values.type == _FLOAT64 and not values.null_count and (clean or _fits(values)):
        return values
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    bad: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
    if is_text(values.type):
        numbers, bad = parse_numbers(values, format_of(raw.schema.field(name)))
    elif is_number(values.type):
        numbers = values.cast(pa.float64(), safe=False)
    else:
        _note_type(raw, name, NUMBERS, reasons)
        return pa.array(np.full(raw.num_rows, math.nan))
    if numbers.null_count:
        numbers = numbers.fill_null(math.nan)
    floats = numbers.to_numpy(zero_copy_only=True)
    beyond = np.abs(floats) > GREATEST
    if beyond.any():
        _note(values, np.isinf(floats), f"column {name!r}", NUMBERS, reasons)
        _note(values, beyond, f"column {name!r}", SMALLER, reasons)
    if bad.any():
        _note(values, bad, f"column {name!r}", NUMBERS, reasons)
    return numbers


def _classes(raw: pa.RecordBatch, schema: Schema, reasons: dict[int, str], clean: bool) -> pa.Array:
    """The target as classes; notes the rows whose class is none of the schema's."""
    if schema.labels is not None:  # a stream of their own
        return pa.nulls(raw.num_rows, CATEGORY_TYPE)
    found = _categories(raw, schema.target, reasons)
    if schema.classes is None:
        return found
    names = found.dictionary.to_pylist()
    foreign = np.array([name not in schema.classes for name in names], np.bool_)
    if foreign.any():
        bad = take_mask(foreign, found.indices)
        _note(found, bad, f"column {schema.target!r}", one_of(schema.classes), reasons)
    return found


def one_of(classes: tuple[str, ...]) -> str:
    """What a target must be, for messages.

    Example:
        >>> one_of(("no", "yes"))
        'must be one of the classes no, yes, or null'
    """
    few = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
    return f"must be one of the classes {few}, or null"


def _fits(values: pa.Array) -> bool:
    return all_within(values.to_numpy(zero_copy_only=True), -GREATEST, GREATEST)


def _categories(raw: pa.RecordBatch, name: str, reasons: dict[int, str]) -> pa.Array:
    """A column as dictionary<int32, string> of canonical values."""
    if _absent(raw, name, reasons):
        return pa.nulls(raw.num_rows, CATEGORY_TYPE)
    values = raw.column(name)
    if not is_category(values.type):
        _note_type(raw, name, CATEGORIES, reasons)
        return pa.nulls(raw.num_rows, CATEGORY_TYPE)
    return canonical_column(values)


def _optional_times(
    raw: pa.RecordBatch, name: str, schema: Schema, reasons: dict[int, str]
) -> pa.Array:
    """A column of times that may be null; notes the rows whose time cannot be read."""
    if _absent(raw, name, reasons):
        return pa.nulls(raw.num_rows, TIME_TYPE)
    values = raw.column(name)
    if not is_time(values.type):
        _note_type(raw, name, describe_times(schema), reasons)
        return pa.nulls(raw.num_rows, TIME_TYPE)
    read = READ + name
    times = raw.column(read) if read in raw.schema.names else read_optional_times(values, schema)
    if times.null_count:
        unread = times.is_null().to_numpy(zero_copy_only=False) & ~is_blank(values)
        _note(values, unread, f"column {name!r}", f"{describe_times(schema)}, or null", reasons)
    return times


def _labels(
    raw: pa.RecordBatch, target: pa.Array, schema: Schema, reasons: dict[int, str]
) -> pa.Array:
    """When each row's label became known; notes the rows that have only one of label and time."""
    name = str(schema.label_time)
    if _absent(raw, name, reasons):
        return pa.nulls(raw.num_rows, TIME_TYPE)
    values = raw.column(name)
    if not is_time(values.type):
        _note_type(raw, name, describe_times(schema), reasons)
        return pa.nulls(raw.num_rows, TIME_TYPE)
    times = raw.column(LABEL) if LABEL in raw.schema.names else read_optional_times(values, schema)
    given = ~is_blank(values)
    known = times.is_valid().to_numpy(zero_copy_only=False)
    if schema.classifies:
        labelled = target.is_valid().to_numpy(zero_copy_only=False)
    else:
        labelled = ~np.isnan(target.to_numpy(zero_copy_only=False))
    place = f"column {name!r} (the label's time)"
    _note(values, given & ~known, place, describe_times(schema), reasons)
    _note(values, known & ~labelled, place, f"{schema.target!r} must be there too", reasons)
    lacking = f"must be there where {schema.target!r} is (null in both: an open question)"
    _note(values, labelled & ~known, place, lacking, reasons)
    early = known & (to_micros(times) < event_times(raw))
    _note(values, early, place, f"must not be before {schema.time!r}, the question's", reasons)
    return times


def _keys(raw: pa.RecordBatch, name: str, reasons: dict[int, str]) -> pa.Array:
    """The user's keys; notes the rows whose value is none."""
    if _absent(raw, name, reasons):
        return pa.nulls(raw.num_rows, pa.string())
    values = raw.column(name)
    if not is_key(values.type):
        _note_type(raw, name, KEYS, reasons)
        return pa.nulls(raw.num_rows, pa.string())
    found, bad = to_keys(values)
    if bad.any():
        _note(values, bad, f"column {name!r} (the id)", KEYS, reasons)
    return found


def _kept_as_text(raw: pa.RecordBatch, name: str, reasons: dict[int, str]) -> pa.Array:
    """A column that is kept, as text."""
    if _absent(raw, name, reasons):
        return pa.nulls(raw.num_rows, pa.string())
    if not is_scalar(raw.schema.field(name).type):
        _note_type(raw, name, SCALARS, reasons)
        return pa.nulls(raw.num_rows, pa.string())
    return to_texts(raw.column(name))


def _absent(raw: pa.RecordBatch, name: str, reasons: dict[int, str]) -> bool:
    if raw.schema.get_field_index(name) >= 0:
        return False
    _note_all(raw, explain_missing(name), reasons)
    return True


def _note_type(raw: pa.RecordBatch, name: str, allowed: str, reasons: dict[int, str]) -> None:
    kind = raw.schema.field(name).type
    _note_all(raw, f"column {name!r} is of type {kind}: {allowed}", reasons)


def _note_all(raw: pa.RecordBatch, reason: str, reasons: dict[int, str]) -> None:
    for row in range(raw.num_rows):
        reasons.setdefault(row, reason)


def _note(
    values: pa.Array,
    mask: npt.NDArray[np.bool_],
    place: str,
    allowed: str,
    reasons: dict[int, str],
) -> None:
    """Notes place, value and what is expected for the masked rows without a reason."""
    rows = np.flatnonzero(mask)
    for row, value in zip(rows.tolist(), _as_read(values.take(pa.array(rows))), strict=True):
        wanted = explain_number(value, allowed) if allowed == NUMBERS else allowed
        reasons.setdefault(row, f"{place}: {show_value(value)}: {wanted}")


def _rejects(raw: pa.RecordBatch, schema: Schema, reasons: dict[int, str]) -> list[Reject]:
    tag = tag_of(raw)
    rows = sorted(reasons)
    bad = raw.take(pa.array(rows, pa.int64()))
    have = set(raw.schema.names)
    names = [name for name in schema.columns if name in have]
    values = zip(*(_as_read(bad.column(name)) for name in names), strict=True)
    cells = list(values) if names else [()] * len(rows)
    texts = bad.column(TEXT).to_pylist() if TEXT in have else [None] * len(rows)
    lines = pc.add(bad.column(ID), tag.line)
    if LINE in have:
        lines = pc.coalesce(bad.column(LINE), lines)
    return [
        Reject(
            dict(zip(names, cell, strict=True)) if text is None else text,
            reasons[row],
            f"{tag.where}{line}" if tag.where.endswith("/") else f"{tag.where}:{line}",
            tag.at,
            dated,
        )
        for row, cell, text, line, dated in zip(
            rows,
            cells,
            texts,
            lines.to_pylist(),
            bad.column(TIME).is_valid().to_pylist(),
            strict=True,
        )
    ]


def _as_read(values: pa.Array) -> list[object]:
    """A column's values as plain Python; dates and times as text, in UTC."""
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp(values.type.unit, tz="UTC"))
    elif pa.types.is_temporal(values.type):
        values = values.cast(pa.string())
    return to_plain(values)


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [_plain(inner) for inner in value]
    return value
