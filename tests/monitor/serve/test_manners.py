"""What any path does: parameters, HEAD, hosts, origins, methods that a client invents."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from monitor.serve.logs import JsonLines
from tests.kit.serve import NAMES, URL, client, problem_of, rows

GETS = ("/health", "/status", "/models", "/refreshes", "/data", "/normalized", "/metrics")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/refreshes?limi=1", "unknown parameter 'limi': did you mean 'limit'?"),
        ("/models?LIMIT=1", "unknown parameter 'LIMIT': did you mean 'limit'?"),
        ("/data?x=1", "unknown parameter 'x': must be 'limit'"),
        ("/status?a", "unknown parameter 'a': there are none here"),
        ("/health?limit=1", "unknown parameter 'limit': there are none here"),
        ("/refreshes?limit=1&limit=2", "parameter 'limit' is given 2 times"),
        ("/refreshes?limit=1&lim%0Ait=2", "unknown parameter 'lim\\nit': did you mean 'limit'?"),
    ],
)
def test_a_parameter_that_a_path_does_not_take_is_refused(
    path: str, message: str, api: TestClient
) -> None:
    assert problem_of(api.get(path), 400, "unknown_parameter")["detail"] == message


def test_a_slip_in_the_models_name_is_refused_and_the_newest_does_not_answer(
    api: TestClient,
) -> None:
    answer = api.post("/predict", params={"modle": NAMES[0]}, json=rows())
    problem = problem_of(answer, 400, "unknown_parameter")
    assert problem["detail"] == "unknown parameter 'modle': did you mean 'model'?"


@pytest.mark.parametrize("name", ["newest", "latest"])
def test_the_newest_model_has_two_names(name: str, api: TestClient) -> None:
    answer = api.post("/predict", params={"model": name}, json=rows())
    assert answer.json()["model"] == NAMES[2]


@pytest.mark.parametrize("path", [*GETS, f"/models/{NAMES[0]}", "/", "/page.js", "/alerts"])
def test_head_is_answered_as_get_without_a_body(path: str, api: TestClient) -> None:
    head, get = api.head(path), api.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_the_head_of_the_stream_of_events_ends(api: TestClient) -> None:
    answer = api.head("/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_head_is_refused_where_get_is_and_allowed_where_it_is(api: TestClient) -> None:
    answer = api.head("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert api.head("/nothing").status_code == 404
    assert problem_of(api.post("/status"), 405, "method_not_allowed")
    assert api.post("/status").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "host",
    ["[::1]evil", "[::1", "::1", "localhost:", "localhost:80:80", "localhost@evil", "a b", "[x]:1"],
)
def test_a_malformed_host_is_refused(host: str, run: Path, api: TestClient) -> None:
    problem_of(api.get("/status", headers={"host": host}), 400, "wrong_host")
    with client(run, host="0.0.0.0", key="0123456789abcdef") as beyond:
        problem_of(beyond.get("/status", headers={"host": host}), 400, "wrong_host")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_a_local_host_is_taken(host: str, api: TestClient) -> None:
    assert api.get("/status", headers={"host": host}).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"origin": "https://example.org"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": URL},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("media", [None, "application/json"])
def test_a_page_of_another_origin_gets_no_prediction_without_a_key(
    headers: dict[str, str], media: str | None, run: Path, api: TestClient
) -> None:
    body = json.dumps(rows())
    sent = {**headers, **({"content-type": media} if media else {})}
    problem_of(api.post("/predict", content=body, headers=sent), 403, "other_origin")
    key = "0123456789abcdef"
    with client(run, key=key) as asked:
        sent["x-api-key"] = key  # no page of another origin can send it
        assert asked.post("/predict", content=body, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": URL}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
    ids=str,
)
def test_pages_of_the_server_and_programs_are_answered(
    headers: dict[str, str], api: TestClient
) -> None:
    answer = api.post("/predict", content=json.dumps(rows()), headers=headers)
    assert answer.status_code == 200


def test_a_length_with_chunks_is_refused(api: TestClient) -> None:
    headers = {"content-length": "2", "transfer-encoding": "chunked"}
    answer = api.post("/predict", content=b"[]", headers=headers)
    problem_of(answer, 400, "bad_request")
    assert answer.headers["connection"] == "close"


def test_methods_that_a_client_invents_are_counted_as_one(run: Path) -> None:
    with client(run) as api:
        for number in range(50):
            problem_of(api.request(f"INVENTED{number}", "/status"), 405, "method_not_allowed")
            api.request(f"INVENTED{number}", f"/nothing/{number}")
        api.request("X" * 50_000, "/status")
        families = text_string_to_metric_families(api.get("/metrics").text)
        counted = {
            tuple(sample.labels.values())
            for family in families
            for sample in family.samples
            if sample.name.startswith("correnteza_request")
        }
    assert not any("INVENTED" in label or "XX" in label for one in counted for label in one)
    assert len({labels for labels in counted if "any" in labels}) == 2


def test_a_log_line_repeats_no_more_than_a_part_of_a_method_or_a_path(
    api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.serve")
    problem = problem_of(api.request("X" * 5000, "/" + "y" * 5000), 404, "not_found")
    assert len(problem["detail"]) < 500
    assert max(len(JsonLines().format(record)) for record in caplog.records) < 1000


def test_a_log_line_is_one_line_whatever_is_asked_for(
    api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "monitor.serve")
    api.get("/a\u2028b\u0085c\u2029d%0Ae")
    lines = [JsonLines().format(record) for record in caplog.records]
    assert all(len(line.splitlines()) == 1 for line in lines)
    paths: list[Any] = [json.loads(line).get("path") for line in lines]
    assert "/a\u2028b\u0085c\u2029d\ne" in paths
