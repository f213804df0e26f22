"""What ``POST /predict`` refuses: bodies that are not what they say, too much, or hostile."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from monitor.serve.app import make_app
from monitor.serve.core import open_core
from monitor.serve.logs import JsonLines
from monitor.serve.options import Options
from tests.kit.serve import (
    ARROW,
    JSON,
    NAMES,
    PARQUET,
    PEOPLE,
    URL,
    arrow,
    client,
    commit,
    flip,
    parquet,
    problem_of,
    rows,
    until,
)

TABLE = pa.table(PEOPLE)
GOOD = rows()[0]


def post(api: TestClient, body: bytes | Iterator[bytes], media: str = JSON) -> Any:
    return api.post("/predict", content=body, headers={"content-type": media})


def still_serves(api: TestClient) -> None:
    assert api.post("/predict", json=GOOD).status_code == 200
    assert post(api, arrow(TABLE), ARROW).status_code == 200


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "idh": "high"}, "column 'idh': 'high': must be a finite number or null"),
        ({**GOOD, "idade": [1]}, "column 'idade': [1]: must be a finite number or null"),
        (
            {**GOOD, "idade": 1e151},
            "column 'idade': 1e+151: must be a number from -1e+150 to 1e+150 or",
        ),
        ({**GOOD, "idade": 10**400}, "column 'idade': "),
        (
            {**GOOD, "cargo": [1.5]},
            "column 'cargo': [1.5]: must be text, a number, a boolean, a date or",
        ),
        ({**GOOD, "cargo": {}}, "column 'cargo': {}: must be text, a number, a boolean, a date or"),
        ({k: v for k, v in GOOD.items() if k != "idh"}, "column 'idh' is missing: every row"),
        ({}, "column 'idade' is missing: every row needs it (null is allowed)"),
        (1, "int: must be an object with the features"),
        (None, "NoneType: must be an object with the features"),
        ([], "list: must be an object with the features"),
    ],
)
def test_a_row_that_breaks_the_schema_is_reported_with_its_place(
    row: object, message: str, api: TestClient
) -> None:
    problem = problem_of(api.post("/predict", json=[GOOD, row]), 422, "bad_rows")
    [fault] = problem["errors"]
    assert fault["where"] == "row 1" and fault["message"].startswith(message)


def test_of_many_bad_rows_ten_are_reported_and_all_are_counted(api: TestClient) -> None:
    bad = [GOOD, *[{**GOOD, "idade": "x"}] * 20]
    problem = problem_of(api.post("/predict", json=bad), 422, "bad_rows")
    assert problem["detail"].startswith("20 of 21 rows; row 1: column 'idade': 'x': ")
    assert [fault["where"] for fault in problem["errors"]] == [f"row {i}" for i in range(1, 11)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'{"idade": NaN, "idh": 1, "estado": "x", "cargo": "y"}',
        b"[" * 100_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"idade": ' + b"9" * 10_000 + b"}",
        arrow(TABLE),
    ],
    ids=["empty", "half", "word", "utf-16", "NaN", "lists", "objects", "digits", "arrow"],
)
def test_what_is_not_json_is_refused(body: bytes, api: TestClient) -> None:
    problem_of(post(api, body), 400, "bad_body")


def test_a_number_that_json_has_not_is_refused_with_what_to_write(api: TestClient) -> None:
    problem = problem_of(post(api, b'{"idade": NaN, "idh": 1}'), 400, "bad_body")
    assert "NaN and Infinity are no JSON: write null" in problem["detail"]


def test_half_a_surrogate_pair_is_refused_or_read_but_does_no_harm(api: TestClient) -> None:
    body = json.dumps({**GOOD, "cargo": "\ud800"}).encode()
    assert post(api, body).status_code in (400, 422)


@pytest.mark.parametrize("media", [ARROW, PARQUET])
@pytest.mark.parametrize("cut", [0, 1, 8, 100, -1, -100], ids=str)
def test_a_columnar_body_that_is_cut_off_is_refused(cut: int, media: str, api: TestClient) -> None:
    body = arrow(TABLE)[:-8] if media == ARROW else parquet(TABLE)  # without the end's mark
    problem_of(post(api, body[:cut], media), 400, "bad_body")


@pytest.mark.parametrize("media", [ARROW, PARQUET])
def test_no_flipped_byte_of_a_columnar_body_does_harm(media: str, api: TestClient) -> None:
    body = arrow(TABLE) if media == ARROW else parquet(TABLE)
    for at in range(0, len(body), 29):
        broken = bytearray(body)
        broken[at] ^= 0xFF
        assert post(api, bytes(broken), media).status_code in (200, 400, 413, 422)
    still_serves(api)


@pytest.mark.parametrize("media", [ARROW, PARQUET])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop_columns(["idh"]), "column 'idh' is missing"),
        (
            TABLE.set_column(1, "idh", pa.array(["x"] * 4)),
            "column 'idh' is of type string: must be a fin",
        ),
        (TABLE.set_column(1, "idh", pa.array([[1.0]] * 4)), "column 'idh' is of type list<"),
        (TABLE.set_column(3, "cargo", pa.array([[5]] * 4)), "column 'cargo' is of type list<"),
        (
            TABLE.set_column(3, "cargo", pa.array([b"x"] * 4)),
            "column 'cargo' is of type binary: must be t",
        ),
    ],
    ids=["missing", "text", "list", "lists", "binary"],
)
def test_a_column_that_cannot_serve_is_refused(
    table: pa.Table, message: str, media: str, api: TestClient
) -> None:
    body = arrow(table) if media == ARROW else parquet(table)
    assert message in problem_of(post(api, body, media), 422, "bad_rows")["detail"]


def test_a_column_that_is_there_twice_is_refused(api: TestClient) -> None:
    body = arrow(TABLE.append_column("idh", TABLE.column("idh")))
    problem = problem_of(post(api, body, ARROW), 422, "bad_rows")
    assert "column 'idh' is there 2 times: it must be there once" in problem["detail"]


def test_a_value_in_a_column_is_reported_with_its_row(api: TestClient) -> None:
    table = TABLE.set_column(1, "idh", pa.array([0.5, 0.5, float("inf"), 0.5]))
    problem = problem_of(post(api, parquet(table), PARQUET), 422, "bad_rows")
    assert problem["errors"] == [
        {
            "where": "row 2",
            "message": "column 'idh': inf: must be a finite number or null",
        }
    ]


@pytest.mark.parametrize("media", [JSON, ARROW, PARQUET])
def test_too_many_rows_are_refused(media: str, api: TestClient) -> None:
    table = pa.concat_tables([TABLE] * 1250 + [TABLE[:1]])
    bodies = {JSON: b"[" + b",".join([b"{}"] * 5001) + b"]", ARROW: arrow(table)}
    body = bodies.get(media) or parquet(table)
    problem = problem_of(post(api, body, media), 422, "too_many_rows")
    assert "at most 5,000 are accepted" in problem["detail"]
    whole = pa.concat_tables([TABLE] * 1250)
    assert post(api, arrow(whole), ARROW).status_code == 200


@pytest.mark.parametrize("known", [True, False], ids=["with its length", "in pieces"])
def test_too_large_a_body_is_refused_whether_its_length_is_reported_or_not(
    known: bool, api: TestClient
) -> None:
    size = (1 << 20) + 1
    body: Any = b" " * size if known else (b" " * (size // 4 + 1) for _ in range(4))
    problem = problem_of(post(api, body), 413, "body_too_large")
    assert problem["detail"] == "the body has more than 1,048,576 bytes"


def test_a_body_of_just_the_size_that_is_allowed_is_read(api: TestClient) -> None:
    body = json.dumps(GOOD).encode()
    assert post(api, body + b" " * ((1 << 20) - len(body))).status_code == 200


def shared_text(size: int, number: int = 1, empty: str | None = "") -> pa.Table:
    """4,000 rows with the same text, stored once."""
    texts = pa.array(["x" * size, empty])
    same = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 2000, pa.int32()), texts)
    numbers = [number] * 4000
    return pa.table({"idade": numbers, "idh": numbers, "estado": same, "cargo": same})


@pytest.mark.parametrize(
    ("media", "empty"),
    [(ARROW, ""), (ARROW, None), (PARQUET, "")],
    ids=["arrow", "null", "parquet"],
)
def test_text_that_is_stored_once_counts_in_each_row(
    media: str, empty: str | None, api: TestClient
) -> None:
    for size, status in ((60_000, 200), (80_000, 413)):  # 240 and 320 MB in 4,000 texts
        table = shared_text(size, empty=empty)
        body = arrow(table) if media == ARROW else parquet(table, compression="zstd")
        assert len(body) < 500_000
        assert post(api, body, media).status_code == status


def zeros(rows: int) -> pa.Table:
    """Rows of zeros."""
    return pa.table(dict.fromkeys(("idade", "idh", "estado", "cargo"), np.zeros(rows, np.int64)))


@pytest.mark.parametrize("rows", [2_000_000, 50_000_000], ids=["64 MB", "1.6 GB"])
def test_an_arrow_body_that_unpacks_to_much_ends_no_server(rows: int, api: TestClient) -> None:
    body = arrow(zeros(rows), compression="zstd")
    assert len(body) < 200_000
    answer = post(api, body, ARROW)
    many = rows < 10_000_000  # as many do not fit into the memory that reading may take
    problem_of(answer, *((422, "too_many_rows") if many else (413, "body_too_large")))
    still_serves(api)


def test_the_rows_of_a_parquet_body_are_counted_before_they_are_read(api: TestClient) -> None:
    body = parquet(zeros(20_000_000), compression="zstd")
    assert len(body) < 500_000
    problem_of(post(api, body, PARQUET), 422, "too_many_rows")
    still_serves(api)


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "multipart/form-data", "x"])
def test_another_media_type_is_refused(media: str, api: TestClient) -> None:
    problem = problem_of(post(api, b"{}", media), 415, "unsupported_media_type")
    assert f"must be one of {JSON}, {ARROW}, {PARQUET}" in problem["detail"]


def test_other_paths_and_methods_are_refused_in_the_same_shape(api: TestClient) -> None:
    problem_of(api.get("/nothing"), 404, "not_found")
    answer = api.get("/predict")
    problem_of(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_without_a_model_it_reports_it_until_there_is_one(mine: Path) -> None:
    shutil.rmtree(mine / "models")
    with client(mine) as api:
        assert problem_of(api.get("/health"), 503, "no_model")
        answer = api.post("/predict", json=GOOD)
        problem_of(answer, 503, "no_model")
        assert answer.headers["retry-after"] == "1"
        name = commit(mine, 9, 1234.0)
        until(lambda: api.get("/health").status_code == 200)
        assert api.post("/predict", json=GOOD).json()["model"] == name


def test_a_named_model_that_is_damaged_is_refused_and_not_opened(mine: Path) -> None:
    with client(mine) as api:
        flip(mine / "models" / NAMES[0] / "model.joblib")
        (mine / "models" / NAMES[1] / "manifest.json").write_bytes(b"{")
        for name in NAMES[:2]:
            answer = api.post("/predict", params={"model": name}, json=GOOD)
            assert name in problem_of(answer, 409, "model_damaged")["detail"]
        assert api.post("/predict", json=GOOD).status_code == 200


def test_a_mistake_of_ours_is_reported_in_the_same_shape_without_its_details(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("monitor.serve.predicting.encode_answer", fail)
    app = make_app(open_core(Options(str(run))))
    with TestClient(app, URL, raise_server_exceptions=False) as api:
        answer = api.post("/predict", json=GOOD)
        problem = problem_of(answer, 500, "internal")
    assert "secret" not in json.dumps(problem)
    [line] = [JsonLines().format(record) for record in caplog.records if record.msg == "failed"]
    assert "secret detail" in json.loads(line)["trace"]


def test_a_large_body_of_json_is_read_elsewhere_and_answered_the_same(run: Path) -> None:
    many = rows() * 1500
    with client(run) as api:
        small = api.post("/predict", json=rows()).json()
        body = json.dumps(many).encode()
        assert len(body) > 256 << 10
        large = post(api, b"\xef\xbb\xbf" + body).json()
        assert large["predictions"] == pytest.approx(small["predictions"] * 1500, rel=1e-12)
        problem = problem_of(post(api, json.dumps([*many, 7]).encode()), 422, "bad_rows")
        assert problem["errors"] == [
            {"where": "row 6000", "message": "int: must be an object with the features"}
        ]
        bad = json.dumps([*many, {**GOOD, "idade": "x"}]).encode()
        assert problem_of(post(api, bad), 422, "bad_rows")["errors"][0]["where"] == "row 6000"
        problem_of(post(api, body[:-1]), 400, "bad_body")


def readers() -> set[psutil.Process]:
    """The processes of this one that read bodies."""
    every = psutil.Process().children()
    return {one for one in every if any("spawn_main" in word for word in one.cmdline())}


def test_health_is_answered_while_a_large_body_is_read(run: Path) -> None:
    body = b"[" + b",".join([b"{}"] * 200_000) + b"]"
    before = readers()
    with client(run) as api, ThreadPoolExecutor(1) as pool:
        problem_of(post(api, body), 422, "too_many_rows")
        [reader] = readers() - before
        reader.suspend()
        try:
            answer = pool.submit(post, api, body)
            for _ in range(50):
                assert api.get("/health").status_code == 200
            assert not answer.done()
        finally:
            reader.resume()
        problem_of(answer.result(), 422, "too_many_rows")
