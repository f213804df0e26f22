"""The socket that a server listens on."""

from __future__ import annotations

import socket

import pytest

from model.errors import UserError
from monitor.serve.options import Options
from monitor.serve.server import open_socket


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_it_listens_where_it_is_set_on_a_port_that_is_free(host: str) -> None:
    with open_socket(Options("run", host=host, port=0)) as listener:
        at, port = listener.getsockname()[:2]
        assert at in ("127.0.0.1", "::1") and port > 0
        socket.create_connection((at, port)).close()


def test_what_it_accepts_sends_at_once() -> None:
    with (
        open_socket(Options("run", port=0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        accepted.close()


def test_a_port_that_is_taken_is_refused() -> None:
    with open_socket(Options("run", port=0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port}: Address already in use$"):
            open_socket(Options("run", port=port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(UserError, match=f"--host {host} --port 0: "):
        open_socket(Options("run", host=host, port=0))
