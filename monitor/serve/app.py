"""The app: routes, the shape of errors, guards, and the API's description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from monitor.serve import browse, labelling, page, predicting, problems, promoting
from monitor.serve.core import Core
from monitor.serve.events import TooManySubscribers
from monitor.serve.middleware import IS_HEAD, OPEN, AccessLog, AuthMiddleware, HeadMiddleware
from monitor.serve.parameters import check_parameters
from monitor.serve.problems import Problem, ProblemDetails, describe_errors
from monitor.serve.watching import FolderWatcher

ROUTERS = (
    *(predicting.router, labelling.router, browse.router, promoting.router),
    page.router,
)
"""Functions that make a router from a server's ``Core``."""


def make_app(core: Core) -> FastAPI:
    """The app of a server; while it runs, a thread looks at the run's folder."""
    watch = FolderWatcher(core)
    watch.look()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watch.start()
        if core.records is not None:
            core.records.start()
        yield
        watch.stop()
        if core.records is not None:
            core.records.stop()
        core.decoders.close()

    made = FastAPI(
        title=f"Correnteza: {core.schema.name}",
        version="1",
        summary=f"Predictions of {core.schema.target!r} by the models of a run",
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        dependencies=[Depends(check_parameters)],
    )
    for router in (*ROUTERS, make_event_routes):
        made.include_router(router(core))
    problems.install(made)
    made.add_middleware(HeadMiddleware)
    made.add_middleware(AuthMiddleware, options=core.options)
    made.add_middleware(AccessLog, counts=core.counts)
    describe(made, core)
    return made


def make_event_routes(core: Core) -> APIRouter:
    """The route of events."""
    routes = APIRouter(tags=["run"])

    @routes.get(
        "/events",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **describe_errors("busy"),
        },
    )
    async def events(request: Request) -> Response:
        """Server-sent events, without end: `refresh`, `model` and `status`.

        Each `refresh` is followed by the same report as `window`, its old name, which the next
        release does not send.
        """
        headers = {"Cache-Control": "no-store"}
        if IS_HEAD in request.scope:
            return Response(media_type="text/event-stream", headers=headers)
        try:
            stream = core.events.subscribe()
        except TooManySubscribers as error:
            raise Problem("busy", str(error)) from error
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return routes


def describe(app: FastAPI, core: Core) -> None:
    """Completes the API's description: the shape of errors, and the API key if one is asked for."""
    document = app.openapi()
    parts = document["components"]
    parts["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )
    parts["schemas"].update(parts["schemas"]["ProblemDetails"].pop("$defs"))
    if core.options.key is None:
        return
    parts["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    for path, methods in document["paths"].items():
        for method in methods.values() if path not in OPEN else ():
            secure(method)


def secure(method: dict[str, Any]) -> None:
    """Describes a route that asks for the API key."""
    method["security"] = [{"key": []}, {"bearer": []}]
    method["responses"].update({str(k): v for k, v in describe_errors("no_key").items()})
