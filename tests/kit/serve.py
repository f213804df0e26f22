"""What the tests of the server share: a run, clients, bodies, and models of one number each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from model.artefact import Artefact
from model.batch import SECOND
from model.manifest import Learner as Kind
from model.manifest import Window
from model.people import SCHEMA
from model.store import Store
from model.training import normalize, train
from monitor.serve.app import make_app
from monitor.serve.core import open_core
from monitor.serve.options import Options
from pipeline.settings import START, micros_of
from tests.kit.job import ROOT
from tests.kit.rows import accept
from tests.kit.sums import summarize_batch

URL = "http://127.0.0.1"
NAMES = [f"20260101T000{minute}00Z" for minute in range(1, 4)]
"""The models of the run."""
JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
PEOPLE: dict[str, list[Any]] = {
    "idade": [25, 60, None, 41],
    "idh": [0.61, 0.84, 0.7, None],
    "estado": ["Bahia", "São Paulo", None, "Atlantis"],
    "cargo": ["Dentista", None, "Ator", "Ator"],
}
"""Four people, some of whose features are null or were never seen."""


def rows(columns: dict[str, list[Any]] = PEOPLE) -> list[dict[str, Any]]:
    """Columns as rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values())]  # noqa: B905


def arrow(table: pa.Table, **options: Any) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        out.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def parquet(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def expected(folder: Path, name: str, columns: dict[str, list[Any]] = PEOPLE) -> list[float]:
    """What a model predicts, asked without a server."""
    found: list[float] = Store(str(folder / "models")).load(name).predict_columns(columns).tolist()
    return found


@contextmanager
def client(folder: Path | str, **options: Any) -> Iterator[TestClient]:
    """A client of a server in this process."""
    result = {"poll": 0.02, "timeout": 120.0, **options}
    with TestClient(make_app(open_core(Options(str(folder), **result))), base_url=URL) as made:
        yield made


def problem_of(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem with which a request was refused, in the one shape that errors have."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), body
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    return body


def until(holds: Any, seconds: float = 120.0) -> Any:
    """What a call gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
    return found


def commit(folder: Path, minute: int, value: float, kind: str = "ridge") -> str:
    """Commits a model that predicts one number for all people; returns its name."""
    data, manifest = constant(minute, value, kind)
    name = window(minute).name
    Store(str(folder / "models")).commit(name, data, manifest)
    return name


def window(minute: int) -> Window:
    """The window of a minute that ends so many minutes after the run's start."""
    end = micros_of(START) + minute * 60 * SECOND
    return Window(end - 60 * SECOND, end)


def constant(minute: int, value: float, kind: str = "ridge") -> tuple[bytes, Any]:
    """The model file and the manifest of a model that predicts one number."""
    batch = accept(
        SCHEMA,
        {
            "salario": [value] * 4,
            "idade": [20.0, 30.0, 40.0, 50.0],
            "idh": [0.5, 0.6, 0.7, 0.8],
            "estado": ["Bahia"] * 4,
            "cargo": ["Ator"] * 4,
        },
    )
    data = normalize(batch, summarize_batch(batch, SCHEMA), SCHEMA, window(minute))
    return train(data, SCHEMA, Kind(kind, {}, 1))


@dataclass
class Served:
    """A server in a process of its own.

    Attributes:
        url: of it.
        running: its process.
        errors: what it writes to standard error, its log.
    """

    url: str
    running: subprocess.Popen[str]
    errors: IO[bytes]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def end(self, by: signal.Signals = signal.SIGINT) -> int:
        """Stops it; its exit code. A second time it is nothing."""
        if self.running.poll() is None:
            self.running.send_signal(by)
        return self.running.wait(120)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged; nothing else may be said.

        The server goes on writing, and the file's offset is one for it and for us: a look that
        moved it would have the next line written over an earlier one.
        """
        number = self.errors.fileno()
        lines = os.pread(number, os.fstat(number).st_size, 0).splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of one kind in its log."""
        return [line for line in self.log if line["event"] == event]


@contextmanager
def serve(folder: Path | str, *argv: object) -> Iterator[Served]:
    """``python -m pipeline serve`` on a port that is free."""
    command = [sys.executable, "-m", "pipeline", "serve", folder, "--port", 0, *argv]
    with TemporaryFile() as errors:
        running = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert " at http://" in line, line
            yield Served(line.split(" at ")[1].split()[0], running, errors)
        finally:
            running.kill()
            running.wait()


def iso_of(name: str) -> str:
    """A name's time as ISO 8601."""
    at = datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    return at.isoformat().replace("+00:00", "Z")


def flip(path: Path, at: int = 100) -> None:
    """Changes one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def open_model(folder: Path, name: str) -> Artefact:
    """A model of a run."""
    return Store(str(folder / "models")).load(name)


def close(found: list[float], wanted: Any) -> bool:
    """Whether numbers are equal but for rounding."""
    return bool(np.allclose(found, wanted, rtol=1e-12, atol=0))
