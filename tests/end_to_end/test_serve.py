"""A server in a process of its own: its end, its log, clients that are slow, large or hostile."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.__main__ import main
from tests.kit.job import SMALL, process
from tests.kit.serve import (
    ARROW,
    JSON,
    PEOPLE,
    Served,
    arrow,
    commit,
    constant,
    rows,
    serve,
    until,
    window,
)

pytestmark = pytest.mark.slow

MIB = 1 << 20
GIB = 1 << 30
NEWEST = "20260101T000300Z"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three windows."""
    folder = tmp_path_factory.mktemp("served") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def run(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(original, tmp_path / "run"))


@pytest.fixture
def server(run: Path) -> Iterator[Served]:
    """A server of it with small limits, which looks at it often."""
    with serve(run, "--timeout", 300, "--poll", 0.05, "--max-body", 4) as made:
        yield made


@pytest.fixture
def impatient(run: Path) -> Iterator[Served]:
    """A server of it that does not wait for slow bodies."""
    with serve(run, "--timeout", 2) as made:
        yield made


def ask(
    server: Served, method: str, path: str, body: Any = None, media: str = JSON
) -> tuple[int, Any]:
    """A request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request(method, path, body, {"Content-Type": media})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data)


def predict(server: Served) -> Any:
    status, answer = ask(server, "POST", "/predict", json.dumps(rows()))
    assert status == 200, answer
    return answer


def memory(server: Served) -> int:
    """Bytes that a server has in memory."""
    pages = Path(f"/proc/{server.running.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def children(server: Served) -> list[int]:
    """The processes that a server has started."""
    pid = server.running.pid
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_it_ends_cleanly_and_leaves_no_process(server: Served, by: Any, code: int) -> None:
    ask(server, "POST", "/predict", arrow_body(), ARROW)
    started = children(server)
    assert started
    assert server.end(by) == code
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert {line["event"] for line in server.log} == {"model", "request"}


def arrow_body() -> bytes:
    return arrow(pa.table(PEOPLE))


def test_a_request_that_has_begun_is_answered_before_the_end(server: Served) -> None:
    body = json.dumps(rows()).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as open_socket:
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        open_socket.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert open_socket.recv(1000).startswith(b"HTTP/1.1 100 ")  # it has begun
        server.running.send_signal(signal.SIGINT)
        until(lambda: refuses(server))
        open_socket.sendall(body)
        assert read_all(open_socket).startswith(b"HTTP/1.1 200 ")
    assert server.end() == 0


def refuses(server: Served) -> bool:
    """Whether a server takes no more connections."""
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except ConnectionRefusedError:
        return True
    return False


def read_all(connection: socket.socket, seconds: float = 300.0) -> bytes:
    """Everything that comes until the other side closes (or resets what it has not read)."""
    connection.settimeout(seconds)
    data = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


def test_streams_of_events_do_not_hold_up_the_end(server: Served, run: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    assert stream.getheader("content-type") == "text/event-stream; charset=utf-8"
    assert stream.readline() == b": listening\n"
    name = commit(run, 9, 500.0)
    result = [stream.readline() for _ in range(3)]
    assert result == [b"\n", b"event: model\n", f'data: {{"model": "{name}"}}\n'.encode()]
    assert server.end() == 0
    assert "graceful shutdown" not in json.dumps(server.log)  # after 10 s in vain


def test_a_new_report_and_status_are_events(server: Served, run: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    stream.readline(), stream.readline()
    report = json.loads((run / "metrics" / "20260101T000200Z.json").read_text())
    path = run / "metrics" / "20260101T000300Z.json"
    path.with_suffix(".part").write_text(json.dumps(report))
    path.with_suffix(".part").rename(path)
    assert [stream.readline() for _ in range(2)] == [
        b"event: refresh\n",
        f"data: {json.dumps(report)}\n".encode(),
    ]
    connection.close()


def test_a_body_of_a_gigabyte_is_refused_before_it_is_sent(server: Served) -> None:
    before = memory(server)
    with socket.create_connection(("127.0.0.1", server.port)) as open_socket:
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIB}\r\n\r\n"
        open_socket.sendall(head.encode())
        answer = read_all(open_socket)
    assert answer.startswith(b"HTTP/1.1 413 ") and b'"code":"body_too_large"' in answer
    assert predict(server)["model"] == NEWEST
    assert memory(server) - before < 64 * MIB


def test_a_gigabyte_in_pieces_is_cut_off_and_never_held(server: Served) -> None:
    before = memory(server)
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port)) as open_socket:
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        open_socket.sendall(head.encode())
        piece = b"100000\r\n" + b" " * MIB + b"\r\n"
        with suppress(OSError):
            while sent < GIB:
                open_socket.sendall(piece)
                sent += MIB
    assert sent < 64 * MIB
    assert predict(server)["model"] == NEWEST
    assert memory(server) - before < 64 * MIB
    until(lambda: len(server.logged("request")) >= 2)  # written when an answer has been sent
    assert [line["status"] for line in server.logged("request")] == [413, 200]


def test_json_of_very_many_empty_rows_is_refused_and_let_go(server: Served) -> None:
    before = memory(server)
    body = b"[" + b",".join([b"{}"] * (4 * MIB // 3 - 1)) + b"]"
    status, result = ask(server, "POST", "/predict", body)
    assert (status, result["code"]) == (422, "too_many_rows")
    assert predict(server)["model"] == NEWEST
    assert memory(server) - before < 256 * MIB


def test_a_slow_body_is_given_up_while_others_are_answered(impatient: Served) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port)) as slow:
        began = time.monotonic()
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n[")
        for _ in range(5):
            predict(impatient)
        answer = read_all(slow)
        assert time.monotonic() - began >= 2
    assert answer.startswith(b"HTTP/1.1 408 ") and b'"code":"too_slow"' in answer
    until(lambda: 408 in [line["status"] for line in impatient.logged("request")])


@pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET /health HTTP/1.1\r\nHost: x\r\nA: "])
def test_a_head_that_does_not_come_is_given_up(server: Served, head: bytes) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(head)
        assert read_all(slow) == b""
        assert time.monotonic() - began > 8
    predict(server)


def test_many_slow_clients_leave_room_for_others(impatient: Served) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n["
    slow = [socket.create_connection(("127.0.0.1", impatient.port)) for _ in range(40)]
    for each in slow:
        each.sendall(head)
    predict(impatient)  # they have no place before their bodies have come
    assert {read_all(each)[9:12] for each in slow} == {b"408"}
    for each in slow:
        each.close()


def test_a_client_that_goes_away_harms_nothing(server: Served) -> None:
    for cut in (b"", b"[", json.dumps(rows()).encode()):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400\r\n\r\n"
            client.sendall(head + cut)
    predict(server)
    server.end()
    assert {line["event"] for line in server.log} == {"model", "request"}


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"x" * 200_000],
    ids=["tls", "no path", "version", "long"],
)
def test_what_is_no_http_is_refused(server: Served, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(garbage)
        assert read_all(client)[:12] in (b"", b"HTTP/1.1 400")
    predict(server)


def test_a_reader_of_bodies_that_is_killed_costs_one_request_at_the_most(run: Path) -> None:
    with serve(run) as server:
        assert ask(server, "POST", "/predict", arrow_body(), ARROW)[0] == 200
        for pid in children(server):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        statuses = [ask(server, "POST", "/predict", arrow_body(), ARROW)[0] for _ in range(4)]
    assert statuses.count(200) >= 3 and set(statuses) <= {200, 400}


def test_models_that_are_damaged_in_every_way_are_refused_logged_and_do_not_stop_it(
    server: Served, run: Path
) -> None:
    models = run / "models"
    data, manifest = constant(9, 1.0)
    body = manifest.model_dump()
    outside = models.parent / "outside"
    outside.mkdir()
    damages = {
        "20260101T000901Z": (data[:-1], body),
        "20260101T000902Z": (data, {**body, "sha256": "0" * 64}),
        "20260101T000903Z": (data, {**body, "window_end": "../../../../etc/passwd"}),
        "20260101T000904Z": (b"", body),
    }
    for name, (model, content) in damages.items():
        (models / name).mkdir()
        (models / name / "model.joblib").write_bytes(model)
        (models / name / "manifest.json").write_text(json.dumps(content))
    (outside / "model.joblib").write_bytes(data)
    (outside / "manifest.json").write_text(
        json.dumps({**body, "window_end": "2026-01-01T00:09:05Z"})
    )
    (models / "20260101T000905Z").symlink_to(outside)
    wanted = {*damages, "20260101T000905Z"}
    until(lambda: {line["model"] for line in server.logged("model refused")} == wanted)
    assert predict(server)["model"] == NEWEST
    name = commit(run, 10, 77.0)
    until(lambda: predict(server)["model"] == name)
    assert predict(server)["predictions"] == pytest.approx([77.0] * 4)


def test_a_model_file_that_is_code_is_not_run(server: Served, run: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    _, manifest = constant(9, 1.0)
    folder = run / "models" / "20260101T000900Z"
    folder.mkdir()
    (folder / "model.joblib").write_bytes(f"cposix\nsystem\n(S'touch {planted}'\ntR.".encode())
    (folder / "manifest.json").write_bytes(manifest.as_json())
    until(lambda: server.logged("model refused"))
    assert not planted.exists()


def test_changes_of_model_under_load_fail_no_request_and_mix_no_answer(run: Path) -> None:
    changes, over, failures = 300, threading.Event(), []
    names: dict[str, float] = {}
    seen: set[str] = set()
    body = json.dumps(rows() * 25)

    def load(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        while not over.is_set():
            connection.request("POST", "/predict", body, {"Content-Type": JSON})
            answer = connection.getresponse()
            payload = json.loads(answer.read())
            if answer.status != 200:
                failures.append(payload)
                return
            value = names.get(payload["model"])
            if value is None or any(abs(p - value) > 1e-6 for p in payload["predictions"]):
                failures.append(payload)
                return
            seen.add(payload["model"])

    commit(run, 10, 10.0)
    names["20260101T001000Z"] = 10.0
    with serve(run, "--poll", 0.01) as server:
        threads = [threading.Thread(target=load, args=(server.port,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for change in range(changes):
            minute = 11 + change
            name = name_of(minute)
            names[name] = float(minute)
            assert commit(run, minute, float(minute)) == name
            if change >= 2:
                shutil.rmtree(run / "models" / name_of(minute - 2), ignore_errors=True)
            until(lambda: ask(server, "GET", "/health")[1]["model"] == name)  # noqa: B023
            if change % 10 == 0:
                until(lambda: name in seen or failures)  # noqa: B023
        over.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(seen) >= changes / 10
        assert len(server.logged("model")) == changes + 1
        assert server.logged("model refused") == []
        assert {line["status"] for line in server.logged("request")} == {200}


def name_of(minute: int) -> str:
    return window(minute).name


def test_a_server_beside_a_run_follows_it_from_its_first_model_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    argv = (*SMALL[:-2], "--learner", "forest", "--refreshes", 40, "--window", "2s", "--keep", 3)
    running = process(*argv, "--rate", 2000, "--output", folder)
    try:
        until(lambda: (folder / "settings.json").exists())
        with serve(folder, "--poll", 0.02) as server:
            until(lambda: ask(server, "GET", "/health")[0] == 200)
            until(lambda: ask(server, "GET", "/status")[1]["ended"], 300)
            last = max(path.name for path in (folder / "models").iterdir())
            until(lambda: ask(server, "GET", "/health")[1]["model"] == last)
            assert len(ask(server, "GET", "/refreshes")[1]) == 40
            taken = [line["model"] for line in server.logged("model")]
            assert taken == sorted(taken) and len(taken) > 1
            assert server.logged("model refused") == []
    finally:
        running.kill()
        running.communicate()
