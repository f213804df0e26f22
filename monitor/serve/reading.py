"""Reads what a client sends within bounds of size and time; uvicorn itself has none.

A client may hold a connection, but not for long: ``Deadlines`` gives its head, its body, its
silence and its reading of the answer a time each, whatever the app does meanwhile. ``Bodies``
bounds what all request bodies together hold in memory.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h11
from starlette.requests import ClientDisconnect, Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.serve.problems import Problem

CONNECTIONS = 1000
"""Maximum number of open connections; fewer where the process may open fewer files."""
RESERVED = 32
"""Files that the process may need beside its connections."""
HELD = 256 << 20
"""Maximum number of bytes that all request bodies hold together (or two of the largest)."""


class Bodies:
    """The request bodies that are in memory; used in the event loop alone.

    When they hold more than allowed, the one gives way that has been incomplete for longest.

    Args:
        most: maximum number of bytes of one body.
        held: of all of them; at least two of the largest.

    Attributes:
        size: bytes that are held now.
    """

    def __init__(self, most: int, held: int = HELD) -> None:
        self.most = most
        self.held = max(held, 2 * most)
        self.size = 0
        self._coming: dict[asyncio.Task[bytes | None], None] = {}

    @asynccontextmanager
    async def read(self, request: Request, seconds: float) -> AsyncIterator[bytes]:
        """A request's body, whole; it counts as held until the context ends.

        Args:
            request: not yet read.
            seconds: in which all has to arrive.

        Raises:
            Problem: if it is too large, too slow, breaks off, or has to give way.
        """
        body = await self._read(request, seconds)
        try:
            yield body
        finally:
            self.size -= len(body)

    async def _read(self, request: Request, seconds: float) -> bytes:
        too_large = Problem("body_too_large", f"the body has more than {self.most:,} bytes")
        if int(request.headers.get("content-length", 0)) > self.most:
            raise too_large
        reading = asyncio.create_task(self._collect(request))
        self._coming[reading] = None
        try:
            body = await asyncio.wait_for(reading, seconds)
        except asyncio.TimeoutError as error:
            raise Problem("too_slow", f"the body did not arrive in {seconds:g} s") from error
        except ClientDisconnect as error:
            raise Problem("bad_body", "the connection ended before the body") from error
        except asyncio.CancelledError:
            if reading in self._coming:  # the request was cancelled, not the reading alone
                raise
            raise Problem("busy", "too many bodies are on their way: try again") from None
        finally:
            self._coming.pop(reading, None)
        if body is None:
            raise too_large
        return body

    async def _collect(self, request: Request) -> bytes | None:
        """All pieces of a body; None as soon as they are too many bytes."""
        body = bytearray()
        kept = 0
        try:
            async for piece in request.stream():
                if len(body) + len(piece) > self.most:
                    return None
                body += piece
                self.size += len(piece)
                self._make_room()
            kept = len(body)
            return bytes(body)
        finally:
            self.size -= len(body) - kept

    def _make_room(self) -> None:
        """Gives up the slowest reading if more is held than allowed; it may be this one."""
        if self.size > self.held and self._coming:
            slowest = next(iter(self._coming))
            del self._coming[slowest]
            slowest.cancel()


class Deadlines(H11Protocol):
    """Closes a connection whose client lets it wait: for a head, a body, or to take its answer.

    A connection has one timer, which is set when something else is awaited and not when bytes
    come, so that bytes that trickle in put nothing off. Where there are as many connections as
    may be, a new one takes the place of the one that has kept the server waiting for longest.

    Attributes:
        head_seconds: from the connection's start, or the answer before, until a head is there.
        body_seconds: from its head until a request's body is there.
        rest_seconds: for the rest of a body whose request is answered already.
        send_seconds: for a client that takes nothing of its answer.
        most: maximum number of connections.
    """

    head_seconds = 10.0
    body_seconds = 30.0
    rest_seconds = 2.0
    send_seconds = 30.0
    most = CONNECTIONS

    def connection_made(self, transport: Any) -> None:
        """Starts to wait for the first head."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._awaited = ""
        self.since = 0.0
        self._make_place()
        self._look()

    def data_received(self, data: bytes) -> None:
        """Takes bytes, and sees what is awaited now."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Waits for the next head, or for a short while for the rest of this body."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no longer."""
        self._wait("", 0.0)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Waits for the client to take what is sent."""
        super().pause_writing()
        self._wait("answer taken", self.send_seconds)

    def resume_writing(self) -> None:
        """Sees what is awaited now."""
        super().resume_writing()
        self._wait("", 0.0)
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP in the shape of any other error."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has begun
            self.transport.close()
            return
        answer = Problem("bad_request", msg).response()
        head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
        for part in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _look(self) -> None:
        """Sets the timer by what the client owes: the rest of a head or a body, or nothing."""
        if self._awaited == "answer taken":
            return
        if self.transport.is_closing():
            self._wait("end", self.send_seconds)
        elif self.conn.their_state is h11.IDLE:
            self._wait("head", self.head_seconds)
        elif self.conn.their_state is not h11.SEND_BODY:
            self._wait("", 0.0)
        elif self.cycle.response_complete:
            self._wait("rest", self.rest_seconds)
        else:
            self._wait("body", self.body_seconds + self.rest_seconds)  # the app answers before

    def _wait(self, awaited: str, seconds: float) -> None:
        """Sets the timer, unless the same is awaited already."""
        if awaited == self._awaited:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._awaited, self.since = awaited, self.loop.time()
        self._timer = self.loop.call_later(seconds, self._give_up) if awaited else None

    def _give_up(self) -> None:
        """Ends the connection; at once if there is nothing that the client should still get."""
        if self._awaited in ("head", "body"):
            self.transport.close()
            self._wait("end", self.rest_seconds)
        else:
            self.transport.abort()

    def _make_place(self) -> None:
        """Ends the connection that has kept the server waiting for longest if there are too many.

        If all others are being answered, it is the new one that ends.
        """
        others = [each for each in self.connections if isinstance(each, Deadlines)]
        if len(others) > self.most:
            waiting = [each for each in others if each._awaited and each is not self]
            longest = min(waiting, key=lambda each: each.since, default=self)
            self.connections.discard(longest)  # another one may come before it is lost
            longest.transport.abort()


def deadlines(body_seconds: float) -> type[Deadlines]:
    """The protocol of a server, as uvicorn takes it.

    Args:
        body_seconds: a request's body has so long to be there.
    """
    attributes = {"body_seconds": body_seconds, "most": most_connections()}
    return type("Deadlines", (Deadlines,), attributes)


def most_connections() -> int:
    """How many connections this process may have, by how many files it may still open."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return CONNECTIONS
    try:
        there = len(os.listdir("/dev/fd"))
    except OSError:
        there = RESERVED
    return max(8, min(CONNECTIONS, allowed - there - RESERVED))
