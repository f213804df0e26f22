"""Why rows were rejected: reasons that differ in a value alone are one.

A reason names the column, the value and what it must be (``model.validation``). The value is
different in each row, so it is left out, and rows are counted by the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from model import files
from model.errors import UserError
from model.label_stream import REJECTS, LabelSchema
from model.runs import RunFolder
from model.schema import Schema

MOST = 50_000
"""Maximum number of rejects that are read, the newest first."""
KINDS = 20
"""Maximum number of kinds of reasons that are shown, the most frequent first."""
JSON_PLACE = re.compile(r": line \d+ column \d+ \(char \d+\)$")
LONGEST = 300
"""An example's value and a reason have so many characters at most."""


@dataclass
class RejectKind:
    """Rows that were rejected for the same reason.

    Attributes:
        reason: without the value.
        rows: how many.
        example: one of them, whole: its reason.
        where: where that one stands, as ``file:line``.
    """

    reason: str
    rows: int
    example: str
    where: str


def count_reasons(
    folder: RunFolder, schema: Schema, labels: bool | None = None
) -> tuple[list[RejectKind], int]:
    """The rejects of a run by reason, the most frequent first, and how many were looked at.

    Args:
        folder: the run's.
        schema: of its rows.
        labels: whether only rejected labels count, of a stream of their own, or only other rows;
            None: all do.

    Raises:
        UserError: if a file of rejects holds anything else.
    """
    found: dict[str, RejectKind] = {}
    number = 0
    schemas = {False: schema, True: schema if schema.labels is None else LabelSchema.of(schema)}
    for number, (is_label, reject) in enumerate(_newest_first(folder, labels), 1):
        reason_text, where = str(reject.get("reason")), str(reject.get("where"))
        reason = without_value(reason_text, schemas[is_label])
        kind = found.setdefault(
            reason, RejectKind(reason, 0, reason_text[:LONGEST], where[:LONGEST])
        )
        kind.rows += 1
        if number == MOST:
            break
    ranked = sorted(found.values(), key=lambda kind: (-kind.rows, kind.reason))
    return ranked[:KINDS], number


def without_value(reason: str, schema: Schema) -> str:
    """A reason without the value that it names.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> without_value("column 'y': 'a: b': must be a finite number or null", schema)
        "column 'y': must be a finite number or null"
        >>> without_value("is not JSON: Expecting value: line 1 column 8 (char 7)", schema)
        'is not JSON: Expecting value'
    """
    for name in schema.columns:
        for place in (f"column {name!r}", f"column {name!r} (the time)"):
            value, colon, allowed = reason.removeprefix(f"{place}: ").rpartition(": ")
            if colon and reason.startswith(f"{place}: {value}"):
                return f"{place}: {allowed}"[:LONGEST]
    return JSON_PLACE.sub("", reason)[:LONGEST]


def _newest_first(folder: RunFolder, labels: bool | None) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Whether each reject is a label, and the reject; those without a readable time at the end."""
    for path in folder.reject_files():
        is_label = PurePath(path).name.startswith(REJECTS)
        if labels is None or labels == is_label:
            for reject in _lines(path):
                yield is_label, reject


def _lines(path: str) -> Iterator[dict[str, Any]]:
    try:
        # Not str.splitlines, which splits at U+2028 and U+0085 too: JSON holds them as they are.
        for line in files.read_whole(path).splitlines():
            reject = json.loads(line)
            if not isinstance(reject, dict):
                raise ValueError("a line is not an object")
            yield reject
    except FileNotFoundError:  # --overwrite began meanwhile
        return
    except ValueError as error:
        raise UserError(f"{path}: holds no rejects: {error}") from error
