"""``/promotions``: which models were pinned, or refused; with an API key, pin and roll back."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from model import promotions
from model.errors import UserError
from model.promotions import MOST_WHY, Act
from monitor.pinning import promote
from monitor.serve.bodies import JSON, parse_content_type
from monitor.serve.browse import Most
from monitor.serve.core import Core
from monitor.serve.encodings import codings_of, unpack
from monitor.serve.logs import NOTES
from monitor.serve.problems import Problem, describe_errors

ERRORS = (
    *("bad_body", "too_slow", "body_too_large", "unsupported_media_type"),
    *("unsupported_encoding", "bad_rows", "other_origin"),
)


class Wanted(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["pin", "unpin", "rollback"]
    model: str | None = Field(None, description="the model to pin, by its name")
    why: str = Field("", max_length=MOST_WHY, description="the reason")


class Promoted(BaseModel):
    """What was done."""

    message: str = Field(description="which model serves, and from when on")


def router(core: Core) -> APIRouter:
    """The routes; one that changes anything is there only if the server has an API key."""
    routes = APIRouter(tags=["run"])

    @routes.get("/promotions", responses=describe_errors("bad_parameter"))
    def acts(limit: Most = 100) -> list[Act]:
        """Pins, rollbacks, and models that the gate refused, newest first."""
        return promotions.read(core.folder.promotions)[: -limit - 1 : -1]

    @routes.get("/promotions/pinned", responses=describe_errors())
    def pinned() -> Act | None:
        """The pin or rollback that holds; null if the newest accepted model serves."""
        act = promotions.find_act(promotions.read(core.folder.promotions))
        return None if act is None or act.reference is None else act

    if core.options.key is None:
        return routes

    @routes.post(
        "/promotions",
        summary="Pin a model, end that, or roll back to the model before",
        responses=describe_errors(*ERRORS),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": Wanted.model_json_schema()}},
            }
        },
    )
    async def change(request: Request) -> Promoted:
        """It holds from the next refresh that the job begins; this server follows it."""
        media = parse_content_type(request.headers.get("content-type"))
        if media != JSON:
            raise Problem("unsupported_media_type", f"must be {JSON}")
        codings = codings_of(request.headers.get("content-encoding"))
        async with core.bodies.read(request, core.options.timeout) as data:
            wanted = parse_wanted(unpack(data, codings, core.options.max_body))
        given: tuple[Any, ...] = (core.folder, wanted.what, wanted.model, wanted.why)
        try:
            message = await run_in_threadpool(promote, *given)
        except UserError as error:
            raise Problem("bad_rows", str(error)) from error
        request.scope[NOTES].update({"promotion": wanted.what})
        return Promoted(message=message)

    return routes


def parse_wanted(body: bytes) -> Wanted:
    """What a body asks for.

    Raises:
        Problem: if it is not such a request.
    """
    try:
        wanted = Wanted.model_validate_json(body)
    except ValidationError as error:
        raise Problem("bad_body", f"must be a promotion: {error.errors()[0]['msg']}") from error
    if (wanted.what == "pin") != (wanted.model is not None):
        raise Problem("bad_body", "model: must be given with pin, and with nothing else")
    return wanted
