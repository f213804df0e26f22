"""What a client may keep waiting for, and for how long; what bodies hold in memory."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect

from monitor.serve.app import make_app
from monitor.serve.core import open_core
from monitor.serve.options import Options
from monitor.serve.problems import Problem
from monitor.serve.reading import Bodies, Deadlines
from monitor.serve.server import Server, open_socket
from tests.kit.serve import rows

POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = json.dumps(rows()).encode()
WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


class Short(Deadlines):
    """Deadlines of a test in which they pass."""

    head_seconds = 0.4
    body_seconds = 0.4
    rest_seconds = 0.3
    send_seconds = 0.4
    most = 20


class ShortAfterHead(Short):
    """Deadlines of a test whose client is slow only when it has sent a head."""

    head_seconds = 600.0
    body_seconds = 4.0


class Patient(Deadlines):
    """Deadlines of a test in which none passes."""

    head_seconds = body_seconds = rest_seconds = send_seconds = 600.0
    most = 8


@contextmanager
def serve_here(
    run: Path, protocol: type[Deadlines] = Short, timeout: float = 0.5, app: Any = None
) -> Iterator[int]:
    """A server in a thread of this process; its port."""
    options = Options(str(run), port=0, timeout=timeout)
    core = open_core(options)
    with open_socket(options) as listener:
        config = uvicorn.Config(
            app or make_app(core),
            http=protocol,
            ws="none",
            log_config=None,
            timeout_keep_alive=600,  # uvicorn's own deadline
        )
        server = Server(config, core)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port(run: Path) -> Iterator[int]:
    with serve_here(run) as found:
        yield found


@pytest.fixture(scope="module")
def after_head(run: Path) -> Iterator[int]:
    with serve_here(run, ShortAfterHead, 3.0) as found:
        yield found


@pytest.fixture(scope="module")
def patient(run: Path) -> Iterator[int]:
    with serve_here(run, Patient, 600.0) as found:
        yield found


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    made.settimeout(120)
    return made


def receive_all(connection: socket.socket) -> bytes:
    """Everything until the other side ends the connection."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


def is_answered(connection: socket.socket) -> bool:
    """Whether the answer to one request has come, whole, and is of status 200."""
    answer = HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status == 200


def trickle(connection: socket.socket, byte: bytes) -> None:
    """Sends a byte now and then until the connection is ended."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            connection.sendall(byte)
        except OSError:
            return
        time.sleep(0.05)
    raise AssertionError("it is still open")


@pytest.mark.parametrize(
    ("start", "byte"),
    [
        (b"", b"G"),
        (HEALTH, b"A: b\r\n"),
        (POST + b"Content-Length: 99999\r\n\r\n", b" "),
        (HEALTH + b"Content-Length: 99999\r\n\r\n", b" "),
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n", b" "),
        (WHOLE, b"G"),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["no head", "half a head", "body", "unread body", "body of 404", "next head", "chunks"],
)
def test_bytes_that_trickle_in_keep_no_connection_open(
    start: bytes, byte: bytes, port: int
) -> None:
    with connect(port) as slow:
        slow.sendall(start)
        trickle(slow, byte)


@pytest.mark.parametrize("start", [b"", HEALTH], ids=["nothing", "half a head"])
def test_silence_keeps_no_connection_open(start: bytes, port: int) -> None:
    with connect(port) as silent:
        silent.sendall(start)
        assert receive_all(silent) == b""


def test_silence_after_a_head_keeps_no_connection_open(after_head: int) -> None:
    with connect(after_head) as silent:
        silent.sendall(HEALTH + b"Content-Length: 99\r\n\r\n")
        assert receive_all(silent).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("start", [HEALTH + b"\r\n", WHOLE], ids=["answered", "predicted"])
def test_silence_after_an_answer_keeps_no_connection_open(start: bytes, run: Path) -> None:
    class Once(Patient):
        """Waits for one head, and not for another."""

        def on_response_complete(self) -> None:
            self.head_seconds = 0.4
            super().on_response_complete()

    with serve_here(run, Once, 600.0) as port, connect(port) as silent:
        silent.sendall(start)
        assert receive_all(silent).startswith(b"HTTP/1.1 200 ")


def test_who_takes_nothing_of_a_long_answer_is_cut_off(run: Path) -> None:
    cut_off = threading.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        """An app whose answer has no end; who is cut off is sent the rest in no time."""
        if scope["type"] == "lifespan":
            await receive()
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        cut_off.set()

    with serve_here(run, ShortAfterHead, app=endless) as port, connect(port) as deaf:
        deaf.sendall(HEALTH + b"\r\n")
        assert cut_off.wait(120)
        assert len(receive_all(deaf)) < 50_000_000


def test_requests_on_one_connection_are_answered_one_after_the_other(patient: int) -> None:
    with connect(patient) as client:
        for _ in range(3):
            client.sendall(WHOLE)
            assert is_answered(client)
        client.sendall(WHOLE * 3)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 3:
            piece = client.recv(65536)
            assert piece, answers
            answers += piece


def test_slow_bodies_take_no_place_from_others(after_head: int) -> None:
    head = POST + b"Content-Length: 100\r\n\r\n["
    slow = [connect(after_head) for _ in range(15)]
    for each in slow:
        each.sendall(head)
    with connect(after_head) as client:
        client.sendall(WHOLE)
        assert is_answered(client)
    assert {receive_all(each)[9:12] for each in slow} == {b"408"}


def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(patient: int) -> None:
    held = [connect(patient) for _ in range(30)]
    with connect(patient) as client:
        client.sendall(WHOLE)
        assert is_answered(client)
    assert receive_all(held[0]) == b""
    held[-1].sendall(WHOLE)
    assert is_answered(held[-1])
    for each in held:
        each.close()


@pytest.mark.parametrize("garbage", [b"GET\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"A B C D\r\n\r\n"])
def test_what_is_no_http_is_refused_in_the_one_shape(garbage: bytes, patient: int) -> None:
    with connect(patient) as client:
        client.sendall(garbage)
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head.lower()
    payload = json.loads(body)
    assert (payload["status"], payload["code"]) == (400, "bad_request")


def test_a_length_and_chunks_end_the_connection(patient: int) -> None:
    smuggled = b"0\r\n\r\n" + HEALTH + b"\r\n"
    head = POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connect(patient) as client:
        client.sendall(head + smuggled)
        answer = receive_all(client)
    assert answer.count(b"HTTP/1.1 ") == 1 and b"bad_request" in answer


class Asked:
    """A request whose body comes in pieces, as a test says."""

    def __init__(self, headers: dict[str, str] | None = None) -> None:
        self.headers = headers or {}
        self.pieces: asyncio.Queue[Any] = asyncio.Queue()

    async def stream(self) -> AsyncIterator[bytes]:
        while (piece := await self.pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


async def read(bodies: Bodies, asked: Any) -> bytes:
    async with bodies.read(asked, 120.0) as body:
        return body


async def settle() -> None:
    """Lets all that is ready in the event loop go on until it waits."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_bodies_are_counted_while_they_come_and_until_they_are_done_with() -> None:
    async def scene() -> list[int]:
        bodies, asked = Bodies(100, 1000), Asked()
        sizes = []
        reading = asyncio.create_task(read(bodies, asked))
        for piece in (b"abc", b"de"):
            asked.pieces.put_nowait(piece)
            await settle()
            sizes.append(bodies.size)
        asked.pieces.put_nowait(None)
        assert await reading == b"abcde"
        return [*sizes, bodies.size]

    assert asyncio.run(scene()) == [3, 5, 0]


@pytest.mark.parametrize(
    ("piece", "code"),
    [(b"x" * 101, "body_too_large"), (ClientDisconnect(), "bad_body")],
)
def test_a_body_that_fails_is_counted_no_longer(piece: Any, code: str) -> None:
    async def scene() -> tuple[str, int]:
        bodies, asked = Bodies(100), Asked()
        asked.pieces.put_nowait(b"abc")
        asked.pieces.put_nowait(piece)
        with pytest.raises(Problem) as caught:
            await read(bodies, asked)
        return caught.value.code, bodies.size

    assert asyncio.run(scene()) == (code, 0)


def test_where_bodies_hold_too_much_the_slowest_gives_way() -> None:
    async def scene() -> list[Any]:
        bodies, asked = Bodies(100, 250), [Asked() for _ in range(4)]
        tasks = [asyncio.create_task(read(bodies, each)) for each in asked]
        for each in asked:
            await settle()
            each.pieces.put_nowait(b"x" * 80)
        await settle()
        assert bodies.size <= 250
        for each in asked:
            each.pieces.put_nowait(None)
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(scene())
    assert isinstance(first, Problem) and first.code == "busy"
    assert [len(each) for each in others] == [80, 80, 80]
