"""``predict``: files are scored by a model of a run, as the job and the server score them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from model.schema import ScoringSchema
from model.store import Store
from monitor.console import consoles
from pipeline import predict as command
from pipeline.__main__ import main
from pipeline.scoring import find
from tests.end_to_end.test_keys import predictions, run, table, write
from tests.kit.serve import client

BLIND = ["x", "c", "flight", "gate", "seat", "ts"]
"""The table's columns but for the target; the time is kept, thus needed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with keys, on the table; not to be changed."""
    return run(tmp_path_factory.mktemp("predict"), "csv")


def ask(folder: Path, source: Path, output: Path, *more: str) -> int:
    """Runs the command."""
    argv = ["--run", str(folder), "--input", str(source), "--output", str(output)]
    return main(["predict", *argv, *more])


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file, its floats to the last digit."""
    return pd.read_csv(path, float_precision="round_trip")


def wanted(folder: Path) -> Any:
    """What the newest model predicts of the table, asked without the command."""
    store = Store(str(folder / "models"))
    return store.load(store.names()[-1]).predict_columns(table()[["x", "c"]].to_dict("list"))


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_rows_of_each_format_are_predicted_with_their_place_and_key(
    form: str, folder: Path, tmp_path: Path
) -> None:
    source = write(tmp_path, form)
    assert ask(folder, source, tmp_path / "out.parquet") == 0
    found = pq.read_table(tmp_path / "out.parquet")
    names = ["file", "row", "key", "gate", "seat", "x", "ts", "prediction", "model"]
    assert found.schema.names == names
    assert set(found["file"].to_pylist()) == {str(source)}
    assert found["row"].to_pylist() == list(range(1, 241))
    assert found["key"].to_pylist() == table()["flight"].astype(str).to_list()
    assert found["prediction"].to_pylist() == wanted(folder).tolist()
    assert set(found["model"].to_pylist()) == {max(Store(str(folder / "models")).names())}
    assert not list(tmp_path.glob("*.rejected.ndjson"))


def test_predictions_have_the_digits_of_the_job_and_of_the_server(
    folder: Path, tmp_path: Path
) -> None:
    source, name = write(tmp_path, "csv"), "20240101T000300Z"
    assert ask(folder, source, tmp_path / "out.parquet", "--model", name) == 0
    found = pq.read_table(tmp_path / "out.parquet")["prediction"].to_numpy()
    job = predictions(folder)
    by = np.array(job["model"].to_pylist()) == name
    assert by.sum() == 60
    # another cut into batches: BLAS may round the last digit otherwise
    np.testing.assert_allclose(found[by], job["prediction"].to_numpy()[by], rtol=1e-13)
    with client(folder) as api:
        rows = json.loads(table()[["x", "c"]].to_json(orient="records"))
        answer = api.post(f"/predict?model={name}", json=rows).json()
    assert answer["predictions"] == found.tolist()


def test_neither_target_nor_time_is_needed_unless_it_is_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table()[BLIND].assign(ts="2024-01-01").to_csv(tmp_path / "new.csv", index=False)
    assert ask(folder, tmp_path / "new.csv", tmp_path / "out.csv") == 0
    assert read_csv(tmp_path / "out.csv")["prediction"].to_list() == wanted(folder).tolist()
    table()[BLIND].drop(columns="ts").to_csv(tmp_path / "new.csv", index=False)
    assert ask(folder, tmp_path / "new.csv", tmp_path / "out.csv") == 2
    assert "has no column 'ts'" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_files_without_time_and_target_are_predicted(form: str, tmp_path: Path) -> None:
    from tests.end_to_end.test_keys import BARE

    folder = run(tmp_path, "parquet", BARE)
    rows, source = table()[["c", "x"]], tmp_path / f"new.{form}"
    if form == "csv":
        rows.to_csv(source, index=False)
    elif form == "ndjson":
        rows.to_json(source, orient="records", lines=True)
    else:
        rows.to_parquet(source)
    assert ask(folder, source, tmp_path / "out.ndjson") == 0
    lines = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert [line["prediction"] for line in lines] == wanted(folder).tolist()
    assert list(lines[0]) == ["file", "row", "prediction", "model"]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson"])
def test_the_suffix_of_the_output_shows_its_format(
    suffix: str, folder: Path, tmp_path: Path
) -> None:
    source, out = write(tmp_path, "parquet"), tmp_path / f"deep/er/out.{suffix}"
    assert ask(folder, source, out) == 0
    read: dict[str, Any] = {
        "parquet": pd.read_parquet,
        "csv": read_csv,
        "ndjson": lambda path: pd.read_json(path, lines=True, precise_float=True),
    }
    found = read[suffix](out)
    assert found["prediction"].to_list() == wanted(folder).tolist()
    assert pd.to_datetime(found["ts"]).to_list() == table()["ts"].to_list()
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_standard_output_gets_csv_and_nothing_else(
    folder: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    source = write(tmp_path, "parquet")
    argv = ["--run", str(folder), "--input", str(source), "--output", "-"]
    assert main(["predict", *argv]) == 0
    out = capfdbinary.readouterr().out.decode().splitlines()
    assert len(out) == 241 and out[0].startswith('"file","row","key"')


def test_rows_that_do_not_fit_are_written_beside_and_more_than_half_is_1(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "x,c,flight,gate,seat,ts\n"
    good, bad = "1,red,7,A1,2,2024-01-01\n", "soon,red,8,A1,2,2024-01-01\n"
    source, out = tmp_path / "new.csv", tmp_path / "out.parquet"
    for rows, code in ((good + bad, 0), (good + bad + bad, 1), (good, 0), ("", 0)):
        source.write_text(head + rows)
        assert ask(folder, source, out) == code
        found = pq.read_table(out)
        assert found["row"].to_pylist() == [1] * rows.count("1,red")
        aside = tmp_path / "out.rejected.ndjson"
        lines = aside.read_text().splitlines() if aside.exists() else []
        assert len(lines) == rows.count("soon")
        assert aside.exists() == bool(lines)
    err = capsys.readouterr().err
    assert f"2 of 3 rows (67%) were rejected: see {tmp_path}/out.rejected.ndjson" in err
    assert "new.csv:3: column 'x': 'soon'" in err
    source.write_text(head + good + bad + bad)
    assert ask(folder, source, out, "--max-rejected", "0.7") == 0


def test_values_that_the_model_does_not_know_are_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = table().head(20)
    rows.loc[3:7, "c"] = "green"
    rows.assign(ts="2024-01-01").to_csv(tmp_path / "new.csv", index=False)
    assert ask(folder, tmp_path / "new.csv", tmp_path / "out.csv") == 0
    assert "values that the model has no column for: c 5\n" in capsys.readouterr().err


def test_an_error_leaves_the_output_before_as_it_was(folder: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "out.csv", write(tmp_path, "csv")
    out.write_text("mine")
    planned = find(str(source), ScoringSchema.of(artefact(folder).schema))
    source.write_text(source.read_text()[:3000])
    with pytest.raises(UserError):
        command.write(
            planned,
            ScoringSchema.of(artefact(folder).schema),
            artefact(folder),
            "m",
            str(out),
            print,
            consoles()[1],
        )
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "rows.csv"]


def artefact(folder: Path) -> Any:
    """The newest model of a run."""
    store = Store(str(folder / "models"))
    return store.load(store.names()[-1])


def test_a_model_is_named_by_its_folder_too(folder: Path, tmp_path: Path) -> None:
    model = folder / "models" / "20240101T000200Z"
    argv = ["--input", str(write(tmp_path, "csv")), "--output", str(tmp_path / "out.csv")]
    assert main(["predict", *argv, "--model", f"{model}/"]) == 0
    assert set(pd.read_csv(tmp_path / "out.csv")["model"]) == {model.name}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--output", "out.txt"], "--output out.txt: the format goes by the suffix"),
        (["--model", "20240101T000000Z"], "--model 20240101T000000Z: the models of"),
        (["--model", "no/such/20240101T000000Z"], "the model's folder says its run"),
        (["--run", "nothing"], "nothing: is not a folder"),
        (["--max-rejected", "2"], "--max-rejected 2: must be from 0 to 1"),
        (["--input", "nothing.csv"], "nothing.csv"),
        (["--wrong"], "--wrong"),
    ],
)
def test_a_mistake_is_reported_in_one_line(
    more: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ask(folder, write(tmp_path, "csv"), tmp_path / "out.csv", *more) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("error: ") and err.count("\n") == 1


def test_the_input_is_not_written_over(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path, "csv")
    os.symlink(source, tmp_path / "link.csv")
    before = source.read_bytes()
    assert ask(folder, source, tmp_path / "link.csv") == 2
    assert "is a file of the input" in capsys.readouterr().err and source.read_bytes() == before


def test_a_damaged_model_is_not_opened(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    mine = Path(shutil.copytree(folder, tmp_path / "mine"))
    model = max(mine.glob("models/*/model.joblib"))
    model.write_bytes(model.read_bytes() + b"x")
    assert ask(mine, write(tmp_path, "csv"), tmp_path / "out.csv") == 2
    assert "it is not opened" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_what_takes_long_shows_how_far_it_is(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "PATIENCE", 0.0)
    assert ask(folder, write(tmp_path, "csv"), tmp_path / "out.csv") == 0
    assert "240 of 240 rows predicted" in capsys.readouterr().err
