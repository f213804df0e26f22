"""Classes through each door: a class and its probability are the same wherever one asks."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.artefact import Artefact
from model.store import Store
from pipeline.__main__ import main
from tests.kit.serve import ARROW, JSON, PARQUET, arrow, client, parquet

KINDS: dict[str, list[Any]] = {
    "text": ["no", "yes, sure"],
    "booleans": [False, True],
    "integers": [9, 10, -1],
}
SCHEMA = """
name = "made"
time = "t"
target = "y"
task = "classification"
calibration = "sigmoid"
[features]
numeric = ["a"]
categorical = ["c"]
"""


def as_class(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def make_rows(values: list[Any]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    places = rng.integers(len(values), size=300)
    frame = pd.DataFrame({"t": 1_700_000_040 + np.arange(300), "a": places + rng.normal(size=300)})
    return frame.assign(c=rng.choice(["u", "v"], 300), y=[values[place] for place in places])


@pytest.fixture(scope="module", params=KINDS)
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A run's folder, and the values of its target."""
    folder, values = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    form = {"text": "csv", "booleans": "parquet", "integers": "ndjson"}[request.param]
    rows, path = make_rows(values), folder / f"rows.{form}"
    if form == "csv":
        rows.to_csv(path, index=False)
    elif form == "parquet":
        rows.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows.to_dict("records")))
    (folder / "schema.toml").write_text(SCHEMA)
    place = ["--input", str(path), "--schema", str(folder / "schema.toml")]
    options = ["--learner", "logistic", "--window", "100", "--gate", "none"]
    assert main([*place, *options, "--output", str(folder / "run")]) == 0
    return folder, values


def newest(folder: Path) -> Artefact:
    store = Store(str(folder / "run" / "models"))
    return store.load(store.names()[-1])


def expected(folder: Path, values: list[Any]) -> list[dict[str, Any]]:
    """What the newest model itself gives for all rows."""
    rows = make_rows(values)
    found = newest(folder).classify_columns({n: rows[n].tolist() for n in ("a", "c")})
    return [
        {
            "prediction": name,
            "score": score,
            "probabilities": dict(zip(found.classes, p.tolist(), strict=True)),
        }
        for name, score, p in zip(
            found.names.to_pylist(), found.score.tolist(), found.probabilities, strict=True
        )
    ]


def test_models_know_the_classes_in_order(made: tuple[Path, list[Any]]) -> None:
    folder, values = made
    known = sorted(values) if all(type(one) is int for one in values) else values
    assert newest(folder).decision.classes == tuple(map(as_class, known))  # type: ignore[union-attr]


@pytest.mark.parametrize("accept", [JSON, ARROW, PARQUET])
@pytest.mark.parametrize("media", [JSON, ARROW, PARQUET])
def test_the_server_gives_the_models_own_probabilities(
    media: str, accept: str, made: tuple[Path, list[Any]]
) -> None:
    folder, values = made
    rows = make_rows(values)[["a", "c"]]
    table = pa.Table.from_pandas(rows, preserve_index=False)
    body = {
        JSON: lambda: json.dumps(rows.to_dict("records")).encode(),
        ARROW: lambda: arrow(table),
        PARQUET: lambda: parquet(table),
    }[media]()
    with client(folder / "run") as api:
        answer = api.post(
            "/predict", content=body, headers={"content-type": media, "accept": accept}
        )
    assert answer.status_code == 200, answer.text
    wanted = expected(folder, values)
    if accept == JSON:
        found = answer.json()
        assert found["predictions"] == [one["prediction"] for one in wanted]
        assert found["scores"] == [one["score"] for one in wanted]
        assert found["probabilities"] == [one["probabilities"] for one in wanted]
        return
    data = io.BytesIO(answer.content)
    made_table = pa.ipc.open_stream(data).read_all() if accept == ARROW else pq.read_table(data)
    columns = made_table.select(["prediction", "score", "probabilities"])
    assert columns.to_pylist(maps_as_pydicts="strict") == wanted


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_predict_writes_the_models_own_probabilities(
    form: str, made: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    folder, values = made
    source = next(folder.glob("rows.*"))
    output = tmp_path / f"out.{form}"
    argv = ["--run", str(folder / "run"), "--input", str(source), "--output", str(output)]
    assert main(["predict", *argv]) == 0
    if form == "parquet":
        found = pq.read_table(output).to_pylist(maps_as_pydicts="strict")
    elif form == "ndjson":
        found = [json.loads(line) for line in output.read_text().splitlines()]
    else:
        kinds: Any = {"prediction": str}
        table = pd.read_csv(output, float_precision="round_trip", dtype=kinds)
        found = table.to_dict("records")
        for row in found:
            row["probabilities"] = json.loads(row["probabilities"])
    names = ("prediction", "score", "probabilities")
    assert [{name: row[name] for name in names} for row in found] == expected(folder, values)


def test_predictions_of_the_run_have_the_classes_as_the_rows_had_them(
    made: tuple[Path, list[Any]],
) -> None:
    folder, values = made
    table = pq.read_table(folder / "run" / "predictions").sort_by("time")
    assert table["target"].to_pylist() == list(map(as_class, make_rows(values)["y"]))


def test_a_model_is_exported_with_its_classes(
    made: tuple[Path, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, values = made
    path = tmp_path / "model.joblib"
    export = ["models", "export", str(folder / "run"), "newest", "--to"]
    assert main([*export, str(path)]) == 0
    pipeline = joblib.load(path)
    artefact, rows = newest(folder), make_rows(values)[["a", "c"]]
    raw = artefact.classify_columns({n: rows[n].tolist() for n in rows}).raw
    assert raw is not None and artefact.decision is not None
    places = [artefact.decision.classes.index(name) for name in pipeline.classes_]
    assert np.abs(pipeline.predict_proba(rows) - raw[:, places]).max() <= 1e-12
    assert "its probabilities are those before calibration (sigmoid)" in capsys.readouterr().out


def test_a_model_of_shares_goes_through_each_door(tmp_path: Path) -> None:
    rows = make_rows(["no"])
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "schema.toml").write_text(
        SCHEMA.replace("[features]", 'positive = "yes"\n[features]')
    )
    run, source = str(tmp_path / "run"), str(tmp_path / "rows.csv")
    argv = ["--input", source, "--schema", str(tmp_path / "schema.toml"), "--learner", "logistic"]
    assert main([*argv, "--window", "100", "--output", run]) == 0
    store = Store(str(tmp_path / "run" / "models"))
    assert {store.manifest(name).learner for name in store.names()} == {"shares"}
    wanted = [{"no": 1.0, "yes": 0.0}] * 300
    with client(tmp_path / "run") as api:
        found = api.post("/predict", json=rows[["a", "c"]].to_dict("records")).json()
    assert found["probabilities"] == wanted
    assert set(found["predictions"]) == {"no"} and set(found["scores"]) == {0.0}
    output = tmp_path / "out.parquet"
    assert main(["predict", "--run", run, "--input", source, "--output", str(output)]) == 0
    table = pq.read_table(output).to_pylist(maps_as_pydicts="strict")
    assert [row["probabilities"] for row in table] == wanted
    path = tmp_path / "model.joblib"
    assert main(["models", "export", run, "newest", "--to", str(path)]) == 0
    pipeline = joblib.load(path)
    assert pipeline.classes_.tolist() == ["no"]
    assert pipeline.predict_proba(rows[["a", "c"]]).tolist() == [[1.0]] * 300
    page = tmp_path / "report.html"
    assert main(["report", run, "--to", str(page)]) == 0
    assert "shares" in page.read_text()
