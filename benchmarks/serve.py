"""``python -m benchmarks.serve``: the server under load, beside plain predict and a bare endpoint.

All of it on this machine, over loopback, bounded in time. Each way predicts the same rows by a
model of the same window: plain scikit-learn in this process (a pipeline of its own transformers,
with one thread or all, whichever is faster), a bare FastAPI endpoint of that pipeline, and the
server, asked in JSON and in Arrow. Rates are of clients that ask again as soon as they are
answered; latencies of requests that leave at half that rate. Ends with 1 if the limit, batches of
10,000 at no less than half of plain predict, is not held.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import joblib
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.bare import fit_pipeline
from model.people import SCHEMA, People
from model.store import Store
from pipeline.settings import START, micros_of

RATE, WINDOW = 250, 60
"""Rows per second of event time, and a window's seconds: the job's defaults."""
BATCHES = {1: 4, 100: 4, 10_000: 2}
"""Rows of a request, and how many clients ask."""
LIMIT = 0.5
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"


class Load(NamedTuple):
    """How a way to predict bore its load: rows a second, and milliseconds at half of it."""

    rate: float
    p50: float | None = None
    p99: float | None = None


class Target(NamedTuple):
    """Where requests go, and in which form."""

    url: str
    media: str
    body: bytes


def rows(first: int, count: int) -> pa.RecordBatch:
    """People of the run, from an index on."""
    people = People("learnable", 42, RATE, micros_of(START))
    return people.rows(first, first + count, SCHEMA.columns)


def bodies(batch: int) -> dict[str, bytes]:
    """A request of so many rows, by media type."""
    names = [*SCHEMA.numeric, *SCHEMA.categorical]
    table = pa.Table.from_batches([rows(2 * RATE * WINDOW, batch)]).select(names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {JSON: json.dumps(table.to_pylist()).encode(), ARROW: sink.getvalue().to_pybytes()}


def ask(connection: http.client.HTTPConnection, target: Target) -> None:
    """One request.

    Raises:
        RuntimeError: if it is not answered.
    """
    connection.request("POST", "/predict", target.body, {"Content-Type": target.media})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{target.url}: {data[:300]!r}")


def clients(count: int, work: Callable[[http.client.HTTPConnection, int], None], url: str) -> None:
    """Runs work in as many threads, each with a connection of its own.

    Raises:
        Exception: the first that one of them raised.
    """
    failures: list[BaseException] = []

    def one(number: int) -> None:
        try:
            work(http.client.HTTPConnection(url.removeprefix("http://"), timeout=120), number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def measure_saturation(target: Target, count: int, seconds: float) -> float:
    """Requests a second of clients that ask without a pause."""
    asked = [0] * count
    end = time.perf_counter() + seconds

    def work(connection: http.client.HTTPConnection, number: int) -> None:
        while time.perf_counter() < end:
            ask(connection, target)
            asked[number] += 1

    began = time.perf_counter()
    clients(count, work, target.url)
    return sum(asked) / (time.perf_counter() - began)


def steady(target: Target, count: int, rate: float, seconds: float) -> list[float]:
    """Seconds to each answer, from when its request was due, at so many requests a second."""
    due = np.arange(0, max(seconds, 20 / rate), 1 / rate)
    began = time.perf_counter() + 0.1
    taken = np.zeros(len(due))

    def work(connection: http.client.HTTPConnection, number: int) -> None:
        for i in range(number, len(due), count):
            time.sleep(max(0.0, began + due[i] - time.perf_counter()))
            ask(connection, target)
            taken[i] = time.perf_counter() - began - due[i]

    clients(count, work, target.url)
    return list(taken.tolist())


def measure_load(target: Target, batch: int, seconds: float) -> Load:
    """How a server bears a load: after a warm-up, in full and at half rate."""
    measure_saturation(target, BATCHES[batch], seconds / 4)
    requests = measure_saturation(target, BATCHES[batch], seconds)
    taken = steady(target, BATCHES[batch], requests / 2, seconds)
    p50, p99 = (1000 * np.percentile(taken, (50, 99))).tolist()
    return Load(requests * batch, p50, p99)


def plain(pipeline: Any, batch: int, seconds: float) -> Load:
    """How fast plain scikit-learn predicts in this process, with one thread or with all."""
    frame = rows(2 * RATE * WINDOW, batch).to_pandas()
    best = 0.0
    for jobs in (1, -1):
        if "n_jobs" in pipeline[-1].get_params():
            pipeline[-1].set_params(n_jobs=jobs)
        pipeline.predict(frame)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds / 2:
            pipeline.predict(frame)
            count += 1
        best = max(best, count * batch / (time.perf_counter() - began))
    return Load(best)


@contextmanager
def server(argv: Sequence[str], log: Path) -> Iterator[str]:
    """A server in a process of its own; its address stands in the first line that it prints."""
    with log.open("w") as errors:
        running = subprocess.Popen(
            [sys.executable, "-m", *argv], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert running.stdout is not None
        yield running.stdout.readline().split(" at ")[1].split()[0]
    finally:
        running.kill()
        running.wait()


def measure(learner: str, seconds: float, folder: Path) -> dict[tuple[str, int], Load]:
    """Measures every way with every batch, for one learner."""
    run = folder / learner
    argv = ["--learner", learner, "--refreshes", "2", "--output", str(run)]
    subprocess.run([sys.executable, "-m", "pipeline", *argv], check=True, capture_output=True)
    store = Store(str(run / "models"))
    estimator = store.load(store.names()[-1]).estimator
    pipeline = fit_pipeline(rows(RATE * WINDOW, RATE * WINDOW).to_pandas(), SCHEMA, estimator)
    file = folder / f"{learner}.joblib"
    joblib.dump(pipeline, file)
    found = {}
    with (
        server(["pipeline", "serve", str(run), "--port", "0"], folder / "server.log") as ours,
        server(["benchmarks.bare", str(file)], folder / "bare.log") as bare,
    ):
        for batch in BATCHES:
            body = bodies(batch)
            found["plain predict", batch] = plain(pipeline, batch, seconds)
            ways = {"bare FastAPI, JSON": (bare, JSON)}
            ways |= {"server, JSON": (ours, JSON), "server, Arrow": (ours, ARROW)}
            for way, (url, media) in ways.items():
                found[way, batch] = measure_load(Target(url, media, body[media]), batch, seconds)
    return found


def make_table(learner: str, found: dict[tuple[str, int], Load]) -> Table:
    """The figures of a learner as a table."""
    table = Table(title=f"{learner}: rows a second, and milliseconds at half the rate")
    for title in ("rows a request", "way", "rows/s", "of plain", "p50 ms", "p99 ms"):
        table.add_column(title, justify="left" if title == "way" else "right")
    for (way, batch), load in found.items():
        share = load.rate / found["plain predict", batch].rate
        times = ["-" if t is None else f"{t:,.1f}" for t in (load.p50, load.p99)]
        table.add_row(f"{batch:,}", way, f"{load.rate:,.0f}", f"{share:.2f}", *times)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints the tables, and says whether the limit is held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    given = parser.parse_args(argv)
    held = True
    for learner in ("forest", "ridge"):
        with TemporaryDirectory() as folder:
            found = measure(learner, given.seconds, Path(folder))
        Console(width=100).print(make_table(learner, found))
        best = max(found[way, 10_000].rate for way in ("server, JSON", "server, Arrow"))
        share = best / found["plain predict", 10_000].rate
        held &= share >= LIMIT
        print(f"{learner}: batches of 10,000 at {share:.2f} of plain predict (limit {LIMIT})")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
