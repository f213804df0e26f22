"""What pydantic found wrong, in plain English: the key as it is written, and what to write there.

See pydantic's documentation, "Validation Errors", for its kinds of problems.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

BOUNDS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}
"""Problems with a bound: its sign, and the key of pydantic's context that has it."""
REQUIREMENTS = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "dict_type": "must be a table of name = value",
}
"""What a value must be, by the kind of the problem."""
_TABLES = ("model_type", "model_attributes_type", "dict_type")
_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def explain(error: ValidationError) -> str:
    """One line for a validation error: each key, what it must be, and what it is.

    Args:
        error: of a file of keys in tables, as TOML or JSON.

    Example:
        >>> from model.schema import Schema
        >>> try:
        ...     Schema.model_validate({"name": 5, "time": "t", "target": "y", "features": {
        ...         "numeric": ["x", 5], "encoders": {"x": {"max_categories": 0}}}})
        ... except ValidationError as error:
        ...     for problem in explain(error).split("; "):
        ...         print(problem)
        name: must be text (it is 5)
        features.numeric: item 2 must be text (it is 5)
        features.encoders.x.max_categories: must be >= 1 (it is 0)
    """
    return "; ".join(map(_explain_one, error.errors()))


def requirement(problem: ErrorDetails) -> str:
    """What a value must be, of any kind of problem."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in BOUNDS:
        sign, key = BOUNDS[kind]
        bound = context[key]
        return f"must be {sign} {f'{bound:g}' if isinstance(bound, float) else bound}"
    if kind == "literal_error":
        return f"must be {str(context['expected']).replace(chr(39), chr(34))}"
    if kind == "string_too_long":
        most = context["max_length"]
        return "must be one character" if most == 1 else f"must have <= {most} characters"
    return REQUIREMENTS.get(kind, problem["msg"].removeprefix("Value error, "))


def _explain_one(problem: ErrorDetails) -> str:
    place, item = _write_place(problem["loc"])
    message = _explain_value(problem, place)
    if item is not None:
        message = f"item {item + 1} {message}"
    return f"{place}: {message}" if place else message


def _explain_value(problem: ErrorDetails, place: str) -> str:
    kind, value = problem["type"], problem["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a known key"
    if kind == "tuple_type":
        return f"must be a list, as {_as_list(value)} (it is {value!r})"
    message = f"must be a table, as [{place}]" if kind in _TABLES else requirement(problem)
    if not place or (kind == "value_error" and isinstance(value, Mapping)):
        return message  # which is of several keys, and names them
    # an address that holds a password is not shown
    shown = re.sub(r"//\S*@", "//(hidden)@", repr(value))
    return f"{message} (it is {shown})"


def _write_place(location: tuple[int | str, ...]) -> tuple[str, int | None]:
    """A key as TOML has it, and the place in its list, from 0; None if it is of no list."""
    keys = [part for part in location if isinstance(part, str)]
    item = next((part for part in reversed(location) if isinstance(part, int)), None)
    quoted = (key if _BARE.fullmatch(key) else f'"{key}"' for key in keys)
    return ".".join(quoted), item


def _as_list(value: Any) -> str:
    return f'["{value}"]' if isinstance(value, str) else '["a", "b"]'
