"""Reads what a client sends within bounds of size and time; uvicorn itself has none."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.serve.problems import Problem

HEAD_SECONDS = 10.0
"""From its first byte, or that of the connection, a request's head has so long to be there."""


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """A request's body; no more of it than allowed is ever in memory.

    Args:
        request: not yet read.
        most: bytes.
        seconds: in which all has to arrive.

    Raises:
        Problem: if it is too large, too slow, or breaks off.
    """
    too_large = Problem("body_too_large", f"the body has more than {most:,} bytes")
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    try:
        body = await asyncio.wait_for(_collected(request, most), seconds)
    except asyncio.TimeoutError as error:
        raise Problem("too_slow", f"the body did not arrive in {seconds:g} s") from error
    except ClientDisconnect as error:
        raise Problem("bad_body", "the connection ended before the body") from error
    if body is None:
        raise too_large
    return body


async def _collected(request: Request, most: int) -> bytes | None:
    """All pieces of a body; None as soon as they are too many bytes."""
    body = bytearray()
    async for piece in request.stream():
        if len(body) + len(piece) > most:
            return None
        body += piece
    return bytes(body)


class Impatient(H11Protocol):
    """Closes a connection whose request's head does not come."""

    def connection_made(self, transport: Any) -> None:
        """Starts to wait for the first head."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Waits for a head that has begun; no longer for one that is whole."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._come()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._come()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _come(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
