"""Draws once for all who look: in one thread, only if something is new, and not all the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

SHARE = 4
"""After a drawing, none of its kind begins for this many times as long as it took."""
LONGEST = 5.0
"""Seconds: but the pause is no longer than that."""


class Drawing:
    """A drawing that is kept until there is something new; used in the event loop alone.

    Attributes:
        thread: where it is drawn.
        draw: draws it.
        newest: what it would be of, if it were drawn now.
    """

    def __init__(
        self, thread: Executor, draw: Callable[[], bytes], newest: Callable[[], object]
    ) -> None:
        self.thread = thread
        self.draw = draw
        self.newest = newest
        self._of: object = None
        self._due = 0.0
        self._made: asyncio.Task[bytes] | None = None

    async def take(self) -> bytes:
        """The drawing. Who comes while it is made gets the same, though it may be older by then."""
        newest = self.newest()
        made = self._made
        if made is None or (made.done() and (newest != self._of or made.exception())):
            self._of = newest
            made = self._made = asyncio.create_task(self._draw())
        return await asyncio.shield(made)

    async def _draw(self) -> bytes:
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        began = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, self.draw)
        finally:
            took = time.monotonic() - began
            self._due = began + took + min(LONGEST, SHARE * took)
