"""Which marks a file's numbers have, judged by the numbers themselves.

A comma may be a decimal mark or part thousands. Only what can be one of them alone decides;
where both are plausible the file is refused, and the schema has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import UserError
from model.numbers import NULL_WORDS, NumberFormat, parse_numbers
from model.schema import Csv

MARKS = ("-", "--", "?", ".", "..", "*", "\u2013", "\u2014")
"""Texts that are nulls in a numeric column of a file that has them there."""
_FEW = 0.05
"""Up to this share of the numbers, those of another form are mistakes, and rejected."""
_MANY = 0.5
"""In a file parted by commas at least this share of a column has decimal commas, if any does."""

_FORMS: tuple[tuple[str, str, str], ...] = (  # a form, its decimal mark, what parts thousands
    (r"\d{1,3}(?:\.\d{3})+,\d*", ",", "."),
    (r"\d{1,3}(?: \d{3})+,\d*", ",", " "),
    (r"\d{1,3}(?:'\d{3})+,\d*", ",", "'"),
    (r"\d{1,3}(?:[\u00a0\u202f\u2009\u2019]\d{3})+,\d*", ",", ""),
    (r"\d{1,3}(?:,\d{3})+\.\d*", ".", ","),
    (r"\d{1,3}(?: \d{3})+\.\d*", ".", " "),
    (r"\d{1,3}(?:'\d{3})+\.\d*", ".", "'"),
    (r"\d{1,3}(?:[\u00a0\u202f\u2009\u2019]\d{3})+\.\d*", ".", ""),
    (r"\d{1,3}(?:,\d{3}){2,}", ".", ","),
    (r"\d{1,3}(?:\.\d{3}){2,}", ",", "."),
    (r"\d{1,3}(?: \d{3})+", "", " "),
    (r"\d{1,3}(?:'\d{3})+", "", "'"),
    (r"[1-9]\d{0,2},\d{3}", "1,234", ""),
    (r"[1-9]\d{0,2}\.\d{3}", "1.234", ""),
    (r"\d*,\d*(?:[eE][+-]?\d+)?", ",", ""),
    (r"\d*\.\d*(?:[eE][+-]?\d+)?", ".", ""),
)
_PATTERNS = [(re.compile(f"[+\u2212-]?(?:{form})"), mark, part) for form, mark, part in _FORMS]
"""A number is of the first form that fits. Of "1,234" and its like nobody knows the marks."""


_DECIMAL = r"^-?(?:\d*[.,](?:\d{0,2}|\d{4,})|0[.,]\d+|\d{4,}[.,]\d*)$"
"""What no thousands are in, for Arrow."""


class NumberGuess(NamedTuple):
    """How numbers are written; the keys of ``[csv]`` and marks for null that were found."""

    written: NumberFormat
    keys: tuple[str, ...]
    marks: tuple[str, ...]


class _Seen(NamedTuple):
    """A mark's greatest share of the numbers of a column, with an example."""

    share: float
    example: str
    column: str


def guess_numbers(
    path: str, columns: Mapping[str, pa.Array], csv: Csv, delimiter: str
) -> NumberGuess:
    """Finds how the numbers of a file are written.

    Args:
        path: the file, for messages.
        columns: texts of its numeric columns.
        csv: the keys that the schema sets, which are taken as they are.
        delimiter: the file's. If it is a comma, more numbers must have a decimal comma.

    Raises:
        UserError: if two readings are plausible.

    Example:
        >>> guess_numbers("a.csv", {"x": pa.array(["1,5", "2"])}, Csv(), ";").keys
        ('decimal = ","',)
    """
    nulls = NULL_WORDS if csv.nulls is None else csv.nulls
    point = "," if csv.thousands == "." else "."
    plain = NumberFormat(csv.decimal or point, csv.thousands or "", nulls)
    if delimiter != "," and csv.decimal is None and csv.thousands is None:
        _check_points(path, columns)
    if not any(parse_numbers(texts, plain)[1].any() for texts in columns.values()):
        return NumberGuess(plain, (), ())
    decimals, parts = _look(columns.items(), nulls)
    if "," in decimals and delimiter == "," and decimals[","].share < _MANY:
        del decimals[","]
    decimal = _decimal(path, decimals, csv)
    thousands = _thousands(decimal, decimals, parts, csv)
    found = []
    if csv.decimal is None and decimal != ".":
        found.append(f'decimal = "{decimal}"')
    if csv.thousands is None and thousands:
        found.append(f'thousands = "{thousands}"')
    written = NumberFormat(decimal, thousands, nulls)
    marks = _null_marks(columns.values(), written) if csv.nulls is None else ()
    return NumberGuess(written._replace(nulls=(*nulls, *marks)), tuple(found), marks)


def _check_points(path: str, columns: Mapping[str, pa.Array]) -> None:
    """Checks that points can only be decimal marks, in a file that is not parted by commas.

    In a column such as "1.230", "45" points may part thousands: a program that writes decimals
    writes them for every number, or no zero at their end.

    Raises:
        UserError: if both are plausible.
    """
    texts = {name: pc.utf8_trim_whitespace(column).unique() for name, column in columns.items()}
    if any(pc.any(pc.match_substring_regex(each, _DECIMAL)).as_py() for each in texts.values()):
        return
    for name, each in texts.items():
        either = each.filter(pc.match_substring_regex(each, r"^-?[1-9]\d{0,2}\.\d\d0$"))
        small, large = (
            pc.any(pc.match_substring_regex(each, form)).as_py()
            for form in (r"^-?\d{1,3}$", r"^-?\d{4,}$")
        )
        if len(either) and small and not large:
            raise _unclear(path, name, either[0].as_py(), ".")


def _unclear(path: str, column: str, example: str, mark: str) -> UserError:
    whole, part = example.replace(mark, ""), example.replace(mark, ".")
    return UserError(
        f"{path}: column {column!r}: {example!r} may be {whole} or {part}: set "
        f'[csv] thousands = "{mark}" or decimal = "{mark}" in the schema'
    )


def _look(
    columns: Iterable[tuple[str, pa.Array]], nulls: tuple[str, ...]
) -> tuple[dict[str, _Seen], dict[str, _Seen]]:
    """The decimal marks that are seen, and the marks between thousands."""
    decimals: dict[str, _Seen] = {}
    parts: dict[str, _Seen] = {}
    for name, texts in columns:
        trimmed = pc.utf8_trim_whitespace(texts)
        known = trimmed.filter(pc.invert(pc.is_in(trimmed, pa.array([None, "", *nulls]))))
        counts = pc.value_counts(known).to_pylist()
        found = [(each["values"], each["counts"], *_marks(each["values"])) for each in counts]
        for seen, at in ((decimals, 2), (parts, 3)):
            for mark in sorted({each[at] for each in found} - {""}):
                mine = [each for each in found if each[at] == mark]
                here = _Seen(sum(each[1] for each in mine) / len(known), mine[0][0], name)
                if mark not in seen or here.share > seen[mark].share:
                    seen[mark] = here
    return decimals, parts


def _marks(text: str) -> tuple[str, str]:
    """The decimal mark and the mark between thousands of a number; "" for one that it has not."""
    for pattern, decimal, thousands in _PATTERNS:
        if pattern.fullmatch(text):
            return decimal, thousands
    return "", ""


def _decimal(path: str, seen: Mapping[str, _Seen], csv: Csv) -> str:
    if csv.decimal is not None:
        return csv.decimal
    if csv.thousands in (".", ","):
        return "," if csv.thousands == "." else "."
    comma, point, either = seen.get(","), seen.get("."), seen.get("1,234")
    if comma and point and min(comma.share, point.share) > _FEW:
        other = "" if comma.column == point.column else f"column {point.column!r} has "
        raise UserError(
            f"{path}: column {comma.column!r} has {comma.example!r} and {other}{point.example!r}: "
            "set [csv] decimal in the schema"
        )
    if comma or point:
        return "," if comma and (not point or point.share < comma.share) else "."
    if not either or either.share <= _FEW:
        return "."
    if csv.thousands is not None:
        return ","
    raise _unclear(path, either.column, either.example, ",")


def _thousands(
    decimal: str, decimals: Mapping[str, _Seen], parts: Mapping[str, _Seen], csv: Csv
) -> str:
    if csv.thousands is not None:
        return csv.thousands
    other = "." if decimal == "," else ","
    certain = decimal in decimals or csv.decimal is not None
    if other in parts or (certain and f"1{other}234" in decimals and other not in decimals):
        return other
    return next((mark for mark in (" ", "'") if mark in parts), "")


def _null_marks(columns: Iterable[pa.Array], written: NumberFormat) -> tuple[str, ...]:
    """The marks that stand where numbers should."""
    have: set[str] = set()
    for texts in columns:
        _, bad = parse_numbers(texts, written)
        if bad.any():
            have.update(pc.utf8_trim_whitespace(texts.filter(pa.array(bad))).unique().to_pylist())
    return tuple(mark for mark in MARKS if mark in have)
