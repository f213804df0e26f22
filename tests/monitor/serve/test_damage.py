"""Files of a run that are not as a run writes them: skipped one by one, counted, shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.errors import UserError
from monitor.serve.app import make_app
from monitor.serve.core import open_core
from monitor.serve.options import Options
from tests.kit.serve import NAMES, URL, client, commit, problem_of, rows, until

DEEP = b'{"a":' * 100_000
DAMAGES = {
    "empty object": b"{}",
    "empty": b"",
    "deep": DEEP,
    "deep list": b"[" * 100_000,
    "list": b"[]",
    "text": b'"x"',
    "not text": b"\xff\xfe\x00",
    "half": b'{"format": 1, "refresh_start"',
}
NEWEST = "20260101T000200Z"


def sound(api: TestClient, mine: Path, pictures: bool = False) -> None:
    """A new model is taken up, and every path answers without an error of the server's."""
    name = commit(mine, 9, 77.0)
    until(lambda: api.get("/health").json()["model"] == name)
    for path in ("/status", "/models", "/refreshes", "/data", "/normalized", "/alerts", "/form"):
        assert api.get(path).status_code in (200, 404), path
    groups = ("over-time", "drift", "predictions", "features", "models") if pictures else ()
    for group in groups:
        assert api.get(f"/pictures/{group}").status_code == 200, group
    assert api.get("/metrics").status_code == 200
    assert api.post("/predict", json=rows()).json()["model"] == name


def damage(api: TestClient) -> dict[str, str]:
    return {one["file"]: one["reason"] for one in api.get("/status").json()["damaged"]}


@pytest.mark.parametrize("data", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_report_is_skipped_and_shown_and_the_rest_goes_on(
    data: bytes, mine: Path
) -> None:
    (mine / "metrics" / "20260101T000500Z.json").write_bytes(data)
    with client(mine) as api:
        sound(api, mine, pictures=data == b"{}")
        assert len(api.get("/refreshes").json()) == 3
        assert list(damage(api)) == ["metrics/20260101T000500Z.json"]
        health = api.get("/health").json()
        assert (health["status"], health["damaged"]) == ("ok", 1)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"rows": 1e300},
        {"rows": "x"},
        {"mae": "x"},
        {"refresh_start": "yesterday"},
        {"drift": []},
        {"drift": {"features": {"idh": 1}, "prediction": {}}},
        {"drift": {"features": {"idh": {"psi": "x"}}, "prediction": {}}},
    ],
    ids=str,
)
def test_a_report_with_a_wrong_value_is_skipped(change: dict[str, Any], mine: Path) -> None:
    path = mine / "metrics" / f"{NEWEST}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with client(mine) as api:
        assert len(api.get("/refreshes").json()) == 2
        assert list(damage(api)) == [f"metrics/{NEWEST}.json"]


@pytest.mark.parametrize("value", ["1e999", "NaN", "-Infinity", "9" * 400])
def test_a_number_that_is_none_harms_nothing(value: str, mine: Path) -> None:
    path = mine / "metrics" / f"{NEWEST}.json"
    path.write_text(path.read_text().replace("{", '{"later": ' + value + ", ", 1))
    with client(mine) as api:
        sound(api, mine)


def test_a_report_that_is_mended_is_shown(mine: Path) -> None:
    path = mine / "metrics" / f"{NEWEST}.json"
    whole = path.read_bytes()
    path.write_bytes(b"{}")
    with client(mine) as api:
        assert len(api.get("/refreshes").json()) == 2
        path.write_bytes(whole)
        until(lambda: len(api.get("/refreshes").json()) == 3)
        until(lambda: damage(api) == {})


@pytest.mark.parametrize("data", ["empty object", "deep", "not text"])
@pytest.mark.parametrize(
    "file",
    [
        "status.json",
        "ended.json",
        f"alerts/{NEWEST}.ndjson",
        f"sample/{NEWEST}.parquet",
        f"timing/{NAMES[0]}.json",
        f"models/{NAMES[0]}/manifest.json",
        f"models/{NAMES[2]}/manifest.json",
    ],
)
def test_no_damaged_file_is_an_error_of_the_servers(file: str, data: str, mine: Path) -> None:
    (mine / file).parent.mkdir(exist_ok=True)
    (mine / file).write_bytes(DAMAGES[data])
    with client(mine) as api:
        sound(api, mine, pictures=data == "deep")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize(
    "file",
    [
        "status.json",
        f"metrics/{NEWEST}.json",
        f"sample/{NEWEST}.parquet",
        f"models/{NAMES[2]}/manifest.json",
        f"models/{NAMES[2]}/model.joblib",
    ],
)
def test_what_is_no_file_is_not_waited_for(file: str, kind: str, mine: Path) -> None:
    path = mine / file
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with client(mine) as api:
        sound(api, mine)


def test_a_sample_that_cannot_be_read_gives_way_to_the_one_before(mine: Path) -> None:
    (mine / "sample" / f"{NEWEST}.parquet").write_bytes(b"no parquet")
    with client(mine) as api:
        assert api.get("/data").json()["refresh"] == "20260101T000100Z"
        assert list(damage(api)) == [f"sample/{NEWEST}.parquet"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": None},
        {"schema": {}},
        {"schema": []},
        {"window": "x"},
        {"window": None},
        {"every": 0},
        {"learner": 1},
    ],
    ids=str,
)
def test_odd_settings_are_refused_in_a_line(change: dict[str, Any], mine: Path) -> None:
    path = mine / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=r"settings\.json: is not a run's: "):
        open_core(Options(str(mine)))


@pytest.mark.parametrize("data", [b"{}", DEEP, b"[1]", b"\xff"])
def test_settings_that_are_none_are_refused_in_a_line(data: bytes, mine: Path) -> None:
    (mine / "settings.json").write_bytes(data)
    with pytest.raises(UserError, match=r"settings\.json"):
        open_core(Options(str(mine)))


def test_the_thread_goes_on_whatever_a_look_raises(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = open_core(Options(str(mine), poll=0.02))
    look = core.reports.look

    def fail() -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr(core.reports, "look", fail)
    with TestClient(make_app(core), base_url=URL) as api:
        health = api.get("/health").json()
        assert (health["status"], health["reason"]) == ("degraded", "RecursionError: too deep")
        name = commit(mine, 9, 77.0)
        until(lambda: api.get("/health").json()["model"] == name)
        monkeypatch.setattr(core.reports, "look", look)
        until(lambda: api.get("/health").json()["status"] == "ok")


def test_health_reports_it_if_nobody_looks_at_the_folder(mine: Path) -> None:
    core = open_core(Options(str(mine), poll=0.02))
    app = make_app(core)
    api = TestClient(app, base_url=URL)  # not entered: the thread is not started
    assert api.get("/health").json()["status"] == "ok"
    core.looked -= 100
    health = api.get("/health").json()
    assert health["status"] == "degraded"
    assert health["reason"].startswith("the run's folder has not been looked at for 1")


def test_a_model_that_cannot_be_read_is_answered_as_damaged(mine: Path) -> None:
    path = mine / "models" / NAMES[0] / "model.joblib"
    path.unlink()
    os.mkfifo(path)
    with client(mine) as api:
        answer = api.post("/predict", params={"model": NAMES[0]}, json=rows())
        problem_of(answer, 409, "model_damaged")
