"""The routes of the page, and of what only it asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from html import escape
from pathlib import Path

from fastapi import APIRouter, Response

from model.alerts import Alert
from model.display import DISPLAY
from model.skipped import Skipped
from monitor.serve.bodies import JSON
from monitor.serve.browse import Most
from monitor.serve.core import Core
from monitor.serve.page.drawing import Drawing
from monitor.serve.page.form import Form, form
from monitor.serve.page.pictures import GROUPS, Group, Name, draw
from monitor.serve.problems import describe_errors

HERE = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page loads nothing from elsewhere, runs no script but its own, and stands in no frame."""


def router(core: Core) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["page"])
    add_files(routes, asked=core.options.key is not None)
    drawings = drawings_of(core)

    @routes.get("/alerts", responses=describe_errors("bad_parameter"))
    def alerts(limit: Most = 100) -> list[Alert]:
        """What of the run's drift was more than its thresholds allow, newest first."""
        return core.alerts.take(limit)

    @routes.get("/skipped", responses=describe_errors("bad_parameter"))
    def skipped(limit: Most = 100) -> list[Skipped]:
        """The windows that made no model, and why, newest first."""
        return core.skips.take(limit)

    @routes.get("/form", responses=describe_errors())
    def to_fill_in() -> Form:
        """The fields of a prediction, by the model that serves."""
        return form(core)

    @routes.get(
        "/pictures/{group}", response_model=Group, responses=describe_errors("bad_parameter")
    )
    async def pictures(group: Name) -> Response:
        """The report's pictures of the newest refreshes; drawn once for all who ask."""
        return Response(await drawings[group].take(), media_type=JSON)

    return routes


def add_files(routes: APIRouter, asked: bool) -> None:
    """Adds the page's own files, which have nothing of the run.

    Args:
        routes: to add to.
        asked: whether an API key is asked for; the page then asks its reader.
    """
    for path, (media, read) in FILES.items():
        content = partial(html, asked) if path == "/" else read
        answer = partial(answer_file, media, content)
        routes.add_api_route(path, answer, include_in_schema=False, response_class=Response)


def answer_file(media: str, read: Callable[[], bytes]) -> Response:
    """The answer that is a file of the page."""
    return Response(read(), media_type=media, headers=HEADERS)


def html(asked: bool) -> bytes:
    """The page; it shows whether it has to ask for an API key."""
    from monitor.report.glossary import as_html

    page = (HERE / "page.html").read_text(encoding="utf-8").replace("GLOSSARY", as_html(), 1)
    display = escape(json.dumps(DISPLAY, ensure_ascii=False))
    attributes = f'{"data-key " if asked else ""}data-display="{display}"'
    return page.replace("<html ", f"<html {attributes} ", 1).encode()


@cache
def style() -> bytes:
    """The report's style in both palettes, and what the page adds to it."""
    from monitor.report import pictures  # here: it loads matplotlib
    from monitor.report.pictures import palette

    light, dark = palette.variables(dark=False), palette.variables(dark=True)
    report = Path(pictures.__file__).parents[1] / "page.css"
    return "\n".join(
        (
            f":root {{ color-scheme: light dark; {light} }}",
            f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}",
            report.read_text(encoding="utf-8"),
            (HERE / "page.css").read_text(encoding="utf-8"),
        )
    ).encode()


def drawings_of(core: Core) -> dict[Name, Drawing]:
    """The groups of pictures of a run; all are drawn in one thread, one after the other."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="draw")

    def made(name: Name) -> bytes:
        return draw(core, name).model_dump_json().encode()

    def newest() -> object:
        serving = core.models.current
        return next(reversed(core.reports.known), None), serving and serving.reference

    return {name: Drawing(thread, partial(made, name), newest) for name in GROUPS}


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "/": ("text/html", partial(html, False)),
    "/page.css": ("text/css", style),
    "/page.js": ("text/javascript", (HERE / "page.js").read_bytes),
    "/icon.svg": ("image/svg+xml", (HERE / "icon.svg").read_bytes),
}
"""By path: its media type, and what reads it."""
