"""What a server keeps of questions and labels, and the circle: ask, answer, label, learn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from monitor.serve.core import open_core
from monitor.serve.options import Options
from monitor.serve.recording import WAITING, Recorder
from pipeline.__main__ import main
from tests.kit.serve import client, problem_of, until

SCHEMA = """\
name = "orders"
time = "placed"
target = "days"
id = "order"
wait = "1h"
[features]
numeric = ["weight"]
categorical = ["town"]
[labels]
id = "order"
target = "took"
time = "arrived"
"""


def start(minute: int) -> pd.Timestamp:
    return pd.Timestamp("2026-03-01", tz="UTC") + pd.Timedelta(minutes=minute)


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two models, not to be changed."""
    folder = tmp_path_factory.mktemp("orders")
    (folder / "schema.toml").write_text(SCHEMA)
    numbers = range(40)
    times = [start(0) + pd.Timedelta(seconds=3 * number) for number in numbers]
    asked = {"order": numbers, "placed": times, "weight": numbers, "town": ["Uppsala"] * 40}
    pd.DataFrame(asked).to_csv(folder / "asked.csv", index=False)
    took = [2.0 * number for number in numbers]
    pd.DataFrame({"order": numbers, "took": took, "arrived": times}).to_csv(
        folder / "labels.csv", index=False
    )
    given = ["--input", str(folder / "asked.csv"), "--labels", str(folder / "labels.csv")]
    assert main([*given, *options(folder), "--output", str(folder / "run")]) == 0
    return folder


def options(folder: Path) -> list[str]:
    more = ["--window", "60", "--learner", "ridge", "--min-rows", "1"]
    return ["--schema", str(folder / "schema.toml"), *more]


def test_what_is_asked_and_labelled_at_a_server_is_learned_from_by_a_run(
    orders: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    mine = Path(shutil.copytree(orders / "run", tmp_path / "run"))
    rows = [{"weight": number, "town": "Uppsala"} for number in range(30)]
    with client(mine, record=str(kept)) as api:
        named = api.post("/predict", json=[{**rows[0], "order": "mine"}]).json()
        assert named["keys"] == ["mine"]
        answer = api.post("/predict", json=rows).json()
        assert len(set(answer["keys"])) == 30 and None not in answer["keys"]
        labels = [{"id": key, "target": 7.5} for key in answer["keys"]]
        for _ in range(2):
            assert api.post("/labels", json=labels).json() == {"accepted": 30}
        assert api.post("/labels", json={"id": "mine", "target": 1}).status_code == 202
        figures = api.get("/metrics").text
        assert 'correnteza_recorded_rows{kind="questions"} 31.0' in figures
        assert 'correnteza_recorded_rows{kind="labels"} 61.0' in figures
        assert api.get("/health").json()["status"] == "ok"
    found = pd.concat(map(pd.read_parquet, (kept / "questions").glob("*.parquet")))
    assert found["order"].tolist() == ["mine", *answer["keys"]]
    assert found["prediction"].tolist() == [*named["predictions"], *answer["predictions"]]
    assert set(found["model"]) == {answer["model"]}
    assert found["weight"].tolist() == [0, *range(30)]
    given = ["--input", str(kept / "questions/*"), "--labels", str(kept / "labels/*")]
    assert main([*given, *options(orders), "--output", str(tmp_path / "next")]) == 0
    ended = json.loads((tmp_path / "next/ended.json").read_bytes())
    assert (ended["questions"], ended["answered"]) == (31, 31)
    reports = [json.loads(path.read_bytes()) for path in (tmp_path / "next/metrics").glob("*")]
    assert sum(report["duplicates"] for report in reports) == 30
    assert list((tmp_path / "next/models").glob("*/model.joblib"))
    with client(tmp_path / "next") as api:
        assert 'correnteza_run_labels{kind="duplicates"} 30.0' in api.get("/metrics").text


@pytest.mark.parametrize(
    ("label", "status", "code"),
    [
        ({"id": "a"}, 400, "bad_body"),
        ({"id": "a", "target": "NaN"}, 400, "bad_body"),
        ({"id": "a", "target": 1, "truth": 2}, 400, "bad_body"),
        ({"id": " ", "target": 1}, 422, "bad_rows"),
        ({"id": "a", "target": 1, "time": "soon"}, 422, "bad_rows"),
        ([{"id": "a", "target": 1}] * 4, 422, "too_many_rows"),
    ],
)
def test_what_is_no_label_is_refused_in_one_line(
    orders: Path, tmp_path: Path, label: Any, status: int, code: str
) -> None:
    with client(orders / "run", record=str(tmp_path / "kept"), max_rows=3) as api:
        problem_of(api.post("/labels", json=label), status, code)
    assert not list(tmp_path.glob("kept/labels/*"))


def test_a_server_that_does_not_record_takes_no_labels(orders: Path) -> None:
    with client(orders / "run") as api:
        problem_of(api.post("/labels", json={"id": "a", "target": 1}), 404, "not_found")
        assert api.post("/predict", json={"weight": 1, "town": "Uppsala"}).json()["keys"] == [None]


def test_labels_need_the_key_that_predictions_need(orders: Path, tmp_path: Path) -> None:
    key = "0123456789abcdef"
    with client(orders / "run", record=str(tmp_path / "kept"), key=key) as api:
        label = {"id": "a", "target": 1}
        problem_of(api.post("/labels", json=label), 401, "no_key")
        assert api.post("/labels", json=label, headers={"X-API-Key": key}).status_code == 202


def test_a_folder_that_is_full_is_not_written_and_health_says_so(
    orders: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with client(orders / "run", record=str(tmp_path / "kept"), record_bytes=2) as api:
            for _ in range(2):
                row = {"weight": 1, "town": "Uppsala"}
                assert api.post("/predict", json=row).status_code == 200
    assert not list(tmp_path.glob("kept/questions/*"))
    recorder = Recorder(str(tmp_path / "small"), 2)
    recorder.start()
    assert recorder.take(pa.table({"a": [1]}))
    recorder.stop()
    assert "--record-bytes" in recorder.failure
    assert (recorder.recorded, recorder.lost) == (0, 1)
    assert not recorder.take(pa.table({"a": [1]}))


def test_rows_are_in_one_file_until_a_minute_is_over(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), 1 << 20, clock=lambda: 0.0, seconds=0.3)
    recorder.start()
    for number in range(3):
        assert recorder.take(pa.table({"a": [number]}))
    [path] = until(lambda: list(tmp_path.glob("*.parquet")))
    assert path.name.startswith("19700101T000000000000Z-")
    assert pq.read_table(path).column("a").to_pylist() == [0, 1, 2]
    recorder.stop()


def test_what_waits_is_bounded_and_no_answer_waits_for_it(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), 1 << 20)  # not started: nothing is written
    taken = [recorder.take(pa.table({"a": [1]})) for _ in range(WAITING + 5)]
    assert taken.count(False) == recorder.lost == 5


def test_a_run_whose_rows_have_no_id_is_not_recorded(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--record: the run's schema must have an id"):
        open_core(Options(str(run), record=str(tmp_path)))
