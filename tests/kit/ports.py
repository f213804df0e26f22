"""Ports for servers of tests that cannot choose one by themselves."""

from __future__ import annotations

import os
import random
import socket

FIRST, EACH = 20_000, 1_500
"""Below those that Linux gives to sockets that ask for any: so no other program is given one before
it is bound. Each of xdist's workers has its own."""


def find_port() -> int:
    """A port of this machine at which nothing listens."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(FIRST + worker % 8 * EACH, FIRST + (worker % 8 + 1) * EACH)
    for port in random.sample(own, EACH):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("all ports are taken")
