"""``python -m pipeline ask``: predictions of a server, shown beside what came true."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import uvicorn

from model.errors import UserError
from model.people import SCHEMA, People
from model.store import Store
from monitor.ask import rows_to_ask
from monitor.serve.app import make_app
from monitor.serve.core import open_core
from monitor.serve.options import KEY, Options
from pipeline.__main__ import main
from pipeline.settings import START, micros_of
from tests.kit.job import SMALL, Job

SECRET = "0123456789abcdef"
NEWEST = "20260101T000300Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("ask") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A server of the run, which asks for a key."""
    app = make_app(open_core(Options(str(folder), key=SECRET)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's key, in the environment."""
    monkeypatch.setenv(KEY, SECRET)


def people(first: int, rows: int, seed: int = 42) -> pa.RecordBatch:
    made = People("learnable", seed, 20, micros_of(START))
    return made.rows(first, first + rows, SCHEMA.columns)


def split_table(out: str) -> tuple[list[list[str]], str]:
    """The lines of the table below its head, and the closing line."""
    head, *lines, closing = out.splitlines()
    assert head.split() == ["row", "prediction", "salario", "error", "model"]
    return [line.split() for line in lines], closing


def number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_people_after_the_models_window_are_asked_for(
    batch: int, folder: Path, url: str, job: Job
) -> None:
    result = job.ran("ask", url, "--count", 7, "--batch", batch, "--pace", 0)
    lines, closing = split_table(result.out)
    rows = people(3600, 7)  # 20 a second, after three minutes
    salaries = np.array(rows.column("salario"))
    artefact = Store(str(folder / "models")).load(NEWEST)
    predictions = artefact.predict_columns({n: rows.column(n).to_pylist() for n in FEATURES})
    for i, (row, prediction, actual, error, model) in enumerate(lines):
        assert (int(number(row)), model) == (3600 + i, NEWEST)
        assert number(prediction) == pytest.approx(predictions[i], abs=0.006)
        assert number(actual) == salaries[i]
        assert number(error) == pytest.approx(predictions[i] - salaries[i], abs=0.006)
    mae = np.abs(predictions - salaries).mean()
    assert len(lines) == 7 and closing.startswith("7 rows in ")
    assert number(closing.rpartition("MAE ")[2]) == pytest.approx(mae, rel=1e-3)


FEATURES = (*SCHEMA.numeric, *SCHEMA.categorical)


def test_another_seed_gives_other_people(url: str, job: Job) -> None:
    lines, _ = split_table(job.ran("ask", url, "--count", 2, "--pace", 0, "--seed", 7).out)
    assert [number(line[2]) for line in lines] == people(3600, 2, 7).column("salario").to_pylist()


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_the_rows_of_a_file_are_asked_for_and_unknown_targets_are_not_counted(
    ending: str, url: str, job: Job
) -> None:
    rows = people(100, 6).to_pylist()
    rows[2]["salario"] = None
    rows[4]["idade"] = None
    times = [row["timestamp"].isoformat() for row in rows]
    rows = [
        {**{name: row[name] for name in SCHEMA.columns}, "timestamp": time}
        for row, time in zip(rows, times, strict=True)
    ]
    table = pa.Table.from_pylist(rows)
    path = f"people.{ending}"
    if ending == "csv":
        pyarrow.csv.write_csv(table, path)
    elif ending == "parquet":
        pa.parquet.write_table(table, path)
    else:
        Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines, closing = split_table(job.ran("ask", url, "--rows", path, "--pace", 0, "--batch", 4).out)
    assert [line[0] for line in lines] == ["0", "1", "2", "3", "4", "5"]
    wanted = [row["salario"] for row in rows]
    assert [None if w == "-" else number(w) for w in (line[2] for line in lines)] == wanted
    assert lines[2][3] == "-"
    mae = np.mean([abs(number(line[3])) for i, line in enumerate(lines) if i != 2])
    assert number(closing.rpartition("MAE ")[2]) == pytest.approx(mae, rel=1e-3)


def test_rows_are_asked_for_at_a_pace(url: str, job: Job) -> None:
    began = time.monotonic()
    job.ran("ask", url, "--count", 6, "--pace", 10, "--batch", 2)
    assert time.monotonic() - began >= 0.4  # then the last two leave


def test_ctrl_c_ends_it_with_the_closing_line(
    url: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        if seconds > 0.05:
            raise KeyboardInterrupt

    monkeypatch.setattr("monitor.ask.time.sleep", interrupt)
    lines, closing = split_table(job.ran("ask", url, "--count", 0, "--pace", 5).out)
    assert len(lines) == 1 and closing.startswith("1 row in ")


def test_without_the_key_it_shows_what_is_missing(
    url: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY)
    message = job.refused("ask", url)
    assert (
        message == f"{url}/status: the API key is asked for, as X-API-Key or Authorization: Bearer"
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["http://127.0.0.1:1"], "http://127.0.0.1:1: does not answer: Connection refused"),
        (["nonsense"], "nonsense: must be the address of a server, as http://127.0.0.1:8000"),
        (["ftp://x"], "ftp://x: must be the address of a server"),
        (["http://x:99999"], "http://x:99999: must be the address of a server"),
        (["--pace", "-1"], "--pace and --count must be >= 0, and --batch must be >= 1"),
        (["--pace", "nan"], "--pace and --count must be >= 0, and --batch must be >= 1"),
        (["--count", "-1"], "--pace and --count must be >= 0, and --batch must be >= 1"),
        (["--batch", "0"], "--pace and --count must be >= 0, and --batch must be >= 1"),
        (["--batches", "1"], "unrecognized arguments: --batches"),
    ],
)
def test_what_the_command_line_refuses(argv: list[str], message: str, job: Job) -> None:
    assert message in job.refused("ask", *argv)


def test_a_file_that_is_not_there_is_refused(url: str, job: Job) -> None:
    assert "no.csv" in job.refused("ask", url, "--rows", "no.csv")


def test_a_run_of_files_needs_rows() -> None:
    with pytest.raises(UserError, match="--rows FILE is needed: the server's run is not of people"):
        rows_to_ask("people", {"settings": {"source": "files"}}, SCHEMA, None)


class Other(BaseHTTPRequestHandler):
    """A server of something else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": 1}')

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_of_something_else_is_recognised(job: Job) -> None:
    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request).start()
        url = f"http://127.0.0.1:{other.server_port}"
        message = f"{url}: is not our server: it has no /status of ours"
        assert job.refused("ask", url) == message


def test_people_whose_salary_is_known_later_are_open_and_then_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*SMALL, "--people-delay", "0..3s", "--output", str(folder)]) == 0
    app = make_app(open_core(Options(str(folder), key=SECRET)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    capsys.readouterr()
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        assert main(["ask", address, "--count", "100", "--pace", "0", "--batch", "20"]) == 0
    finally:
        server.should_exit = True
        thread.join()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    asked = [line for line in lines[1:-1] if line[2] == "open"]
    answered = [line for line in lines[1:-1] if line[2] not in ("open", "-")]
    first = {line[0]: number for number, line in reversed([*enumerate(lines)])}
    assert len(asked) > 80 and len(answered) > 20
    assert all(lines[first[line[0]]][2] == "open" for line in answered)
    still = int(lines[-1][-2].replace(",", ""))
    assert lines[-1][-1] == "open" and still == len(asked) - len(answered)
