"""``POST /labels``: the truth about rows that were asked, by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Request
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from model.asof import format_iso
from model.batch import SECOND, TIME_TYPE
from model.carried import to_keys
from model.schema import Schema
from model.task_keys import read_class
from model.times import parse_times
from model.validation import GREATEST
from monitor.serve.bodies import JSON, parse_content_type
from monitor.serve.core import Core
from monitor.serve.encodings import codings_of, unpack
from monitor.serve.logs import NOTES
from monitor.serve.problems import Problem, describe_errors

ERRORS = (
    *("bad_body", "too_slow", "body_too_large", "too_many_rows"),
    *("unsupported_media_type", "unsupported_encoding", "bad_rows", "busy", "other_origin"),
)


AHEAD = 60 * SECOND
"""Maximum time of a label after now, microseconds: clocks differ. A run goes on to the newest time
that it reads, so that after a label of tomorrow it would take nothing more before then."""


class _Answer(BaseModel):
    """Which row the truth is about, and when it became known."""

    model_config = ConfigDict(extra="forbid")

    id: StrictStr | StrictInt = Field(description="the id that /predict was given, or has given")
    time: str | None = Field(
        None, description="when it became known, ISO 8601, not in the future; now by default"
    )


class Label(_Answer):
    """The truth about a row."""

    target: Annotated[float, Field(ge=-GREATEST, le=GREATEST, allow_inf_nan=False)]


class ClassLabel(_Answer):
    """The true class of a row."""

    target: StrictBool | StrictInt | StrictStr = Field(description="a class, as in the schema")


class Accepted(BaseModel):
    """How many labels were taken."""

    accepted: int


NUMBERS: TypeAdapter[Label | list[Label]] = TypeAdapter(Label | list[Label])
CLASSES: TypeAdapter[ClassLabel | list[ClassLabel]] = TypeAdapter(ClassLabel | list[ClassLabel])


def router(core: Core) -> APIRouter:
    """The route, of a server with ``--record`` of a run with ``[labels]``; else none."""
    routes = APIRouter(tags=["predict"])
    records = core.records
    if records is None or core.schema.labels is None:
        return routes
    body_shape = shape(ClassLabel if core.schema.classifies else Label)

    @routes.post(
        "/labels",
        status_code=202,
        summary="Say what the truth is about rows that were asked",
        responses=describe_errors(*ERRORS),
        openapi_extra={
            "requestBody": {"required": True, "content": {JSON: {"schema": body_shape}}}
        },
    )
    async def labels(request: Request) -> Accepted:
        """One label or a list. They are written within a minute, for a run with `[labels]` to read.

        A label that comes twice counts once: the run counts the second as a duplicate.
        """
        media = parse_content_type(request.headers.get("content-type"))
        if media != JSON:
            raise Problem("unsupported_media_type", f"must be {JSON}")
        codings = codings_of(request.headers.get("content-encoding"))
        async with core.bodies.read(request, core.options.timeout) as data:
            rows = read_labels(core, unpack(data, codings, core.options.max_body))
        if not records.labels.take(rows):
            reason = records.labels.failure or "too many labels wait to be written: try again"
            raise Problem("busy", reason)
        request.scope[NOTES].update({"labels": rows.num_rows})
        return Accepted(accepted=rows.num_rows)

    return routes


def shape(label: type[Label] | type[ClassLabel]) -> dict[str, Any]:
    """The API's description of a body."""
    one = label.model_json_schema()
    return {"oneOf": [one, {"type": "array", "items": one}]}


def read_labels(core: Core, body: bytes) -> pa.Table:
    """The labels of a body, in the columns that the run's schema names.

    Raises:
        Problem: if one is no label; then none is taken.
    """
    schema = core.schema
    assert schema.labels is not None and core.records is not None
    try:
        found = (CLASSES if schema.classifies else NUMBERS).validate_json(body)
    except ValidationError as error:
        message = f"must be a label or a list of labels: {error.errors()[0]['msg']}"
        raise Problem("bad_body", message) from error
    labels = found if isinstance(found, list) else [found]
    if len(labels) > core.options.max_rows:
        raise Problem("too_many_rows", f"{len(labels)} labels: must be {core.options.max_rows}")
    keys, _ = to_keys(pa.array([str(label.id) for label in labels], pa.string()))
    now = int(core.records.labels.clock() * 1_000_000)
    given = parse_times(pa.array([label.time for label in labels], pa.string()))
    times = given.cast(pa.int64())
    for number, (label, key, time) in enumerate(
        zip(labels, keys.to_pylist(), times.to_pylist(), strict=True)
    ):
        if key is None:
            raise Problem("bad_rows", f"label {number}: id: must not be empty")
        if label.time is not None and time is None:
            raise Problem("bad_rows", f"label {number}: time {label.time!r}: must be ISO 8601")
        if time is not None and time > now + AHEAD:
            raise Problem(
                "bad_rows",
                f"label {number}: time {label.time!r}: must be when it became known, and it is "
                f"{format_iso(now)}",
            )
    named = schema.labels
    return pa.table(
        {
            named.id: keys,
            named.target: _read_targets(labels, schema),
            named.time: times.fill_null(now).cast(TIME_TYPE),
        }
    )


def _read_targets(labels: Sequence[Label | ClassLabel], schema: Schema) -> pa.Array:
    """The targets of labels: numbers, or the canonical texts of classes.

    Raises:
        Problem: if one is no class, or none of those of the schema.
    """
    if not schema.classifies:
        return pa.array([label.target for label in labels], pa.float64())
    targets = []
    for number, label in enumerate(labels):
        place = f"label {number}: target {label.target!r}"
        try:
            target = read_class(label.target)
        except ValueError as error:
            raise Problem("bad_rows", f"{place}: {error}") from error
        if schema.classes is not None and target not in schema.classes:
            expected = ", ".join(schema.classes)
            raise Problem("bad_rows", f"{place}: must be one of the classes {expected}")
        targets.append(target)
    return pa.array(targets, pa.string())
