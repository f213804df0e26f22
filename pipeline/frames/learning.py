"""Learners as a Python caller names them: by name, with parameters, or by an example of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from model.errors import UserError
from model.fitting import params_of
from model.learners import parse_parameter

CALL = re.compile(r"^\s*([\w.:]+)\s*(?:\((.*)\))?\s*$", re.DOTALL)


class NamedLearner(NamedTuple):
    """A learner with its parameters, and what to call it in a table."""

    learner: str
    parameters: dict[str, Any]
    title: str


def parse_learner(learner: Any) -> NamedLearner:
    """A learner as a name and parameters.

    Args:
        learner: ``forest``, ``package.module:Class``, either with parameters behind it as
            ``boosting(loss=absolute_error, max_iter=50)``, or a regressor of an importable class:
            the parameters that differ from the class's own are taken over.

    Raises:
        UserError: if it is none of these.

    Example:
        >>> parse_learner("boosting(loss=absolute_error, max_iter=50)")[:2]
        ('boosting', {'loss': 'absolute_error', 'max_iter': 50})
    """
    if isinstance(learner, str):
        match = CALL.match(learner)
        if match is None:
            raise UserError(f"learner {learner!r}: must be as ridge, or as ridge(alpha=10)")
        texts = split_learners(match[2] or "")
        parameters = dict(parse_parameter(text, "learner parameter") for text in texts)
        return NamedLearner(match[1], parameters, learner.strip())
    kind = learner if isinstance(learner, type) else type(learner)
    path = f"{kind.__module__}:{kind.__qualname__}"
    if not callable(getattr(kind, "fit", None)) or "<locals>" in path:
        raise UserError(
            f"learner {learner!r}: must be a name, package.module:factory, or a regressor whose "
            "class can be imported"
        )
    given = {} if isinstance(learner, type) else params_of(learner)
    own = params_of(kind()) if given else {}
    parameters = {name: value for name, value in given.items() if _differs(value, own.get(name))}
    return NamedLearner(path, parameters, kind.__qualname__)


def _differs(value: Any, own: Any) -> bool:
    return value is not own and (type(value) is not type(own) or bool(value != own))


def split_learners(texts: str) -> list[str]:
    """What stands between commas; those within brackets and quotes part nothing.

    Example:
        >>> split_learners("ridge, boosting(loss=absolute_error, max_iter=50)")
        ['ridge', 'boosting(loss=absolute_error, max_iter=50)']
    """
    parts, depth, quote = [""], 0, ""
    for sign in texts:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        depth += (sign in "([{") - (sign in ")]}") if not quote else 0
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts if part.strip()]


def learner_options(learner: Any, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A learner as options of the command line."""
    found = parse_learner(learner)
    return {
        "learner": found.learner,
        "learner_param": {**found.parameters, **(parameters or {})},
    }
