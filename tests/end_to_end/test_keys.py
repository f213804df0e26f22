"""The user's own keys, and columns that are kept: from the files into all that a run writes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.batch import SECOND
from pipeline.__main__ import main
from pipeline.testing import run_graph
from tests.kit.serve import ARROW, PARQUET, arrow, client, parquet
from transforms.sources.rows import FromRows

SCHEMA = """\
name = "s"
time = "ts"
target = "y"
id = "flight"
keep = ["gate", "seat", "x", "ts"]
[features]
numeric = ["x"]
categorical = ["c"]
"""
BARE = SCHEMA.replace('id = "flight"\n', "").replace('keep = ["gate", "seat", "x", "ts"]\n', "")
CARRIED = ["key", "gate", "seat", "x", "ts"]
TYPES = ["string", "string", "string", "double", "timestamp[us, tz=UTC]"]
ROWS = 240


def table() -> pd.DataFrame:
    """Four minutes of rows: keys that repeat in no way, a gate that is missing now and then."""
    second = pd.Series(range(ROWS))
    return pd.DataFrame(
        {
            "ts": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(second, "s"),
            "y": second * 7 % 11 + 5.0 * (second % 2),
            "x": second * 7 % 11 + 0.5,
            "c": (second % 2).map({0: "blue", 1: "red"}),
            "flight": 1000 - second,
            "gate": [None if s % 10 == 0 else f"A{s % 7}" for s in second],
            "seat": second % 9,
        }
    )


def write(folder: Path, form: str) -> Path:
    """The table in a file."""
    path, rows = folder / f"rows.{form}", table()
    if form == "parquet":
        rows.to_parquet(path)
        return path
    rows["ts"] = rows["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    if form == "csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_json(path, orient="records", lines=True)
    return path


def run(folder: Path, form: str, schema: str = SCHEMA) -> Path:
    """A run on the table."""
    toml = folder / "s.toml"
    toml.write_text(schema)
    argv = ["--input", str(write(folder, form)), "--schema", str(toml), "--learner", "ridge"]
    assert main([*argv, "--output", str(folder / "run")]) == 0
    return folder / "run"


def predictions(folder: Path) -> pa.Table:
    """All predictions, by row id."""
    shards = [pq.read_table(path) for path in sorted(folder.glob("predictions/*/*.parquet"))]
    assert len({shard.schema for shard in shards}) == 1
    return pa.concat_tables(shards).sort_by("id")


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_each_prediction_has_the_key_and_what_is_kept_of_its_row(form: str, tmp_path: Path) -> None:
    found = predictions(run(tmp_path, form))
    assert found.schema.names[6:] == CARRIED
    assert [str(kind) for kind in found.schema.types[6:]] == TYPES
    wanted = table()
    assert found["key"].to_pylist() == wanted["flight"].astype(str).to_list()
    assert found["gate"].to_pylist() == wanted["gate"].to_list()
    assert found["seat"].to_pylist() == wanted["seat"].astype(str).to_list()
    assert found["x"].to_pylist() == wanted["x"].to_list()
    assert found["ts"].to_pylist() == found["time"].to_pylist() == wanted["ts"].to_list()
    sample = pq.read_table(tmp_path / "run" / "sample" / "20240101T000100Z.parquet")
    assert sample["key"].to_pylist() == wanted["flight"][60:120].astype(str).to_list()
    assert sample["gate"].to_pylist() == wanted["gate"][60:120].to_list()
    assert {"id", "time", "x", "seat", "ts"} <= set(sample.schema.names)


def test_what_is_carried_changes_no_prediction_and_no_figure(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    carried = run(tmp_path / "with", "parquet")
    bare = run(tmp_path / "without", "parquet", BARE)
    assert predictions(bare).schema.names == predictions(carried).schema.names[:6]
    assert predictions(bare).equals(predictions(carried).select(list(range(6))))
    names = sorted(path.name for path in bare.glob("metrics/*.json"))
    assert len(names) == 4
    for name in names:
        mine, other = (json.loads((run / "metrics" / name).read_text()) for run in (carried, bare))
        assert {**mine, "files": None} == {**other, "files": None}  # their sizes


def test_a_reject_shows_the_key_and_what_is_kept(tmp_path: Path) -> None:
    rows = table().to_dict("records")
    rows[3] = {**rows[3], "y": "soon"}
    (tmp_path / "s.toml").write_text(SCHEMA)
    run_graph(rows, str(tmp_path / "run"), schema_file=str(tmp_path / "s.toml"), learner="ridge")
    [path] = (tmp_path / "run" / "rejected").glob("*/*")
    output = json.loads(path.read_text())["row"]
    shown = json.loads(output) if isinstance(output, str) else output
    assert (shown["flight"], shown["gate"], shown["seat"]) == (997, "A3", 3)


def test_people_have_keys_and_what_is_kept(tmp_path: Path) -> None:
    toml = tmp_path / "people.toml"
    toml.write_text(
        'name = "p"\ntime = "timestamp"\ntarget = "salario"\nid = "geracao_id"\n'
        'keep = ["nome", "cidade"]\n[features]\nnumeric = ["idade"]\n'
    )
    argv = ["--schema", str(toml), "--refreshes", "2", "--rate", "2", "--learner", "ridge"]
    assert main([*argv, "--output", str(tmp_path / "run")]) == 0
    found = predictions(tmp_path / "run")
    assert found.schema.names[6:] == ["key", "nome", "cidade"]
    assert None not in found["nome"].to_pylist() and len(set(found["key"].to_pylist())) > 1


def test_rows_of_ones_own_source_have_keys(tmp_path: Path) -> None:
    import apache_beam as beam

    from model.runs import RunFolder
    from model.schema import load_schema
    from pipeline.graph import build
    from pipeline.settings import settings_from
    from transforms.testing import embedded

    toml = tmp_path / "s.toml"
    toml.write_text(SCHEMA)
    (tmp_path / "run").mkdir()
    settings = settings_from({"schema_file": str(toml), "learner": "ridge"})
    rows = [{**row, "ts": row["ts"].to_pydatetime()} for row in table().to_dict("records")]
    with embedded() as pipeline:
        source = beam.Create(rows) | FromRows(load_schema(str(toml)), 60 * SECOND)
        build(pipeline, source, settings, RunFolder(str(tmp_path / "run")))
    found = predictions(tmp_path / "run").sort_by("time")
    assert found["key"].to_pylist() == table()["flight"].astype(str).to_list()
    assert found["seat"].to_pylist() == table()["seat"].astype(str).to_list()


def test_an_answer_of_the_server_has_keys_and_what_is_kept(tmp_path: Path) -> None:
    folder = run(tmp_path, "csv")
    row = {"x": 1.0, "c": "red", "flight": 7, "gate": "B2", "seat": None, "ts": "now"}
    bare = {"x": None, "c": "red"}
    with client(folder) as api:
        found = api.post("/predict", json=[row, bare]).json()
        assert found["keys"] == ["7", None]
        kept = {"gate": ["B2", None], "seat": [None, None], "x": [1.0, None], "ts": ["now", None]}
        assert found["keep"] == kept
        assert api.post("/predict", json={**row, "gate": [1]}).status_code == 422
        table_ = pa.table({"x": [1.0], "c": ["red"], "flight": [7], "gate": ["B2"], "ts": [5]})
        for media, body in ((ARROW, arrow(table_)), (PARQUET, parquet(table_))):
            heads = {"content-type": media, "accept": media}
            answer = api.post("/predict", content=body, headers=heads).content
            back = (
                pq.read_table(io.BytesIO(answer))
                if media == PARQUET
                else pa.ipc.open_stream(answer).read_all()
            )
            assert back.schema.names == ["prediction", *CARRIED]
            assert back.select(CARRIED).to_pylist() == [
                {"key": "7", "gate": "B2", "seat": None, "x": 1.0, "ts": "5"}
            ]
            assert back["prediction"].to_pylist() == found["predictions"][:1]


def test_without_them_an_answer_of_the_server_is_as_before(tmp_path: Path) -> None:
    folder = run(tmp_path, "csv", BARE)
    with client(folder) as api:
        found: dict[str, Any] = api.post("/predict", json={"x": 1.0, "c": "red"}).json()
        assert list(found) == ["model", "sha256", "predictions"]


def test_a_file_without_a_column_that_is_kept_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text(SCHEMA.replace('"seat"', '"plane"'))
    argv = ["--input", str(write(tmp_path, "csv")), "--schema", str(tmp_path / "s.toml")]
    assert main([*argv, "--output", str(tmp_path / "run")]) == 2
    assert "has no column 'plane'" in capsys.readouterr().err
