"""What a server keeps of questions and labels, and the circle: ask, answer, label, learn."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from monitor.serve.core import open_core
from monitor.serve.labelling import read_labels
from monitor.serve.options import Options
from monitor.serve.problems import Problem
from monitor.serve.recording import ROWS, WAITING, Recorder
from pipeline.__main__ import main
from tests.kit.serve import client, problem_of, serve, until

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
        ({"id": "a", "target": 1, "time": "9999-01-01T00:00:00Z"}, 422, "bad_rows"),
        ([{"id": "a", "target": 1}] * 4, 422, "too_many_rows"),
    ],
)
def test_what_is_no_label_is_refused_in_one_line(
    orders: Path, tmp_path: Path, label: Any, status: int, code: str
) -> None:
    with client(orders / "run", record=str(tmp_path / "kept"), max_rows=3) as api:
        problem_of(api.post("/labels", json=label), status, code)
    assert not list(tmp_path.glob("kept/labels/*"))


@pytest.mark.parametrize(
    ("known", "target", "kept"),
    [
        (("late", "ok"), " late", "late"),
        (("true", "false"), True, "true"),
        (("1", "2"), 2, "2"),
        (("late", "ok"), "lost", None),
        (None, "lost", "lost"),
        (None, "", None),
    ],
)
def test_labels_of_a_run_that_predicts_classes_are_classes(
    orders: Path, tmp_path: Path, known: tuple[str, ...] | None, target: Any, kept: str | None
) -> None:
    core = open_core(Options(str(orders / "run"), record=str(tmp_path)))
    update = {"task": "classification", "classes": known}
    core.schema = core.schema.model_copy(update=update)
    body = json.dumps([{"id": "a", "target": target}]).encode()
    if kept is None:
        with pytest.raises(Problem, match=f"label 0: target {target!r}: must "):
            read_labels(core, body)
    else:
        assert read_labels(core, body).column("took").to_pylist() == [kept]


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
    for number in range(3):
        assert recorder.take(pa.table({"a": [number]}))
    recorder.start()
    [path] = until(lambda: list(tmp_path.glob("*.parquet")))
    assert path.name.startswith("19700101T000000000000Z-")
    assert pq.read_table(path).column("a").to_pylist() == [0, 1, 2]
    recorder.stop()


def test_what_waits_is_bounded_and_no_answer_waits_for_it(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), 1 << 20)  # not started: nothing is written
    rows = pa.table({"a": range(WAITING // 4)})
    taken = [recorder.take(rows) for _ in range(5)]
    assert taken == [True] * 4 + [False]
    assert (recorder.recorded, recorder.lost) == (WAITING, WAITING // 4)


def test_a_file_has_rows_of_one_minute_or_ten_thousand(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), 1 << 20, clock=lambda: 1.0, seconds=0.3)
    for number, at in enumerate((0.5, 0.61, 0.85, 0.92, 1.1)):  # the minutes end at 0.6, 0.9, 1.2
        assert recorder.take(pa.table({"a": [number]}), at)
    recorder.start()
    found = until(lambda: sorted(tmp_path.glob("*")) if recorder.written == 3 else [])
    parts = [pq.read_table(path).column("a").to_pylist() for path in found]
    assert parts == [[0], [1, 2], [3, 4]]
    assert recorder.take(pa.table({"a": range(ROWS)}), 1.3)
    assert until(lambda: recorder.written == 4)
    recorder.stop()


def test_a_disk_that_fails_loses_rows_that_are_counted_until_it_works_again(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    recorder = Recorder(str(folder), 1 << 20, seconds=0.1)
    recorder.start()
    folder.write_text("not a folder")
    assert recorder.take(pa.table({"a": [1]}))
    assert until(lambda: recorder.lost == 1)
    assert recorder.failure.startswith(f"{folder}: cannot be written: ")
    folder.unlink()
    assert recorder.take(pa.table({"a": [2]}))
    [path] = until(lambda: [*folder.glob("*.parquet")])
    assert pq.read_table(path).column("a").to_pylist() == [2]
    recorder.stop()
    assert (recorder.recorded, recorder.lost, recorder.failure) == (1, 1, "")


def test_servers_that_share_a_folder_and_a_moment_write_files_of_their_own(tmp_path: Path) -> None:
    recorders = [Recorder(str(tmp_path), 1 << 20, clock=lambda: 0.0) for _ in range(2)]
    for number, recorder in enumerate(recorders):
        recorder.start()
        assert recorder.take(pa.table({"a": [number]}))
        recorder.stop()
    found = [pq.read_table(path).column("a").to_pylist() for path in tmp_path.glob("*")]
    assert sorted(found) == [[0], [1]]
    size = sum(path.stat().st_size for path in tmp_path.glob("*"))
    assert Recorder(str(tmp_path), size).failure.endswith("--record-bytes")


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\x00b\n\u202e", "a\x00b\n\u202e"),
        ("x" * 100_000, "x" * 100_000),
        (10**30, str(10**30)),
        (" 7 ", "7"),
        ("\u0065\u0301", "\u00e9"),
    ],
    ids=["path", "control", "long", "great", "spaces", "accent"],
)
def test_any_id_comes_back_and_is_kept_for_questions_as_for_labels(
    orders: Path, tmp_path: Path, key: Any, kept: str
) -> None:
    row = {"order": key, "weight": 1, "town": "Uppsala"}
    with client(orders / "run", record=str(tmp_path / "kept")) as api:
        assert api.post("/predict", json=row).json()["keys"] == [kept]
        assert api.post("/labels", json={"id": key, "target": 1}).status_code == 202
    for name in ("questions", "labels"):
        [path] = (tmp_path / "kept" / name).glob("*")
        assert pq.read_table(path).column("order").to_pylist() == [kept]


@pytest.mark.parametrize("key", ["\\ud800", True, 1.5, ["a"], {"a": 1}])
def test_what_is_no_id_is_refused_for_questions_and_labels(
    orders: Path, tmp_path: Path, key: Any
) -> None:
    text = json.dumps(key).replace("\\\\", "\\")
    asked = f'{{"order": {text}, "weight": 1, "town": "Uppsala"}}'
    with client(orders / "run", record=str(tmp_path / "kept")) as api:
        headers = {"Content-Type": "application/json"}
        answers = [
            api.post("/predict", content=asked, headers=headers),
            api.post("/labels", content=f'{{"id": {text}, "target": 1}}', headers=headers),
        ]
    assert [answer.status_code in (400, 422) for answer in answers] == [True, True]
    assert not [*tmp_path.glob("kept/*/*")]


@pytest.mark.slow
def test_a_server_that_is_killed_has_left_whole_files(orders: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    rows = [{"weight": 1, "town": "Uppsala"}] * ROWS

    def ask(url: str) -> None:
        with suppress(httpx.HTTPError):  # the server is gone
            httpx.post(f"{url}/predict", json=rows, timeout=60)

    with serve(orders / "run", "--record", kept) as served, ThreadPoolExecutor(4) as pool:
        for _ in range(12):
            pool.submit(ask, served.url)
        until(lambda: [*kept.glob("questions/2*")])
        served.running.kill()
    names = [*kept.glob("questions/2*")]
    assert names and all(pq.read_table(path).num_rows % ROWS == 0 for path in names)


def test_a_run_whose_rows_have_no_id_is_not_recorded(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--record: the run's schema must have an id"):
        open_core(Options(str(run), record=str(tmp_path)))
