"""Server-sent events: what is sent, when, and how many may listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from monitor.serve import events as module
from monitor.serve.events import SUBSCRIBERS, WAITING, Events, TooManySubscribers


def run_with(test: Callable[[Events], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(Events()), 10))  # type: ignore[arg-type]


def read(text: str) -> tuple[str, Any]:
    """An event's kind and data, as a browser reads it."""
    first, second, *rest = text.split("\n")
    assert rest == ["", ""]
    return first.removeprefix("event: "), json.loads(second.removeprefix("data: "))


async def begin(events: Events) -> AsyncIterator[str]:
    stream = events.subscribe()
    assert await anext(stream) == ": listening\n\n"
    return stream


def test_every_listener_gets_every_event_in_order() -> None:
    async def test(events: Events) -> None:
        streams = [await begin(events) for _ in range(3)]
        events.publish("model", {"model": "a\nb"})
        events.publish("refresh", {"rows": 1, "mae": None})
        for stream in streams:
            assert read(await anext(stream)) == ("model", {"model": "a\nb"})
            assert read(await anext(stream)) == ("refresh", {"rows": 1, "mae": None})

    run_with(test)


def test_other_threads_may_publish() -> None:
    async def test(events: Events) -> None:
        stream = await begin(events)
        await asyncio.to_thread(events.publish, "status", {"state": "done"})
        assert read(await anext(stream)) == ("status", {"state": "done"})

    run_with(test)


def test_what_nobody_listens_to_is_forgotten() -> None:
    async def test(events: Events) -> None:
        events.publish("model", {"model": "a"})
        stream = await begin(events)
        events.publish("model", {"model": "b"})
        assert read(await anext(stream)) == ("model", {"model": "b"})

    run_with(test)


def test_if_nothing_happens_a_comment_shows_that_the_connection_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.01)

    async def test(events: Events) -> None:
        stream = await begin(events)
        assert await anext(stream) == ": still here\n\n"
        assert await anext(stream) == ": still here\n\n"

    run_with(test)


def test_so_many_may_listen_and_who_goes_makes_room() -> None:
    async def test(events: Events) -> None:
        streams = [await begin(events) for _ in range(SUBSCRIBERS)]
        with pytest.raises(TooManySubscribers):
            events.subscribe()
        await streams[0].aclose()  # type: ignore[attr-defined]
        await begin(events)

    run_with(test)


def test_a_listener_that_is_far_behind_is_let_go_and_the_others_stay() -> None:
    async def test(events: Events) -> None:
        slow, quick = await begin(events), await begin(events)
        for number in range(WAITING + 1):
            events.publish("refresh", {"number": number})
            assert read(await anext(quick)) == ("refresh", {"number": number})
        left = [read(text)[1]["number"] async for text in slow]
        assert left == list(range(WAITING))
        events.publish("refresh", {"number": -1})
        assert read(await anext(quick)) == ("refresh", {"number": -1})

    run_with(test)


def test_closing_ends_every_stream_and_lets_none_begin() -> None:
    async def test(events: Events) -> None:
        streams = [await begin(events) for _ in range(3)]
        await asyncio.to_thread(events.close)
        for stream in streams:
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        with pytest.raises(TooManySubscribers):
            events.subscribe()

    run_with(test)
