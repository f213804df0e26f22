"""Before a request reaches a route: whose it is, and a log line and counts of its answer."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.serve.counts import Counts
from monitor.serve.logs import NOTES, log_event
from monitor.serve.options import Options, is_loopback
from monitor.serve.problems import LONGEST, Problem

OPEN = frozenset({"/health", "/", "/page.css", "/page.js", "/icon.svg"})
"""Paths that need no API key: the page shows nothing until its reader enters the key."""


IS_HEAD = "correnteza.head"
"""In the scope of a HEAD that is answered as a GET."""
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@/?#\[\]\\]+)(:\d{1,5})?", re.IGNORECASE | re.ASCII)
"""A Host header: a name or an address, and perhaps a port (RFC 9112, 3.2)."""
SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, and whose answers a page of another origin cannot read."""


class AuthMiddleware:
    """Refuses requests without the API key, or that another page's script made a browser send.

    A page on the web could reach a server that only this machine can: by a name of its own that
    it makes point here (so a local server takes its own names alone), or by a POST whose answer it
    does not need (so, without an API key, none is taken from another origin).
    """

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self.app = app
        self.options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers why not."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        passed: ASGIApp = problem.respond_to(scope) if problem else self.app
        await passed(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        header = headers.get("host", "")
        host = parse_host(header)
        if "content-length" in headers and "transfer-encoding" in headers:
            return Problem("bad_request", "Content-Length with Transfer-Encoding: give one of them")
        if host is None and header:
            return Problem("wrong_host", f"Host {header[:60]!r}: must be a host, or host:port")
        if self.options.local and host != self.options.host and not is_loopback(host or ""):
            return Problem(
                "wrong_host", f"Host {header[:60]!r}: this server is this machine's alone"
            )
        key = self.options.key
        if key is None and scope["method"] not in SAFE and is_foreign(headers):
            return Problem("other_origin", "without an API key, pages of this server alone may ask")
        if key is None or scope["path"] in OPEN or has_key(headers, key):
            return None
        return Problem("no_key", "the API key is asked for, as X-API-Key or Authorization: Bearer")


def parse_host(header: str) -> str | None:
    """A Host header without its port; None if it is not one.

    Example:
        >>> parse_host("localhost:8000"), parse_host("[::1]:8000"), parse_host("[::1]evil")
        ('localhost', '::1', None)
    """
    found = HOST.fullmatch(header)
    return found[1].strip("[]") if found else None


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether, by the browser's headers, a page of another origin made it send a request.

    Example:
        >>> is_foreign({"host": "localhost:8000", "origin": "http://localhost:8000"})
        False
        >>> is_foreign({"host": "localhost:8000", "origin": "https://example.org"})
        True
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def has_key(headers: Mapping[str, str], key: str) -> bool:
    """Whether a request shows the key; how long this takes reveals nothing about it."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
    return hmac.compare_digest(given.encode(), key.encode())


class HeadMiddleware:
    """Answers HEAD wherever GET is answered, without the body.

    A stream that never ends sends its head alone too: its route sees ``IS_HEAD`` in the scope.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a HEAD on as a GET, and leaves out the body of its answer."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        scope["method"], scope[IS_HEAD] = "GET", True

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        await self.app(scope, receive, without_body)


class AccessLog:
    """Logs and counts each request when its answer has ended."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app = app
        self.counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and looks at its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        began = time.perf_counter()
        status = 500
        notes: dict[str, Any] = scope.setdefault(NOTES, {})

        async def watch_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch_send)
        finally:
            self._record(method, scope, status, time.perf_counter() - began, notes)

    def _record(
        self, method: str, scope: Scope, status: int, seconds: float, notes: dict[str, Any]
    ) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self.counts.request(method, path, status, seconds)
        self.counts.rows.inc(notes.get("rows", 0))
        log_event(
            "request",
            method=method[:LONGEST],
            path=scope["path"][:LONGEST],
            status=status,
            ms=round(seconds * 1000, 2),
            client=(scope.get("client") or ("",))[0],
            **notes,
        )
