"""What a run has: its status, models, reports, and the newest sample of its rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from model import files
from model.manifest import Manifest
from model.metrics import Metrics
from model.store import DamagedArtefact
from monitor.serve.bodies import JSON
from monitor.serve.core import Core
from monitor.serve.listing import Listed, Listing
from monitor.serve.logs import log_event
from monitor.serve.predicting import NAME
from monitor.serve.problems import Problem, describe_errors
from monitor.serve.reports import (
    find_normalized,
    newest_sample,
    raw_columns,
    read_json,
)

DEPRECATED = {"Deprecation": "@1795737600", "Link": '</refreshes>; rel="successor-version"'}
"""Headers of an old path's answers (RFC 9745): since when it is old, and what takes its place."""
Most = Annotated[int, Query(ge=1, le=1000, description="so many at the most")]
Name = Annotated[str, Path(pattern=NAME, description="a model's: the end of its window")]


class Health(BaseModel):
    """Whether predictions are to be had."""

    status: Literal["ok", "degraded"] = Field(
        description="degraded: predictions are made, but new models may not be taken up"
    )
    model: str
    reason: str | None = Field(None, description="why it is degraded")
    damaged: int = Field(0, description="files of the run that cannot be read: /status lists them")


class Unreadable(BaseModel):
    """A file of the run that is not as a run writes it."""

    file: str = Field(description="its path within the run's folder")
    reason: str


class Status(BaseModel):
    """How a run stands."""

    model: str | None = Field(description="the model that serves")
    since: float | None = Field(description="when it was taken up, seconds since the epoch")
    ended: bool = Field(description="the stream has ended, and all of it is written")
    run: dict[str, Any] | None = Field(description="the run's status.json")
    settings: dict[str, Any] = Field(description="the run's settings.json")
    damaged: list[Unreadable] = Field(description="files of the run that are skipped, up to 100")


class Delay(BaseModel):
    """From questions to the labels that came in the newest refreshes, seconds."""

    p50: float
    p90: float
    max: float


class Asked(BaseModel):
    """What became of the run's questions, and what labels came."""

    refreshes: int = Field(description="reports that this is of")
    counts: dict[str, int] = Field(description="by the fields of a report, those that it has")
    delay: Delay | None = Field(description="null without a label")
    open: int = Field(description="questions of the newest refreshes that are open")
    oldest_open_seconds: int = Field(description="since the refresh of the oldest open one began")


class RefreshReport(Metrics):
    """A refresh's report; later versions may add figures."""

    model_config = ConfigDict(extra="allow")


class Sample(BaseModel):
    """Rows of the newest refresh."""

    refresh: str = Field(description="the name of the refresh: its start")
    rows: list[dict[str, Any]]


def router(core: Core) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["run"])
    listing = Listing(core.models)

    @cache
    def warn_once() -> None:
        log_event("deprecated path", "warning", path="/windows", use="/refreshes")

    @routes.get("/health", responses=describe_errors("no_model"))
    def health() -> Health:
        """Open to all: needs no API key."""
        serving = core.models.current
        if serving is None:
            raise Problem("no_model", "no window has ended yet")
        reason = core.trouble()
        return Health(
            status="degraded" if reason else "ok",
            model=serving.reference.name,
            reason=reason,
            damaged=len(core.damaged.files),
        )

    @routes.get("/status", responses=describe_errors())
    def status() -> Status:
        """How the run stands, and which model serves."""
        serving = core.models.current
        return Status(
            model=None if serving is None else serving.reference.name,
            since=None if serving is None else serving.since,
            ended=is_there(core.folder.ended),
            run=read_json(core.folder.status),
            settings=core.settings,
            damaged=[
                Unreadable(file=file, reason=reason)
                for file, reason in sorted(core.damaged.files.items())[:100]
            ],
        )

    @routes.get(
        "/models", responses=describe_errors("bad_parameter"), response_model_exclude_unset=True
    )
    def models(limit: Most = 100) -> list[Listed]:
        """The models that the run keeps, newest first; in short, `/models/NAME` has all."""
        return listing.newest(limit)

    @routes.get(
        "/models/{name}",
        response_model=Manifest,
        responses=describe_errors("not_found", "model_damaged", "bad_parameter"),
    )
    def model(name: Name) -> Response:
        """A model's manifest, as it stands."""
        try:
            return Response(core.models.store.manifest(name).as_json(), media_type=JSON)
        except (FileNotFoundError, ValueError) as error:
            raise Problem("not_found", f"the run has no model {name!r}") from error
        except (OSError, DamagedArtefact) as error:
            raise Problem("model_damaged", str(error)) from error

    @routes.get(
        "/refreshes",
        response_model=list[RefreshReport],
        responses=describe_errors("bad_parameter"),
    )
    def refreshes(limit: Most = 100) -> Response:
        """The reports of the newest refreshes, newest first."""
        reports = list(core.reports.known.values())
        return JSONResponse(reports[-limit:][::-1])

    @routes.get("/questions", responses=describe_errors("not_found"))
    def questions() -> Asked:
        """What became of the questions, where labels come later than they."""
        if core.questions is None:
            raise Problem("not_found", "the run's labels have no time of their own")
        figures, still = core.questions.figures, core.questions.open()
        return Asked(
            refreshes=figures.refreshes,
            counts=dict(figures.counts),
            delay=None if figures.delay is None else Delay(**figures.delay.model_dump()),
            open=still.open if still else 0,
            oldest_open_seconds=still.age if still else 0,
        )

    @routes.get(
        "/windows",
        response_model=list[RefreshReport],
        responses=describe_errors("bad_parameter"),
        deprecated=True,
    )
    def windows(limit: Most = 100) -> Response:
        """The old name of `/refreshes`; the next release does not have it."""
        warn_once()
        answer = refreshes(limit)
        answer.headers.update(DEPRECATED)
        return answer

    @routes.get("/data", responses=describe_errors("not_found", "bad_parameter"))
    def data(limit: Most = 100) -> Sample:
        """Rows of the newest refresh as they came, with their predictions."""
        return read_sample(core, limit, raw_columns)

    @routes.get("/normalized", responses=describe_errors("not_found", "bad_parameter"))
    def normalized(limit: Most = 100) -> Sample:
        """The same rows, numeric features as the model sees them; null without a model."""
        return read_sample(core, limit, partial(find_normalized, schema=core.schema))

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **describe_errors(),
        },
    )
    def metrics() -> Response:
        """Counters and gauges, for Prometheus."""
        return Response(generate_latest(core.counts.registry), media_type=CONTENT_TYPE_LATEST)

    return routes


def is_there(path: str) -> bool:
    """Whether the folder has a file; not if it cannot be reached."""
    try:
        return files.exists(path)
    except OSError:
        return False


def read_sample(core: Core, most: int, columns: Callable[[pa.Table], dict[str, str]]) -> Sample:
    """Rows of the newest sample.

    Raises:
        Problem: if there is none.
    """
    found = newest_sample(core.folder, most, columns, core.damaged)
    if found is None:
        raise Problem("not_found", "no refresh has ended yet: there is no sample")
    return Sample(refresh=found[0], rows=found[1])
