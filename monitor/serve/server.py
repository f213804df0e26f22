"""Runs the server: a socket, uvicorn, and a clean end."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from types import FrameType

import uvicorn

from model.errors import UserError
from monitor.serve import logs
from monitor.serve.app import make_app
from monitor.serve.core import Core, open_core
from monitor.serve.options import KEY, Options
from monitor.serve.reading import deadlines

GRACE = 10
"""Seconds: when it is stopped, requests that have begun may take so long to end."""


class Server(uvicorn.Server):
    """uvicorn's server, but streams of events end when it is to stop, since it waits for them."""

    def __init__(self, config: uvicorn.Config, core: Core) -> None:
        super().__init__(config)
        self.core = core

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to stop, at a signal."""
        self.core.events.close()
        super().handle_exit(sig, frame)


def run(options: Options) -> int:
    """Serves until it is stopped.

    Returns:
        0.

    Raises:
        UserError: if the folder holds no run or the address cannot be listened on.
    """
    core = open_core(options)
    logs.install()
    with open_socket(options) as listener:
        app = make_app(core)
        config = uvicorn.Config(
            app,
            http=deadlines(options.timeout),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        serving = core.models.current.reference.name if core.models.current else "no model yet"
        print(f"{core.schema.name} of {options.folder} at {url} ({serving})", flush=True)
        if not options.local and options.key is None:
            logs.log_event("open to all who reach it: no API key is asked for", "warning", url=url)
        os.environ.pop(KEY, None)  # no child of this process needs it
        core.decoders.warm()
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it is meant to end
            Server(config, core).run(sockets=[listener])
    return 0


def open_socket(options: Options) -> socket.socket:
    """A socket that listens; its connections send at once, else answers wait 40 ms for an ACK.

    Raises:
        UserError: if the address is not this machine's, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        made = socket.create_server(found[0][4][:2], family=found[0][0], backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UserError(f"--host {options.host} --port {options.port}: {reason}") from error
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
