"""Every error in one shape: ``application/problem+json`` (RFC 9457), with a code of ours."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from monitor.serve.logs import NOTES, log_event

MEDIA = "application/problem+json"
SHOWN = 10
"""Maximum number of faults that a problem lists."""
LONGEST = 200
"""Maximum number of characters that an answer or a log line repeats of a method or a path."""


class ProblemKind(NamedTuple):
    """What an error's code stands for.

    Attributes:
        status: of HTTP.
        title: when it comes, for the API's description.
        headers: that go with it.
    """

    status: int
    title: str
    headers: Mapping[str, str] = {}


CLOSE = {"Connection": "close"}
"""The rest of the request's body is not waited for."""
AGAIN = {"Retry-After": "1"}
CODINGS = {"Accept-Encoding": "gzip, deflate, zstd"}
KINDS = {
    "bad_request": ProblemKind(400, "The request is not HTTP as it has to be.", CLOSE),
    "unknown_parameter": ProblemKind(
        400, "A parameter that the path does not take, or takes once."
    ),
    "bad_body": ProblemKind(400, "The body is not of its media type."),
    "wrong_host": ProblemKind(
        400, "The Host header names another machine than a local server's.", CLOSE
    ),
    "no_key": ProblemKind(
        401, "No API key, or a wrong one.", {"WWW-Authenticate": "Bearer", **CLOSE}
    ),
    "other_origin": ProblemKind(
        403, "A page of another origin asks, and no API key is needed.", CLOSE
    ),
    "not_found": ProblemKind(404, "There is nothing of that name."),
    "method_not_allowed": ProblemKind(405, "The path has no such method."),
    "too_slow": ProblemKind(408, "The body did not arrive in time.", CLOSE),
    "model_damaged": ProblemKind(409, "The model's files do not agree: it is not opened."),
    "body_too_large": ProblemKind(413, "The body, as it comes or unpacked, is too large.", CLOSE),
    "too_many_rows": ProblemKind(422, "The body has too many rows."),
    "unsupported_media_type": ProblemKind(415, "The body's media type is none of these.", CLOSE),
    "unsupported_encoding": ProblemKind(
        415, "The body's encoding is none of these.", {**CODINGS, **CLOSE}
    ),
    "bad_rows": ProblemKind(422, "Rows that the schema does not allow."),
    "bad_parameter": ProblemKind(422, "A parameter that is not allowed."),
    "internal": ProblemKind(500, "A fault of the server; its log has more."),
    "busy": ProblemKind(503, "Too many requests at once.", {**AGAIN, **CLOSE}),
    "no_model": ProblemKind(503, "The run has no model yet.", AGAIN),
    "took_too_long": ProblemKind(503, "The answer was not ready in time.", AGAIN),
}
BY_STATUS = {404: "not_found", 405: "method_not_allowed"}


class ErrorItem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="the place", examples=["row 3"])
    message: str = Field(description="the value, and what it must be")


class ProblemDetails(BaseModel):
    """An error, as RFC 9457 has it."""

    type: Literal["about:blank"] = "about:blank"
    title: str = Field(description="the status in words")
    status: int
    detail: str = Field(description="what was wrong, and what to do")
    code: str = Field(description="what programs may go by", examples=sorted(KINDS))
    errors: list[ErrorItem] = Field([], description=f"the first {SHOWN} faults, by place")


class Problem(Exception):
    """An error that is answered.

    Attributes:
        code: one of ``KINDS``.
        detail: what was wrong, and what to do.
        errors: faults by place.
    """

    def __init__(self, code: str, detail: str, errors: Sequence[ErrorItem] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """The answer."""
        kind = KINDS[self.code]
        details = ProblemDetails(
            title=HTTPStatus(kind.status).phrase,
            status=kind.status,
            detail=self.detail,
            code=self.code,
            errors=list(self.errors[:SHOWN]),
        )
        every = {**kind.headers, **(headers or {})}
        return JSONResponse(details.model_dump(), kind.status, every, media_type=MEDIA)

    def respond_to(
        self, scope: MutableMapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> JSONResponse:
        """The answer to a request, whose log line will show the code."""
        scope.setdefault(NOTES, {})["problem"] = self.code
        return self.response(headers)


EVERYWHERE = ("bad_request", "unknown_parameter", "wrong_host")


def describe_errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The errors with which a route may answer, by status, for its description."""
    found: dict[int | str, dict[str, Any]] = {}
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    for code in (*EVERYWHERE, *codes, "internal"):
        status, title, _ = KINDS[code]
        known = found.setdefault(status, {"description": "", "content": {MEDIA: {}}})
        known["description"] = f"{known['description']} `{code}`: {title}".strip()
        known["content"][MEDIA]["schema"] = schema
    return found


def install(app: FastAPI) -> None:
    """Answers every error of an app in this shape."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> JSONResponse:
        return error.respond_to(request.scope)

    @app.exception_handler(RequestValidationError)
    async def parameter(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            ErrorItem(where=".".join(map(str, one["loc"])), message=str(one["msg"]))
            for one in error.errors()
        ]
        detail = f"{faults[0].where}: {faults[0].message}" if faults else "a parameter is wrong"
        return Problem("bad_parameter", detail, faults).respond_to(request.scope)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = BY_STATUS.get(error.status_code, "bad_parameter")
        scope, headers = request.scope, dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"
        message = f"{scope['method'][:LONGEST]} {scope['path'][:LONGEST]}: {error.detail}"
        return Problem(code, message).respond_to(scope, headers)

    @app.exception_handler(Exception)
    async def internal(request: Request, error: Exception) -> JSONResponse:
        log_event("failed", "error", path=request.scope["path"][:LONGEST], trace=error)
        return Problem("internal", KINDS["internal"].title).response()
