"""Before a request reaches a route: whose it is, and a log line and counts of its answer."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve.counts import Counts
from pipeline.serve.logs import NOTES, say
from pipeline.serve.options import Options, is_loopback
from pipeline.serve.problems import Problem

OPEN = frozenset({"/health", "/", "/page.css", "/page.js", "/icon.svg"})
"""Paths that need no API key: the page tells nothing until its reader gives the key."""


class Guard:
    """Refuses requests without the API key, or, on a local server, for another host's name.

    The latter is how a page on the web would reach a server that only this machine can: by a
    name of its own that it makes point here.
    """

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self.app = app
        self.options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers why not."""
        problem = self._problem(scope) if scope["type"] == "http" else None
        passed: ASGIApp = problem.noted(scope) if problem else self.app
        await passed(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = host_of(headers.get("host", ""))
        if self.options.local and host != self.options.host and not is_loopback(host):
            return Problem("wrong_host", f"Host {host[:60]!r}: this server is this machine's alone")
        key = self.options.key
        if key is None or scope["path"] in OPEN or shows(headers, key):
            return None
        return Problem("no_key", "the API key is asked for, as X-API-Key or Authorization: Bearer")


def host_of(header: str) -> str:
    """A Host header without its port.

    Example:
        >>> host_of("localhost:8000"), host_of("[::1]:8000")
        ('localhost', '::1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def shows(headers: Mapping[str, str], key: str) -> bool:
    """Whether a request shows the key; how long this takes tells nothing of it."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
    return hmac.compare_digest(given.encode(), key.encode())


class Journal:
    """Logs and counts each request when its answer has ended."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self.app = app
        self.counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, and looks at its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        notes: dict[str, Any] = scope.setdefault(NOTES, {})

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self._tell(scope, status, time.perf_counter() - began, notes)

    def _tell(self, scope: Scope, status: int, seconds: float, notes: dict[str, Any]) -> None:
        method, path = scope["method"], getattr(scope.get("route"), "path", "other")
        known = method if path != "other" else "any"
        self.counts.requests.labels(known, path, status).inc()
        self.counts.seconds.labels(path).observe(seconds)
        self.counts.rows.inc(notes.get("rows", 0))
        say(
            "request",
            method=method,
            path=scope["path"],
            status=status,
            ms=round(seconds * 1000, 2),
            client=(scope.get("client") or ("",))[0],
            **notes,
        )
