"""The form of a prediction: a field for each feature, filled in from the model that serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, Field

from model.statistics import MANY, Categorical, Numeric
from monitor.serve.core import Core
from monitor.serve.serving import Serving


class Entry(BaseModel):
    """A field of the form."""

    name: str = Field(description="of the feature")
    kind: Literal["numeric", "categorical", "time"]
    value: float | str | None = Field(
        None, description="the mean, the most frequent value, or the end of the model's window"
    )
    least: float | None = Field(None, description="of the model's window")
    greatest: float | None = Field(None, description="of the model's window")
    known: list[str] = Field([], description="values that have a column of their own")
    fault: str = Field(description="how a message about it begins")


class Form(BaseModel):
    """What can be filled in; without a model no field has a value."""

    model: str | None
    target: str
    fields: list[Entry]


def form(core: Core) -> Form:
    """The form of a run, by the model that serves now."""
    serving = core.models.current
    return Form(
        model=None if serving is None else serving.reference.name,
        target=core.schema.target,
        fields=list(fields(core, serving)),
    )


def fields(core: Core, serving: Serving | None) -> Iterator[Entry]:
    """A field for each feature, in the order of the schema."""
    schema = core.schema
    roles = {
        **dict.fromkeys(schema.read_numeric, "numeric"),
        **dict.fromkeys(schema.categorical, "categorical"),
        **dict.fromkeys(schema.calendar_sources, "time"),
    }
    for name, role in roles.items():
        kind: Any = role
        suggested = {} if serving is None else describe_feature(serving, name)
        if serving is not None and kind == "time":
            suggested = {"value": serving.manifest.window_end}
        yield Entry(name=name, kind=kind, fault=f"column {name!r}", **suggested)


def describe_feature(serving: Serving, name: str) -> dict[str, Any]:
    """The statistics of a feature in a model's window; a mean is rounded to four digits.

    Another schema than the run's (``--model`` of a store that was changed) gives nothing.
    """
    column = serving.manifest.statistics.get(name)
    if isinstance(column, Numeric):
        mean = None if column.mean is None else float(f"{column.mean:.4g}")
        return {"value": mean, "least": column.min, "greatest": column.max}
    if isinstance(column, Categorical):
        value = max(column.values, key=column.values.__getitem__, default=None)
        return {"value": value, "known": serving.artefact.encoder.known(name)[:MANY]}
    return {}
