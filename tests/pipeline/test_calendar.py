"""A job with calendar features: as one whose columns were prepared by pandas, and its server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.runs import RunFolder
from model.store import Store
from monitor import ask as asking
from pipeline import backtest
from pipeline.__main__ import main
from tests.kit.serve import ARROW, PARQUET, arrow, client, parquet, problem_of
from tests.pipeline.test_backtest import toml

CALENDAR = {"at": ["hour"], "sold": ["weekday:cyclic"]}
SCHEMA: dict[str, Any] = {
    **{"name": "s", "time": "at", "target": "y", "time_zone": "Europe/Berlin"},
    "features": {"numeric": ["x"], "calendar": CALENDAR},
}
PREPARED = ["x", "at_hour", "sold_weekday_sin", "sold_weekday_cos"]


def frame() -> pd.DataFrame:
    """Hours over a clock change, whose target goes by the hour; some times of sale are missing."""
    rng = np.random.default_rng(5)
    made = pd.DataFrame({"at": pd.date_range("2025-03-20", periods=600, freq="h", tz="UTC")})
    made["sold"] = (made["at"] - pd.Timedelta("36h")).mask(rng.random(600) < 0.1)
    made["x"] = rng.normal(size=600)
    hour = made["at"].dt.tz_convert("Europe/Berlin").dt.hour
    made["y"] = made.x + np.sin(hour / 24 * 2 * np.pi) * 3 + rng.normal(size=600)
    return made


def prepared() -> pd.DataFrame:
    """The same, its calendar features made by pandas."""
    made = frame()
    angle = made["sold"].dt.tz_convert("Europe/Berlin").dt.weekday / 7 * 2 * np.pi
    made["at_hour"] = made["at"].dt.tz_convert("Europe/Berlin").dt.hour
    made["sold_weekday_sin"], made["sold_weekday_cos"] = np.sin(angle), np.cos(angle)
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a CSV file."""
    path = tmp_path_factory.mktemp("calendar")
    frame().to_csv(path / "rows.csv", index=False)
    (path / "schema.toml").write_text(toml(SCHEMA).replace(": [", " = ["))
    options = ["--schema", path / "schema.toml", "--input", path / "rows.csv", "--window", "5d"]
    argv = [*options, "--every", "5d", "--latency", "1d", "--output", path / "run"]
    assert main([str(word) for word in argv]) == 0
    return path / "run"


@pytest.mark.parametrize("learner", ["ridge", "forest"])
def test_models_predict_as_those_of_columns_that_pandas_made(learner: str) -> None:
    options: dict[str, Any] = {"window": "5d", "every": "5d", "learner": learner}
    ours = backtest(frame(), schema=SCHEMA, **options).predictions.to_pandas()
    features = {"features": {"numeric": PREPARED}}
    theirs = backtest(prepared(), schema=SCHEMA | features, **options).predictions.to_pandas()
    assert len(ours) == 600
    assert ours["prediction"].notna().sum() > 400
    np.testing.assert_allclose(ours["prediction"], theirs["prediction"], rtol=1e-9)


def test_a_run_writes_what_its_models_read(run: Path) -> None:
    folder = RunFolder(str(run))
    [*_, path] = folder.samples().values()
    sample = pq.read_table(path).to_pandas()
    wanted = prepared().set_index("at").loc[sample["time"]]
    for name in PREPARED:
        np.testing.assert_allclose(sample[name], wanted[name], rtol=1e-12)
    artefact = Store(folder.models).load(Store(folder.models).names()[-1])
    assert artefact.encoder.names == PREPARED
    [*_, report] = folder.reports()
    assert {*PREPARED} <= set(report.drift.features if report.drift else ())


def test_a_server_answers_rows_by_their_times_in_every_media_type(run: Path) -> None:
    asked = frame()[["x", "at", "sold"]].iloc[[5, 100, 300]]
    store = Store(str(run / "models"))
    model = store.load(store.names()[-1])
    wanted = model.predict_columns(
        {name: prepared()[name].iloc[[5, 100, 300]] for name in PREPARED}
    )
    table = pa.Table.from_pandas(asked, preserve_index=False)
    rows = json.loads(asked.to_json(orient="records", date_format="iso"))
    with client(run) as api:
        answers = [api.post("/predict", json=rows)]
        for media, body in ((ARROW, arrow(table)), (PARQUET, parquet(table))):
            answers.append(api.post("/predict", content=body, headers={"content-type": media}))
        for answer in answers:
            assert answer.status_code == 200, answer.text
            np.testing.assert_allclose(answer.json()["predictions"], wanted, rtol=1e-12)
        for value in (None, "noon"):
            answer = api.post("/predict", json=rows[0] | {"at": value})
            assert "column 'at' (the time)" in problem_of(answer, 422, "bad_rows")["detail"]
        lacking = {name: value for name, value in rows[0].items() if name != "sold"}
        answer = api.post("/predict", json=lacking)
        assert "'sold' is missing" in problem_of(answer, 422, "bad_rows")["detail"]
        fields = {field["name"]: field for field in api.get("/form").json()["fields"]}
        assert [(name, field["kind"]) for name, field in fields.items()] == [
            *(("x", "numeric"), ("at", "time"), ("sold", "time"))
        ]
        row = {name: field["value"] for name, field in fields.items()}
        assert api.post("/predict", json=row).status_code == 200


def test_predict_and_ask_give_a_file_the_same_predictions(run: Path, tmp_path: Path) -> None:
    frame().drop(columns="y").to_csv(tmp_path / "new.csv", index=False)
    paths = ["--run", run, "--input", tmp_path / "new.csv", "--output", tmp_path / "new.parquet"]
    command = ["predict", *paths]
    assert main([str(word) for word in command]) == 0
    found = pq.read_table(tmp_path / "new.parquet").to_pandas()
    store = Store(str(run / "models"))
    artefact = store.load(store.names()[-1])
    wanted = artefact.predict_columns(prepared())
    np.testing.assert_allclose(found["prediction"], wanted, rtol=1e-12)
    frame().to_csv(tmp_path / "rows.csv", index=False)
    rows = list(asking.rows_to_ask(str(tmp_path / "rows.csv"), {}, artefact.schema, None))
    assert len(rows) == 600
    columns = {name: [row[name] for row in rows] for name in artefact.schema.inputs}
    np.testing.assert_allclose(artefact.predict_columns(columns), wanted, rtol=1e-12)


def test_an_export_takes_the_calendar_features_and_names_where_they_come_from(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.joblib"
    assert main(["models", "export", str(run), "newest", "--to", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "of the sample: none its inputs" in shown
    assert shown.endswith(
        "its inputs at_hour, sold_weekday_sin, sold_weekday_cos are calendar features, to be "
        "computed from at, sold in Europe/Berlin (docs/export.md)"
    )


def test_a_class_is_predicted_by_calendar_features_and_encoders() -> None:
    made = frame().assign(k=[[0, 0, 0, 1, 1, 2][n % 6] for n in range(600)])
    made["y"] = np.where(made["y"] > 0, "late", "on time")
    features = {"numeric": ["x"], "categorical": ["k"], "calendar": CALENDAR}
    encoders = {"sold_weekday_sin": {"add_indicator": True}, "k": {"max_categories": 2}}
    schema = SCHEMA | {"task": "classification", "features": {**features, "encoders": encoders}}
    found = backtest(made, schema=schema, window="5d", every="5d", learner="boosting")
    model = found.models.newest
    assert model.manifest.features == [
        *(*PREPARED, "k=0", "k=1", "k=other", "sold_weekday_sin_missing")
    ]
    scored = found.predictions.to_pandas().dropna(subset="prediction")
    assert len(scored) > 400
    assert (scored["prediction"] == scored["target"]).mean() > 0.75
