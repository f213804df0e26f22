"""A Flink cluster over HTTP: what could not connect is tried again, what it has heard is not."""

from __future__ import annotations

import logging
import socket
import threading

import pytest
from urllib3.util import Retry

from pipeline.logs import configure_logging
from pipeline.runners.cluster import Cluster, Unreachable
from tests.kit.ports import find_port

OVERVIEW = b'{"slots-available": 3, "slots-total": 8}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(OVERVIEW), OVERVIEW)


class OneAnswer:
    """A server that gives one answer to the first request, or closes the connection without one.

    Attributes:
        requests: how many requests have come.
    """

    def __init__(self, port: int, answer: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.answer = answer
        self.requests = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # it is closed
                return
            with connection:
                if connection.recv(65_536):
                    self.requests += 1
                    connection.sendall(self.answer)


def test_a_cluster_that_is_just_starting_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    port = find_port()
    servers: list[OneAnswer] = []

    def start(retry: Retry, response: object = None) -> None:
        if not servers:  # in the first pause after a refused connection
            servers.append(OneAnswer(port, ANSWER))

    monkeypatch.setattr(Retry, "sleep", start)
    assert Cluster(f"127.0.0.1:{port}").slots() == (3, 8)
    servers[0].listener.close()


@pytest.mark.parametrize("body", [None, {"cancel-job": True}])
def test_a_request_that_the_cluster_has_heard_is_not_sent_again(
    body: dict[str, bool] | None,
) -> None:
    server = OneAnswer(0, b"")
    port = server.listener.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} does not answer as Flink does: "):
        Cluster(f"127.0.0.1:{port}").get("/jobs/7/savepoints", body)
    assert server.requests == 1
    server.listener.close()


def test_a_cluster_that_is_not_there_is_described_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()
    page = f"http://127.0.0.1:{find_port()}"
    with pytest.raises(Unreachable) as raised:
        Cluster(page).slots()
    assert capsys.readouterr().err == ""
    assert str(raised.value) == (
        f"{page} does not answer as Flink does: [Errno 111] Connection refused"
    )
