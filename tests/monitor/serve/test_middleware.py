"""Who may ask: the API key, the Host header, and what a command line refuses."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.program import remedy
from monitor.serve.logs import JsonLines
from monitor.serve.options import KEY, options_from
from tests.kit.job import Job
from tests.kit.serve import client, problem_of, rows, until

SECRET = "correct-horse-battery-staple"
PATHS = (
    "/status",
    "/models",
    "/refreshes",
    "/data",
    "/normalized",
    "/metrics",
    "/openapi.json",
    "/x",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": SECRET[:-1]},
        {"X-API-Key": SECRET + "x"},
        {"X-API-Key": SECRET.upper()},
        {"X-API-Key": "é"},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": SECRET},
        {"Cookie": f"X-API-Key={SECRET}"},
    ],
    ids=str,
)
def test_without_the_key_nothing_is_reported(run: Path, path: str, headers: dict[str, str]) -> None:
    with client(run, key=SECRET) as api:
        answer = api.get(path, headers={k: v.encode() for k, v in headers.items()})
        problem_of(answer, 401, "no_key")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": SECRET},
        {"x-api-key": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
        {"Authorization": f"bearer {SECRET}"},
    ],
    ids=str,
)
def test_with_the_key_all_is_answered(run: Path, headers: dict[str, str]) -> None:
    with client(run, key=SECRET) as api:
        assert api.get("/status", headers=headers).status_code == 200
        assert api.post("/predict", json=rows(), headers=headers).status_code == 200


def test_without_the_key_no_row_is_predicted_but_health_is_open(run: Path) -> None:
    with client(run, key=SECRET) as api:
        problem_of(api.post("/predict", json=rows()), 401, "no_key")
        assert api.get("/health").json()["status"] == "ok"


def test_the_key_is_in_no_log_and_no_answer(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with client(run, key=SECRET) as api:
        answers = [
            api.get("/status", headers={"X-API-Key": SECRET}),
            api.get(f"/models?X-API-Key={SECRET}", headers={"X-API-Key": SECRET}),
            api.get("/metrics", headers={"X-API-Key": SECRET}),
        ]
    lines = [JsonLines().format(record) for record in caplog.records]
    assert len(lines) > 3
    assert not any(SECRET in text for text in (*lines, *(answer.text for answer in answers)))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "10.0.0.1", "", "localhost.x"]
)
def test_a_local_server_answers_under_no_other_name(run: Path, host: str) -> None:
    with client(run) as api:
        problem_of(api.get("/status", headers={"host": host}), 400, "wrong_host")
        problem_of(api.post("/predict", json=rows(), headers={"host": host}), 400, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "127.0.0.2"])
def test_a_local_server_answers_under_the_names_of_this_machine(run: Path, host: str) -> None:
    with client(run) as api:
        assert api.get("/health", headers={"host": host}).status_code == 200


def test_a_server_beyond_this_machine_answers_under_any_name(run: Path) -> None:
    with client(run, host="0.0.0.0", key=SECRET) as api:
        assert api.get("/health", headers={"host": "models.example"}).status_code == 200


def test_defaults_are_this_machine_alone_and_small_limits() -> None:
    made = options_from(["runs/a"])
    assert (made.host, made.port, made.model, made.key) == ("127.0.0.1", 8000, "newest", None)
    assert (made.max_body, made.max_rows, made.timeout, made.poll) == (16 << 20, 100_000, 30, 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "models.example"])
def test_beyond_this_machine_a_key_is_needed_or_waived(
    host: str, monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    message = job.refused("serve", "runs/a", "--host", host)
    assert message.startswith(
        f"--host {host}: others could read the run without an API key: set {KEY}"
    )
    assert options_from(["runs/a", "--host", host, "--no-api-key"]).key is None
    monkeypatch.setenv(KEY, SECRET)
    assert options_from(["runs/a", "--host", host]).key == SECRET


def test_a_key_comes_from_a_file_and_is_not_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "another-key-of-some-length")
    Path("key").write_text(f"  {SECRET}\n")
    made = options_from(["runs/a", "--api-key-file", "key"])
    assert made.key == SECRET and SECRET not in repr(made)


def refusals() -> list[Any]:
    return [
        (["--port", "65536"], "--port 65536: must be 0 to 65535"),
        (["--port", "-1"], "--port -1: must be 0 to 65535"),
        (["--model", "last"], "--model last: must be newest, or the name of a model"),
        (["--model", "../x"], "--model ../x: must be newest, or the name of a model"),
        (["--max-body", "0"], "--max-body 0.0: must be above 0 and at most 1024 MiB"),
        (["--max-body", "nan"], "--max-body nan: must be above 0 and at most 1024 MiB"),
        (["--max-rows", "0"], "--max-rows 0: must be 1 to 10000000"),
        (["--timeout", "0"], "--timeout 0.0: must be above 0 and at most 3600 seconds"),
        (["--poll", "0"], "--poll 0.0: must be 0.01 to 3600 seconds"),
        (["--prot", "1"], "unrecognized arguments: --prot 1"),
        (["--api-key-file", "none"], "--api-key-file none: cannot be read: No such file or direct"),
        (
            ["--api-key-file", "short"],
            "--api-key-file short: must be a key of at least 16 printable ASCII",
        ),
        (["--api-key-file", "latin"], "--api-key-file latin: cannot be read: is not ASCII text"),
        ([], "nowhere: holds no run: no settings.json in it"),
    ]


@pytest.mark.parametrize(("argv", "message"), refusals(), ids=lambda value: " ".join(value)[:40])
def test_what_the_command_line_refuses(
    argv: list[str], message: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    Path("short").write_text("0123456789abcde")
    Path("latin").write_bytes(b"\xe9" * 20)
    assert message in job.refused("serve", "nowhere", *argv)


def test_a_model_that_is_chosen_has_to_be_there_and_whole(mine: Path, job: Job) -> None:
    message = job.refused("serve", mine, "--model", "20300101T000000Z")
    assert message.endswith("has 20260101T000100Z, 20260101T000200Z, 20260101T000300Z")
    (mine / "models" / "20260101T000100Z" / "model.joblib").write_bytes(b"")
    message = job.refused("serve", mine, "--model", "20260101T000100Z")
    assert message.startswith("--model 20260101T000100Z: model.joblib has SHA-256")


def test_what_others_log_is_a_line_of_json_too() -> None:
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "bad\n%s", ("x",), None)
    assert JsonLines().format(record).count("\n") == 0
    assert '"logger": "uvicorn.error"' in JsonLines().format(record)


@pytest.mark.parametrize("package", ["uvicorn", "fastapi", "prometheus_client"])
def test_without_its_packages_it_shows_what_brings_them(
    package: str, run: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("monitor.serve.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    message = job.refused("serve", run)
    assert message == f"serve needs {package}, which is not installed: {remedy('serve')}"


def test_the_log_line_of_a_refusal_shows_which_it_was(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(run, key=SECRET) as api:
        api.get("/status")
        api.post("/predict", json=[1], headers={"X-API-Key": SECRET})
        api.get("/status", headers={"X-API-Key": SECRET})
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    result = [(line["status"], line.get("problem")) for line in lines if line["event"] == "request"]
    assert result == [(401, "no_key"), (422, "bad_rows"), (200, None)]


def test_a_link_to_a_run_that_comes_to_mean_another_does_not_change_the_server(
    run: Path, mine: Path, tmp_path: Path
) -> None:
    latest = tmp_path / "latest"
    latest.symlink_to(mine)
    with client(latest) as api:
        before = api.get("/health").json()
        (mine / "models" / "20260101T000300Z" / "manifest.json").unlink()
        until(lambda: api.get("/health").json() != before)
        latest.unlink()
        latest.symlink_to(run)
        assert api.get("/models").json()[0]["name"] == "20260101T000200Z"
