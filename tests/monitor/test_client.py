"""The client of a server: it tries again what may succeed then, and asks twice for no reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from model.errors import UserError
from monitor.client import Client, Prediction


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's ``answers`` say: a status, a body, and whether it hangs up after."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.taken.append((self.client_address[1], json.loads(body)))
        status, answer, hangs_up = server.answers.pop(0)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 503:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = hangs_up

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(*answers: tuple[int, Any, bool]) -> Iterator[tuple[Client, list[tuple[int, Any]]]]:
    """A client of a server that gives these answers, and what the server is sent."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        taken: list[tuple[int, Any]] = []
        vars(server).update(answers=list(answers), taken=taken)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Client(f"http://127.0.0.1:{server.server_port}"), taken
        server.shutdown()


GOOD = {"model": "m", "predictions": [1.5]}
BUSY = {"detail": "32 predictions are being made: try again"}
ROWS = [{"x": 1.0, "c": "é"}]


def test_requests_share_one_connection() -> None:
    with serving((200, GOOD, False), (200, GOOD, False)) as (client, taken):
        assert [client.predict(ROWS) for _ in range(2)] == [Prediction("m", [1.5])] * 2
    assert [rows for _, rows in taken] == [ROWS] * 2
    assert len({port for port, _ in taken}) == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_opened_again() -> None:
    with serving((200, GOOD, True), (200, GOOD, False)) as (client, taken):
        assert [client.predict(ROWS) for _ in range(2)] == [Prediction("m", [1.5])] * 2
    assert len({port for port, _ in taken}) == 2


def test_a_server_that_is_busy_is_asked_again() -> None:
    with serving((503, BUSY, True), (503, BUSY, False), (200, GOOD, False)) as (client, taken):
        assert client.predict(ROWS) == Prediction("m", [1.5])
    assert [rows for _, rows in taken] == [ROWS] * 3


def test_one_that_stays_busy_is_given_up_with_its_reason() -> None:
    with (
        # Kept open: a request on a connection that closes just then is a try without answer.
        serving(*[(503, BUSY, False)] * 4) as (client, taken),
        pytest.raises(UserError, match=r"/predict: 32 predictions are being made: try again$"),
    ):
        client.predict(ROWS)
    assert len(taken) == 4


def test_a_refusal_is_not_repeated() -> None:
    with (
        serving((422, {"detail": "1 of 1 rows"}, True)) as (client, taken),
        pytest.raises(UserError, match=r"/predict: 1 of 1 rows$"),
    ):
        client.predict(ROWS)
    assert len(taken) == 1
