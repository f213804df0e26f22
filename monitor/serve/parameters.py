"""Query parameters that a path does not take are refused: a slip of the pen must not be ignored."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches

from fastapi import Request
from fastapi.routing import APIRoute

from monitor.serve.problems import Problem

LONGEST = 60
"""Maximum number of characters of a name that an answer repeats."""


async def check_parameters(request: Request) -> None:
    """Checks the names in a request's query; the page's own files take any.

    Raises:
        Problem: for a name that the path does not take, or that is there twice.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return
    known = [field.alias for field in route.dependant.query_params]
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            raise Problem("unknown_parameter", unknown(name, known))
        if times > 1:
            raise Problem("unknown_parameter", f"parameter {name!r} is given {times} times")


def unknown(name: str, known: list[str]) -> str:
    """The message for an unknown parameter.

    Example:
        >>> unknown("modle", ["model"])
        "unknown parameter 'modle': did you mean 'model'?"
        >>> unknown("x", ["model"]), unknown("x", [])
        ("unknown parameter 'x': must be 'model'", "unknown parameter 'x': there are none here")
    """
    named = f"unknown parameter {name[:LONGEST]!r}"
    near = get_close_matches(name[:LONGEST].lower(), known, 1)
    if near:
        return f"{named}: did you mean {near[0]!r}?"
    allowed = " or ".join(map(repr, known))
    return f"{named}: must be {allowed}" if known else f"{named}: there are none here"
