"""The names of columns: those of a file matched with those of a schema, and why if they are not.

Names are the same if they are so in Unicode's normal form C, byte order marks aside: "é" may be
one character or two. Names that only look alike are not the same; the message names the difference.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from model.errors import UserError
from model.schema import Schema

_SHOWN = 30
"""Maximum number of columns that a message lists."""
_BOM = "\ufeff"


@lru_cache(4096)
def normalize_name(name: str) -> str:
    r"""A name in normal form C, without byte order marks.

    Example:
        >>> normalize_name("\ufeffe\u0301") == "\u00e9"
        True
    """
    return unicodedata.normalize("NFC", name.replace(_BOM, ""))


def match_columns(
    path: str,
    names: Sequence[str],
    schema: Schema,
    hint: str = "",
    needed: Sequence[str] | None = None,
) -> list[str]:
    r"""The names of a file's columns, with those that the schema has as the schema writes them.

    Args:
        path: the file, for messages.
        names: its columns.
        schema: whose columns it must have, each once.
        hint: what to add to the message if one is absent.
        needed: only these of its columns must be there; None: all.

    Raises:
        UserError: if one is absent or there more than once.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> match_columns("a.csv", ["\ufefft", "y", "x", "z"], schema)
        ['t', 'y', 'x', 'z']
        >>> try:
        ...     match_columns("a.csv", ["t", "y", "X"], schema)
        ... except UserError as error:
        ...     print(error)
        a.csv: has no column 'x': its columns are t, y, X ('X' differs from 'x' in case)
    """
    found, columns = list(names), schema.columns
    for column in columns:
        places = [at for at, name in enumerate(names) if name == column]
        places = places or [
            at
            for at, name in enumerate(names)
            if name not in columns and normalize_name(name) == normalize_name(column)
        ]
        if not places and needed is not None and column not in needed:
            continue
        if not places:
            raise UserError(_absent(path, column, names, schema, hint))
        if len(places) > 1:
            raise UserError(f"{path}: has {len(places)} columns {column!r}: it must have one")
        found[places[0]] = column
    return found


def count_columns(names: Sequence[str], schema: Schema) -> int:
    """How many of the schema's columns are among a file's."""
    have = {normalize_name(name) for name in names}
    return sum(normalize_name(column) in have for column in schema.columns)


def find_alike(names: Sequence[str], schema: Schema) -> list[tuple[str, str]]:
    """The names that only look like one of the schema's columns: the column, then the name.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
        >>> find_alike(["t", "X", "x", "z"], schema)
        [('x', 'X')]
    """
    return [
        (column, name)
        for column in schema.columns
        for name in names
        if name not in schema.columns
        and _key(name) == _key(column)
        and normalize_name(name) != normalize_name(column)
    ]


def describe_alike(name: str, column: str) -> str:
    """Two names that look alike, and what differs."""
    return f"{_quote(name)} differs from {_quote(column)} {_difference(name, column)}"


def _absent(path: str, column: str, names: Sequence[str], schema: Schema, hint: str) -> str:
    have = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{path}: has no column {column!r}: its columns are {have}{_near(column, names)}{hint}"


def _near(column: str, names: Sequence[str]) -> str:
    """The name that is most like a column's, and what differs."""
    for name in names:
        if _key(name) == _key(column):
            return f" ({describe_alike(name, column)})"
    close = difflib.get_close_matches(column, list(names), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _key(name: str) -> str:
    """What names that look alike have in common."""
    plain = unicodedata.normalize("NFKC", "".join(each for each in name if not _is_hidden(each)))
    return " ".join(plain.casefold().split())


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cf", "Cc") and not character.isspace()


def _difference(name: str, column: str) -> str:
    """In what two names that look alike differ."""
    found = []
    if any(map(_is_hidden, name + column)):
        found.append("in characters that are not seen")
    if name.strip() != name or column.strip() != column:
        found.append("in spaces around it")
    inner = name.strip(), column.strip()
    if [each for each in inner[0] if each.isspace()] != [e for e in inner[1] if e.isspace()]:
        found.append("in the kind of its spaces")
    folded = [" ".join(unicodedata.normalize("NFKC", each).split()) for each in inner]
    if folded[0] != folded[1] and folded[0].casefold() == folded[1].casefold():
        found.append("in case")
    return " and ".join(found) or "in characters that look alike"


def _quote(name: str) -> str:
    """A name in quotes, with escapes if it has invisible or ambiguous characters."""
    odd = any(not each.isascii() and not each.isalnum() for each in name)
    return ascii(name) if odd or unicodedata.normalize("NFKC", name) != name else repr(name)
