"""``POST /predict``: what is answered, in every media type, and by which model."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from model import fitting
from model.store import Store
from tests.kit.serve import (
    ARROW,
    JSON,
    NAMES,
    PARQUET,
    PEOPLE,
    arrow,
    client,
    expected,
    parquet,
    problem_of,
    rows,
)

TABLE = pa.table(PEOPLE)


def ask(api: TestClient, body: bytes, media: str, accept: str = JSON, model: str = "newest") -> Any:
    headers = {"content-type": media, "accept": accept}
    return api.post("/predict", params={"model": model}, content=body, headers=headers)


def predictions_of(answer: Any) -> list[float]:
    assert answer.status_code == 200, answer.text
    found: list[float] = answer.json()["predictions"]
    return found


def test_one_row_is_answered_as_the_newest_model_predicts(api: TestClient, run: Path) -> None:
    answer = api.post("/predict", json=rows()[0])
    assert predictions_of(answer) == expected(run, NAMES[2])[:1]
    assert answer.json()["model"] == answer.headers["correnteza-model"] == NAMES[2]


def test_many_rows_with_nulls_and_unseen_values_are_answered_in_order(
    api: TestClient, run: Path
) -> None:
    assert predictions_of(api.post("/predict", json=rows())) == expected(run, NAMES[2])


def test_the_answer_names_the_hash_of_the_model_file(api: TestClient, run: Path) -> None:
    manifest = api.get(f"/models/{NAMES[2]}").json()
    assert api.post("/predict", json=rows()[0]).json()["sha256"] == manifest["sha256"]


@pytest.mark.parametrize("accept", [JSON, ARROW, PARQUET])
@pytest.mark.parametrize(
    ("media", "body"), [(ARROW, arrow(TABLE)), (PARQUET, parquet(TABLE))], ids=["arrow", "parquet"]
)
def test_columns_are_answered_in_the_type_that_is_asked_for(
    media: str, body: bytes, accept: str, api: TestClient, run: Path
) -> None:
    answer = ask(api, body, media, accept)
    assert answer.headers["content-type"] == accept
    if accept == JSON:
        found = predictions_of(answer)
    else:
        data = io.BytesIO(answer.content)
        table = pa.ipc.open_stream(data).read_all() if accept == ARROW else pq.read_table(data)
        assert table.schema.metadata[b"model"].decode() == NAMES[2]
        found = table.column("prediction").to_pylist()
    assert found == expected(run, NAMES[2])


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json, */*;q=0.1"])
def test_an_answer_is_json_where_nothing_that_is_known_is_asked_for(
    accept: str, api: TestClient
) -> None:
    assert ask(api, arrow(TABLE), ARROW, accept).headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("estado", pa.dictionary(pa.int8(), pa.string())),
        ("estado", pa.dictionary(pa.int32(), pa.large_string())),
        ("estado", pa.large_string()),
        ("idade", pa.int8()),
        ("idade", pa.float32()),
        ("idade", pa.decimal128(19)),
        ("idade", pa.dictionary(pa.int32(), pa.int64())),
    ],
    ids=str,
)
@pytest.mark.parametrize("media", [ARROW, PARQUET])
def test_columns_of_any_type_that_can_serve_give_the_same_digits(
    media: str, column: str, kind: pa.DataType, api: TestClient, run: Path
) -> None:
    values = TABLE.column(column)
    if pa.types.is_dictionary(kind):
        plain = values.cast(kind.value_type).combine_chunks().dictionary_encode()
        values = pa.DictionaryArray.from_arrays(
            plain.indices.cast(kind.index_type), plain.dictionary
        )
    else:
        values = values.cast(kind)
    table = TABLE.set_column(TABLE.column_names.index(column), column, values)
    body = arrow(table) if media == ARROW else parquet(table)
    assert predictions_of(ask(api, body, media)) == expected(run, NAMES[2])


def test_several_batches_and_row_groups_are_one_answer(api: TestClient, run: Path) -> None:
    table = pa.concat_tables([TABLE] * 3)
    wanted = expected(run, NAMES[2]) * 3
    assert predictions_of(ask(api, arrow(table), ARROW)) == wanted
    assert predictions_of(ask(api, parquet(table, row_group_size=2), PARQUET)) == wanted


@pytest.mark.parametrize("media", [ARROW, PARQUET])
def test_what_is_no_feature_is_ignored_even_if_it_could_not_be_read(
    media: str, api: TestClient, run: Path
) -> None:
    table = TABLE.append_column("salario", pa.array(["x"] * 4)).append_column(
        "list", pa.array([[1]] * 4)
    )
    body = arrow(table) if media == ARROW else parquet(table)
    assert predictions_of(ask(api, body, media)) == expected(run, NAMES[2])


def test_target_time_and_other_keys_of_a_row_change_nothing(api: TestClient, run: Path) -> None:
    row = {**rows()[0], "salario": "x", "timestamp": "never", "nome": {"a": [1]}}
    assert predictions_of(api.post("/predict", json=row)) == expected(run, NAMES[2])[:1]


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"[]", JSON), (arrow(TABLE[:0]), ARROW), (parquet(TABLE[:0]), PARQUET)],
    ids=["json", "arrow", "parquet"],
)
def test_no_row_has_no_prediction(body: bytes, media: str, api: TestClient) -> None:
    assert predictions_of(ask(api, body, media)) == []


def test_booleans_and_integers_serve_as_in_the_job(api: TestClient, run: Path) -> None:
    row = {"idade": True, "idh": 1, "estado": 7, "cargo": False}
    same: dict[str, list[Any]] = {"idade": [1.0], "idh": [1.0], "estado": ["7"], "cargo": ["false"]}
    assert predictions_of(api.post("/predict", json=row)) == expected(run, NAMES[2], same)


def test_every_row_may_be_normalised_beyond_what_was_seen(api: TestClient, run: Path) -> None:
    row = {"idade": 1e150, "idh": -1e150, "estado": "x" * 1000, "cargo": ""}
    wanted = expected(run, NAMES[2], {name: [value] for name, value in row.items()})
    assert predictions_of(api.post("/predict", json=row)) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_named_model_answers_and_is_named(name: str, api: TestClient, run: Path) -> None:
    answer = api.post("/predict", params={"model": name}, json=rows())
    assert predictions_of(answer) == expected(run, name)
    assert answer.json()["model"] == name


def test_a_chosen_model_serves_though_there_are_newer_ones(run: Path) -> None:
    with client(run, model=NAMES[0]) as api:
        assert api.get("/health").json()["model"] == NAMES[0]
        assert predictions_of(api.post("/predict", json=rows())) == expected(run, NAMES[0])


def test_a_body_without_a_media_type_is_json(api: TestClient, run: Path) -> None:
    answer = api.post(
        "/predict", content=b'{"idade": 25, "idh": 0.61, "estado": "Bahia", "cargo": "Dentista"}'
    )
    assert "content-type" not in answer.request.headers
    assert predictions_of(answer) == expected(run, NAMES[2])[:1]


def test_a_model_whose_answer_is_not_finite_gives_null(
    api: TestClient, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "predict", lambda estimator, matrix: matrix[:, 0] * float("nan"))
    assert predictions_of(api.post("/predict", json=rows())) == [None] * 4


def test_a_model_that_is_not_there_is_reported(api: TestClient) -> None:
    for name in ("20300101T000000Z", "99999999T999999Z"):
        message = problem_of(
            api.post("/predict", params={"model": name}, json=rows()), 404, "not_found"
        )
        assert name in message["detail"]


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "newest ", NAMES[0] + "\n"])
def test_a_name_that_is_none_is_refused(name: str, api: TestClient) -> None:
    answer = api.post("/predict", params={"model": name}, json=rows())
    message = problem_of(answer, 422, "bad_parameter")
    assert message["errors"][0]["where"] == "query.model"


@pytest.mark.parametrize("media", [JSON, ARROW, PARQUET])
def test_an_answer_counts_the_values_that_its_model_does_not_know(
    media: str, api: TestClient, run: Path
) -> None:
    known = Store(str(run / "models")).load(NAMES[2]).encoder.categories["cargo"][0]
    people = {**PEOPLE, "cargo": [known, None, f" {known}", "Pirata"]}
    body = json.dumps(rows(people)).encode() if media == JSON else arrow(pa.table(people))
    answer = ask(api, body, JSON if media == JSON else ARROW, media)
    if media == JSON:
        unknown = answer.json()["unknown"]
    elif media == ARROW:
        unknown = json.loads(pa.ipc.open_stream(answer.content).schema.metadata[b"unknown"])
    else:
        unknown = json.loads(pq.read_schema(pa.BufferReader(answer.content)).metadata[b"unknown"])
    assert unknown == {"estado": 1, "cargo": 1}


def test_an_answer_names_no_unknown_values_where_there_are_none(api: TestClient) -> None:
    row = {"idade": 25, "idh": 0.6, "estado": " Bahia", "cargo": None}
    body = ask(api, json.dumps(row).encode(), JSON).json()
    assert set(body) == {"model", "sha256", "predictions"}
    strict = {**row, "estado": unicodedata.normalize("NFD", "São Paulo")}
    assert "unknown" not in ask(api, json.dumps(strict).encode(), JSON).json()


def test_text_as_polars_writes_it_is_taken(api: TestClient, run: Path) -> None:
    views = [
        values.cast(pa.string_view()) if pa.types.is_string(values.type) else values
        for values in TABLE.columns
    ]
    table = pa.table(dict(zip(TABLE.column_names, views, strict=True)))
    assert predictions_of(ask(api, arrow(table), ARROW)) == expected(run, NAMES[2])
