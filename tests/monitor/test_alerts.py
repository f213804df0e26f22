"""Alerts of a run: in its folder, on the terminal, and at a webhook, a real server's."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model.alerts import Alert, as_ndjson, describe_alerts
from model.runs import RunFolder
from monitor import alerts
from monitor.alerts import AlertWatch, NotReached, Webhook, lines, post
from tests.kit.job import HEADER, SCHEMA, Job, content, make_settings, metrics

FILE = ("--input", "in.csv", "--schema", "s.toml", "--learner", "ridge", "--output", "o")
MINUTES, SHIFTED = 30, 26
"""How long a stream with a shift is, and in which minute that begins."""
REFRESHES = [f"20260101T00{minute:02d}00Z" for minute in range(MINUTES)]


class Server(ThreadingHTTPServer):
    """Takes what is posted.

    Attributes:
        answers: the codes of the next answers; 204 of all others.
        go_on: answers wait for it; it is set unless a test clears it.
        taken: the bodies that were posted, with the path and the type of each.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.taken: list[tuple[str, str | None, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"

    @property
    def alerts(self) -> list[Any]:
        """All alerts that came, in their order."""
        return [alert for _, _, body in self.taken for alert in body["alerts"]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, self.headers["Content-Type"], body))
        self.server.go_on.wait(600)
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Location", self.server.address + "&again")
        self.end_headers()

    def do_GET(self) -> None:
        raise AssertionError("a redirect was followed")

    def log_message(self, *result: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.go_on.set()
        running.shutdown()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses take hundredths of a second, and no answer is given up because a machine is busy."""
    for name in ("INTERVAL", "BACKOFF"):
        monkeypatch.setattr(alerts, name, 0.01)
    for name in ("TIMEOUT", "PATIENCE"):
        monkeypatch.setattr(alerts, name, 120.0)


def write_shifted(rows: int = 60) -> None:
    """Half an hour of rows, whose x is four deviations greater from ``SHIFTED`` on."""
    rng = np.random.default_rng(0)
    messages = []
    for minute in range(MINUTES):
        for number in range(rows):
            x = rng.normal() + (4 if minute >= SHIFTED else 0)
            second = number * 60 / rows
            messages.append(f"2026-01-01T00:{minute:02d}:{second:09.6f}Z,{3 * x:.4f},{x:.4f},a\n")
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + "".join(messages))


def alert(minute: int, column: str = "x") -> Alert:
    return Alert(
        refresh_start=f"2026-01-01T00:{minute:02d}:00Z",
        model="20260101T000000Z",
        what="psi",
        column=column,
        value=0.5,
        threshold=0.25,
    )


def write_report(folder: RunFolder, minute: int, *columns: str) -> None:
    """Writes a refresh's alerts and, as the job does, its report after them."""
    name = REFRESHES[minute]
    for path in (folder.alerts, folder.metrics):
        Path(path).mkdir(parents=True, exist_ok=True)
    found = [alert(minute, column) for column in columns]
    Path(folder.alerts, f"{name}.ndjson").write_bytes(as_ndjson(found))
    Path(folder.metrics, f"{name}.json").write_text("{}")


def test_a_feature_that_moves_is_an_alert_in_the_folder_on_the_terminal_and_at_the_webhook(
    job: Job, server: Server
) -> None:
    write_shifted()
    result = job.ran(*FILE, "--webhook", server.address)
    folder = RunFolder("o")
    written = [Path(path).stem for path in sorted(Path("o/alerts").iterdir())]
    assert written[0] in REFRESHES[SHIFTED : SHIFTED + 3]
    by_refresh = [folder.read_alerts(name) for name in written]
    assert {one.state for one in by_refresh[0]} == {"new"}
    assert {one.column for one in by_refresh[0]} <= {"x", "prediction", "y"}
    [x] = [one for one in by_refresh[1] if one.column == "x"]
    assert (x.what, x.state, x.since) == ("mean_shift", "on", by_refresh[0][0].refresh_start)
    shifts = [report["drift"]["features"]["x"]["mean_shift"] for report in metrics("o")[SHIFTED:]]
    assert x.value == max(shifts, key=abs)
    said = [line for line in result.err.splitlines() if line.startswith("alert")]
    assert said == [f"alert: {describe_alerts(found)}" for found in by_refresh]
    found = [one for some in by_refresh for one in some]
    assert server.alerts == [one.model_dump() for one in found]
    for path, kind, body in server.taken:
        assert (path, kind) == ("/hook?token=s3cret", "application/json")
        assert list(body) == ["format", "run", "alerts", "lines"] and body["run"] == "o"
    lines = [line for *_, body in server.taken for line in body["lines"]]
    assert lines == [describe_alerts(found) for found in by_refresh]
    assert [m["files"].get(f"alerts/{name}.ndjson") for m, name in by_name(written)] == [
        Path(f"o/alerts/{name}.ndjson").stat().st_size for name in written
    ]


def by_name(names: list[str]) -> list[tuple[Any, str]]:
    reports = dict(zip(REFRESHES, metrics("o"), strict=True))
    return [(reports[name], name) for name in names]


def test_the_address_of_a_webhook_is_reported_nowhere(job: Job, server: Server) -> None:
    write_shifted()
    server.answers = [500] * 9
    result = job.ran(*FILE, "--webhook", server.address)
    number = sum(map(len, map(RunFolder("o").read_alerts, REFRESHES)))
    assert result.err.count(f"the webhook did not take {number} alerts: it answers 500") == 1
    assert len(server.taken) == alerts.TRIES
    assert "s3cret" not in result.err + result.out
    assert all(b"s3cret" not in p.read_bytes() for p in Path("o").rglob("*") if p.is_file())
    refused = job.refused(*FILE, "--webhook", "ftp://s3cret")
    assert refused.startswith("--webhook (hidden): must be an http:// or https:// address")


def test_rows_that_do_not_drift_have_no_alerts(job: Job) -> None:
    job.ran("--refreshes", 3, "--rate", 200, "--learner", "ridge", "--output", "o")
    assert not Path("o/alerts").exists()
    assert [report["drift"] is None for report in metrics("o")] == [True, False, False]


def test_thresholds_decide_and_none_has_no_alerts(job: Job) -> None:
    write_shifted()
    job.ran(*FILE, "--drift-psi", "none", "--drift-shift", 3)
    found = [one for name in REFRESHES for one in RunFolder("o").read_alerts(name)]
    assert {(one.what, one.threshold) for one in found if one.column == "x"} == {("mean_shift", 3)}
    for options in (("--drift-psi", "none", "--drift-shift", 9), ("--alert-run-length", "none")):
        job.ran(*FILE, "--overwrite", *options)
        found = [one for name in REFRESHES for one in RunFolder("o").read_alerts(name)]
        assert "x" not in {one.column for one in found}


def test_resume_makes_alerts_anew_to_the_byte_and_shows_only_what_was_not_reported(
    job: Job, server: Server
) -> None:
    write_shifted()
    options = (*FILE, "--webhook", server.address)
    job.ran(*options)
    before, first = content("o"), server.alerts
    server.taken.clear()
    since = SHIFTED + 2
    for name in REFRESHES[since:]:
        Path("o/metrics", f"{name}.json").unlink()
    shutil.rmtree("o/alerts")
    job.ran(*options, "--resume")
    assert content("o") == before
    late = [one for one in first if one["refresh_start"] >= f"2026-01-01T00:{since}"]
    assert server.alerts == late
    assert 0 < len(late) < len(first)
    newest = max(Path("o/alerts").iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    job.ran(*options, "--resume")
    assert content("o") == before


def test_an_alert_is_reported_once_its_refresh_is_reported_and_not_twice(home: Path) -> None:
    folder, messages = RunFolder("o"), list[str]()
    write_report(folder, 0, "old")
    with AlertWatch(folder, messages.append):
        write_report(folder, 1, "x", "z")
        early = Path(folder.alerts, f"{REFRESHES[2]}.ndjson")
        early.write_bytes(as_ndjson([alert(2, "early")]))
        until(lambda: len(messages) == 1)
        Path(folder.metrics, f"{REFRESHES[2]}.json").write_text("{}")
        until(lambda: len(messages) == 2)
        write_report(folder, 3, "last")
    assert messages == [
        f"alert: {alert(1, 'x')}; also z (PSI)",
        f"alert: {alert(2, 'early')}",
        f"alert: {alert(3, 'last')}",
    ]


def test_a_file_of_alerts_that_is_damaged_is_passed_over(home: Path) -> None:
    folder, messages = RunFolder("o"), list[str]()
    with AlertWatch(folder, messages.append):
        Path("o/alerts").mkdir(parents=True)
        Path(folder.alerts, f"{REFRESHES[0]}.ndjson").write_text("[")
        write_report(folder, 1, "x")
        Path(folder.metrics, f"{REFRESHES[0]}.json").write_text("{}")
    assert messages == [f"alert: {alert(1)}"]


def test_a_refresh_without_alerts_has_none_to_read(home: Path) -> None:
    write_report(RunFolder("o"), 0, "x")
    assert RunFolder("o").read_alerts(REFRESHES[0]) == [alert(0)]
    assert RunFolder("o").read_alerts(REFRESHES[1]) == []


def test_many_alerts_are_reported_in_a_few_lines() -> None:
    many = [alert(minute, column) for minute in range(14) for column in "abcdefgh"]
    result = lines(many, "o/alerts")
    also = ", ".join(f"{column} (PSI)" for column in "bcde")
    assert result[0] == f"alert: {many[0]}; also {also}, 3 more"
    assert result[1] == f"alert: {many[8]}; also {also}, 3 more"
    assert (len(result), result[-1]) == (13, "alerts of 2 refreshes are not shown; see o/alerts")
    assert lines([], "o/alerts") == []


def test_what_would_steer_a_terminal_is_reported_as_question_marks() -> None:
    [line] = lines([alert(0, "a\x1b[2Jb\n")], "o/alerts")
    assert line.startswith("alert: 2026-01-01T00:00:00Z a?[2Jb?: PSI 0.5, allowed 0.25 (model ")


def test_a_webhook_that_fails_is_tried_again_later_with_all_that_waits(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, messages = [100.0], list[str]()
    time_of_test = SimpleNamespace(monotonic=lambda: clock[0], sleep=time.sleep)
    monkeypatch.setattr(alerts, "time", time_of_test)
    hook = Webhook(server.address, "o", messages.append)
    server.answers = [503]
    hook.add([alert(0)])
    hook.work()
    hook.work()
    assert len(server.taken) == 1
    clock[0] += 1.0
    hook.add([alert(1)])
    hook.finish()
    assert server.alerts == [one.model_dump() for one in (alert(0), alert(0), alert(1))]
    assert messages == []


def test_a_webhook_that_fails_for_good_is_reported_once(server: Server) -> None:
    messages: list[str] = []
    hook = Webhook(server.address, "o", messages.append)
    server.answers = [404] * 2 * alerts.TRIES
    for _ in range(2):
        hook.add([alert(0), alert(1)])
        hook.finish()
    assert messages == ["the webhook did not take 2 alerts: it answers 404"]
    hook.add([alert(2)])
    hook.finish()
    assert server.alerts[-1] == alert(2).model_dump()


def test_many_alerts_are_posted_in_parts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "POSTED", 2)
    hook = Webhook(server.address, "o", pytest.fail)
    hook.add([alert(minute) for minute in range(5)])
    hook.finish()
    assert [len(body["alerts"]) for _, _, body in server.taken] == [2, 2, 1]
    assert server.alerts == [alert(minute).model_dump() for minute in range(5)]


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_no_redirect_is_followed(server: Server, code: int) -> None:
    server.answers = [code]
    with pytest.raises(NotReached, match=f"it answers {code}"):
        post(server.address, "o", [alert(0)])
    assert len(server.taken) == 1


def test_an_answer_that_does_not_come_in_time_is_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "TIMEOUT", 0.05)
    server.go_on.clear()
    with pytest.raises(NotReached, match=r"^TimeoutError$"):
        post(server.address, "o", [alert(0)])


def test_the_end_of_a_run_does_not_wait_for_a_webhook_for_long(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(alerts, "BACKOFF", 600.0)
    monkeypatch.setattr(alerts, "PATIENCE", 0.2)
    folder, messages = RunFolder("o"), list[str]()
    began = time.monotonic()
    with AlertWatch(folder, messages.append, "http://127.0.0.1:1/s3cret"):
        write_report(folder, 0, "x")
    assert time.monotonic() - began < 300
    assert messages[1:] == ["the webhook did not take 1 alert: Connection refused"]


@pytest.mark.parametrize("value", ["https://example.org/a?b=c", "http://localhost:8000"])
def test_an_address_is_http_or_https_and_hidden_in_settings(value: str) -> None:
    settings = make_settings(webhook=value)
    assert settings.webhook is not None and settings.webhook.get_secret_value() == value
    assert value not in repr(settings) + settings.model_dump_json()


def until(done: Any) -> None:
    """Waits until something is so."""
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)
