"""``POST /predict``: rows in, predictions out, by one model a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from model.arrays import Matrix
from model.classes.decision import Classified
from model.schema import Schema
from model.store import DamagedArtefact
from model.times import describe_times
from model.validation import GREATEST
from monitor.serve.bodies import (
    COLUMN,
    JSON,
    as_columns,
    choose_media_type,
    decode_rows,
    encode_answer,
    parse_content_type,
)
from monitor.serve.columnar import MEDIA
from monitor.serve.core import Core
from monitor.serve.encodings import codings_of, unpack
from monitor.serve.jsonrows import echoes
from monitor.serve.logs import NOTES
from monitor.serve.options import LATEST, NEWEST
from monitor.serve.problems import Problem, describe_errors
from monitor.serve.serving import Serving

Answer = tuple[bytes, dict[str, Any]]
"""The body of an answer, and what a log line shows of it."""
NAME = r"^\d{8}T\d{6}Z$"
Model = Annotated[
    str,
    Query(
        pattern=rf"^({NEWEST}|{LATEST})$|{NAME}",
        description=f"{NEWEST} (or {LATEST}), or a name that /models has",
    ),
]
ERRORS = (
    *("bad_body", "no_model", "not_found", "too_slow", "model_damaged", "body_too_large"),
    *("too_many_rows", "unsupported_media_type", "unsupported_encoding", "bad_rows"),
    *("bad_parameter", "busy", "took_too_long", "other_origin"),
)


class Predictions(BaseModel):
    """An answer."""

    model: str = Field(description="the name of the model that predicted", pattern=NAME)
    sha256: str = Field(description="its hash")
    predictions: list[float | str | None] = Field(
        description="one a row, in the order of the rows: a number, null if the model gives no "
        "finite one; or a class"
    )
    scores: list[float] | None = Field(
        None,
        description="the probability of the positive, or of the predicted class; only of classes",
    )
    probabilities: list[dict[str, float]] | None = Field(
        None, description="the probability of each class, by row; only of classes"
    )
    keys: list[str | None] | None = Field(
        None, description="the rows' keys; only if the run's schema has an id"
    )
    keep: dict[str, list[str | float | None]] | None = Field(
        None, description="the columns that the run's schema keeps; only if there are any"
    )
    unknown: dict[str, int] | None = Field(
        None,
        description="how many values of each categorical feature the model has no column for, null "
        "apart; only if there are any. In Arrow and Parquet: JSON in the schema's metadata",
    )


def router(core: Core) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["predict"])
    body = request_body(core)

    @routes.post(
        "/predict",
        summary="Predict for one row or many",
        response_model=Predictions,
        responses={200: {"content": binary()}, **describe_errors(*ERRORS)},
        openapi_extra={"requestBody": body},
    )
    async def predict(request: Request, model: Model = NEWEST) -> Response:
        """All rows are answered by one model, or none is. A value may be null.

        Other columns are ignored. The answer comes in Arrow or Parquet if Accept asks for it.
        """
        media = parse_content_type(request.headers.get("content-type"))
        asked = choose_media_type(request.headers.get("accept"))
        codings = codings_of(request.headers.get("content-encoding"))
        options = core.options
        async with core.bodies.read(request, options.timeout) as data:
            work = partial(respond, core, model, media, codings, data, asked)
            made, notes = await run_in_thread(core, work)
        request.scope[NOTES].update(notes)
        return Response(made, media_type=asked, headers={"Correnteza-Model": notes["model"]})

    return routes


async def run_in_thread(core: Core, work: Callable[[], Answer]) -> Answer:
    """What a thread makes of a request that has one of the places.

    Raises:
        Problem: if there is no place, or it takes too long.
    """
    seconds = core.options.timeout
    with core.place():
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.run_in_executor(core.threads, work), seconds)
        except asyncio.TimeoutError as error:
            message = f"no answer in {seconds:g} s: fewer rows may do"
            raise Problem("took_too_long", message) from error


def respond(
    core: Core, model: str, media: str, codings: list[str], data: bytes, asked: str
) -> Answer:
    """The answer to a body, and what a log line shows of it; by one snapshot of one model."""
    serving = take_model(core, model)
    data = unpack(data, codings, core.options.max_body)
    rows, carried = decode_rows(media, data, serving.artefact.schema, core.options, core.decoders)
    predictions: Matrix | Classified
    if serving.artefact.decision is None:
        predictions = serving.artefact.predict(rows)
    else:
        predictions = serving.artefact.classify(rows)
    if core.records is not None:
        carried = {**carried, "key": core.records.add_keys(carried["key"])}
        made = pa.array(as_columns(predictions)[COLUMN], from_pandas=True)
        core.records.keep(rows, carried["key"], made, serving.reference.name)
    unknown = serving.artefact.unknown(rows)
    reference = serving.reference
    body = encode_answer(asked, predictions, reference, carried, unknown)
    return body, {"rows": len(rows), "model": reference.name}


def take_model(core: Core, model: str) -> Serving:
    """The model that a request names.

    Raises:
        Problem: if there is none, or it is damaged.
    """
    try:
        serving = core.models.take(NEWEST if model == LATEST else model)
    except FileNotFoundError as error:
        raise Problem("not_found", f"the run has no model {model!r}: /models lists them") from error
    except (OSError, DamagedArtefact) as error:
        raise Problem("model_damaged", str(error)) from error
    if serving is None:
        raise Problem("no_model", "no window has ended yet: try again")
    return serving


def binary() -> dict[str, Any]:
    """The media types that are not text, for the API's description."""
    return {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA}


def request_body(core: Core) -> dict[str, Any]:
    """The API's description of a request's body, by the run's schema."""
    row = row_schema(core.schema)
    many = {"type": "array", "items": row, "maxItems": core.options.max_rows}
    one = example(core)
    json = {
        "schema": {"oneOf": [row, many]},
        "examples": {"one row": {"value": one}, "many": {"value": [one, one]}},
    }
    description = (
        "JSON: a row or a list of rows. Arrow (an IPC stream) or Parquet: a column a feature."
    )
    return {"required": True, "description": description, "content": {JSON: json, **binary()}}


def row_schema(schema: Schema) -> dict[str, Any]:
    """A row as JSON Schema has it."""
    number = {"type": ["number", "boolean", "null"], "minimum": -GREATEST, "maximum": GREATEST}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    time = {"type": ["string", "number", "null"], "description": describe_times(schema)}
    kinds = {
        **dict.fromkeys(schema.read_numeric, number),
        **dict.fromkeys(schema.categorical, scalar),
        **dict.fromkeys(schema.calendar_sources, time),
    }
    back = dict.fromkeys((*schema.passed, *echoes(schema)), scalar)
    key = {} if schema.id is None else {schema.id: {"type": ["string", "integer", "null"]}}
    return {"type": "object", "required": list(kinds), "properties": {**back, **key, **kinds}}


def example(core: Core) -> dict[str, Any]:
    """A row that may be asked for: means, the most frequent values and the end of the window."""
    serving = core.models.current
    if serving is None:
        return dict.fromkeys(core.schema.inputs)
    statistics, schema = serving.artefact.statistics, serving.artefact.schema
    counts = {name: statistics.categorical(name).values for name in schema.categorical}
    return {
        **{name: statistics.numeric(name).mean for name in schema.read_numeric},
        **{name: max(known, key=known.__getitem__, default=None) for name, known in counts.items()},
        **dict.fromkeys(schema.calendar_sources, serving.manifest.window_end),
    }
