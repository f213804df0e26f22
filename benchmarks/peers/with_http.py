"""An HTTP service that takes one row a call, and a client that sends one row after the other.

As FastAPI's documentation has it: a pydantic model for the body, a plain function for the route,
uvicorn. The service answers with its prediction, keeps the rows of the window, and trains when a
row of the next window comes. The client is httpx with one connection that stays open, on
loopback.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
import pyarrow.parquet as pq
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.data import FEATURES
from benchmarks.loop import Floats, Window
from benchmarks.peers.work import Done, Model, Work, parse_work, predict, train


class Row(BaseModel):
    """A row; ``time`` is in microseconds since the epoch."""

    time: int
    y: float
    a: float
    b: float
    c: float
    d: float

    @property
    def features(self) -> list[float]:
        """The features in their order."""
        return [getattr(self, name) for name in FEATURES]


@dataclass
class Service:
    """What the service holds.

    Attributes:
        work: what was asked for.
        done: what was done so far.
        model: of the window before.
        rows: of the window that has not ended yet.
    """

    work: Work
    done: Done = field(default_factory=Done)
    model: Model | None = None
    rows: list[Row] = field(default_factory=list)

    def predict(self, row: Row) -> float | None:
        """A row's prediction, null in the first window."""
        if self.rows and self.slot(row) != self.slot(self.rows[0]):
            self.train()
        self.rows.append(row)
        self.done.rows += 1
        if self.model is None:
            return None
        predicted = predict(self.model, np.array([row.features]))
        self.done.score(np.array([row.y]), predicted)
        return float(predicted[0])

    def slot(self, row: Row) -> int:
        """The number of a row's window."""
        return row.time // (self.work.window * 1_000_000)

    def train(self) -> None:
        """Trains on the window that has ended."""
        features: Floats = np.array([row.features for row in self.rows])
        window = Window(features, np.array([row.y for row in self.rows]))
        self.model = train(self.work, window, self.done.windows)
        self.done.windows += 1
        self.rows = []

    def end(self) -> str:
        """Trains on the last window; gives the line of what was done."""
        self.train()
        return self.done.line()


def application(service: Service) -> FastAPI:
    """The service's routes."""
    app = FastAPI()

    @app.post("/rows")
    def rows(row: Row) -> float | None:
        return service.predict(row)

    @app.post("/end")
    def end() -> str:
        return service.end()

    return app


def serve(work: Work, listening: socket.socket) -> None:
    """Serves until it is terminated."""
    config = uvicorn.Config(application(Service(work)), log_level="warning")
    uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def start_service(work: Work) -> Iterator[str]:
    """The service in a process of its own; gives its address, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.Process(target=serve, args=(work, listening))
        process.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


def send(work: Work, address: str) -> str:
    """Sends the file's rows in turn; gives the line of what was done."""
    table = pq.read_table(work.input)
    table = table.set_column(table.column_names.index("time"), "time", table["time"].cast("int64"))
    with httpx.Client(base_url=address, timeout=60) as client:
        for row in table.to_pylist():
            client.post("/rows", json=row).raise_for_status()
        return str(client.post("/end").raise_for_status().json())


if __name__ == "__main__":
    asked_for = parse_work(__doc__)
    with start_service(asked_for) as url:
        print(send(asked_for, url))
