"""Server-sent events: what happens to a run, pushed to all subscribers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

SUBSCRIBERS = 32
"""Maximum number of clients that may subscribe at once."""
WAITING = 256
"""Maximum number of events that wait for a subscriber; one that is slower is disconnected."""
QUIET = 15.0
"""Seconds: if nothing happens for so long, a comment shows that the connection lives."""


class TooManySubscribers(Exception):
    """There are as many subscribers as are allowed."""


class Events:
    """Sends events to subscribers; any thread may publish."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[str | None]] = set()
        self._closed = False

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Sends an event to all subscribers."""
        if self._loop is not None:
            text = f"event: {kind}\ndata: {json.dumps(data, default=str)}\n\n"
            self._loop.call_soon_threadsafe(self._send_all, text)

    def close(self) -> None:
        """Ends all streams, for good; any thread may call it."""
        self._closed = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._send_all, None)

    def subscribe(self) -> AsyncIterator[str]:
        """A stream of events, as text; called in the event loop.

        Raises:
            TooManyListeners: if there are too many already.
        """
        if len(self._queues) >= SUBSCRIBERS or self._closed:
            raise TooManySubscribers(f"{SUBSCRIBERS} clients are subscribed already")
        self._loop = asyncio.get_running_loop()
        mine: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._queues.add(mine)
        return self._stream(mine)

    async def _stream(self, mine: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        try:
            yield ": listening\n\n"
            while mine in self._queues or not mine.empty():
                try:
                    text = await asyncio.wait_for(mine.get(), QUIET)
                except asyncio.TimeoutError:
                    text = ": still here\n\n"
                if text is None:
                    return
                yield text
        finally:
            self._queues.discard(mine)

    def _send_all(self, text: str | None) -> None:
        for waiting in tuple(self._queues):
            if text is None or waiting.full():
                self._queues.discard(waiting)
            if not waiting.full():
                waiting.put_nowait(text)
