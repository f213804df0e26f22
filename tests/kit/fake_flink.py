"""A Flink of a few lines that answers as its REST interface does, for what it is asked here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SERVER_SIDE = """<Exception on server side:
org.apache.flink.runtime.dispatcher.UnavailableDispatcherOperationException: The requested operation
	at org.apache.flink.runtime.dispatcher.Dispatcher.getJobMasterGateway(Dispatcher.java:1)

End of exception on server side>"""
"""How Flink 1.19 says why it answered 500."""


class Refused(Exception):
    """What it does not do now; Flink answers 500 then."""


@dataclass
class FakeJob:
    """A job on it.

    Attributes:
        saved: the path of the savepoint that it can take; None: it fails to.
        trace: the stack trace of its last failure; None: it had none.
        refusals: so often it is not cancelled though asked to be.
        silences: so often it does not answer whether the savepoint is there.
    """

    name: str
    id: str = "1"
    state: str = "RUNNING"
    restarts: int = 0
    checkpoint: str | None = None
    saved: str | None = None
    trace: str | None = None
    start: int = 0
    refusals: int = 0
    silences: int = 0

    def answer(self, method: str, rest: str) -> Any:
        if method == "PATCH":
            if self.refusals:
                self.refusals -= 1
                raise Refused(SERVER_SIDE)
            self.state = "CANCELED"
            return {}
        if rest == "/status":
            return {"status": self.state}
        if rest.startswith("/metrics"):
            return [{"id": "numRestarts", "value": str(self.restarts)}]
        if rest.startswith("/exceptions"):
            entries = [] if self.trace is None else [{"stacktrace": self.trace}]
            return {"exceptionHistory": {"entries": entries}}
        if rest == "/checkpoints":
            if self.state == "INITIALIZING":
                raise Refused(SERVER_SIDE)
            kept = self.checkpoint and {"id": 1, "external_path": self.checkpoint}
            return {"latest": {"completed": kept, "savepoint": None}}
        if method == "POST":
            return {"request-id": "r"}
        assert rest == "/savepoints/r"
        if self.silences:
            self.silences -= 1
            raise Refused(SERVER_SIDE)
        return {"status": {"id": "COMPLETED"}, "operation": self._operation()}

    def _operation(self) -> dict[str, Any]:
        if self.saved is None:
            trace = "a.B: failed\n\tat c.D\nCaused by: a.B: the disk is full\n\tat e.F"
            return {"failure-cause": {"class": "a.B", "stack-trace": trace}}
        self.state = "CANCELED"
        return {"location": self.saved}


@dataclass
class FakeFlink:
    """What it has; a test changes that as it likes."""

    port: int
    free: int = 8
    config: dict[str, str] = field(default_factory=lambda: {"state.checkpoints.dir": "file:///c"})
    jobs: list[FakeJob] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """Beam's options for a job on it; as a job server it only takes a connection."""
        here = f"localhost:{self.port}"
        return ["--job_endpoint", here, "--flink_master", here]

    def answer(self, method: str, path: str) -> Any:
        if path == "/overview":
            return {"slots-available": self.free, "slots-total": 8}
        if path == "/jobmanager/config":
            return [{"key": key, "value": value} for key, value in self.config.items()]
        if path == "/jobs/overview":
            return {
                "jobs": [{"jid": j.id, "name": j.name, "start-time": j.start} for j in self.jobs]
            }
        name = path.removeprefix("/jobs/")
        [job] = [job for job in self.jobs if name[: len(job.id)] == job.id]
        return job.answer(method, name[len(job.id) :].removesuffix("?mode=cancel"))


@contextmanager
def serving() -> Iterator[FakeFlink]:
    """A Flink that answers while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, result = 200, flink.answer(self.command, self.path)
            except Refused as refused:
                status, result = 500, {"errors": ["Internal server error.", str(refused)]}
            body = json.dumps(result).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        flink = FakeFlink(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield flink
        server.shutdown()
