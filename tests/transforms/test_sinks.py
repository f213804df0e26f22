from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.transforms.window import TimestampedValue

from model.batch import SECOND
from model.manifest import Reference
from model.metrics import Metrics, Sums, compute_metrics
from model.store import Store
from pipeline.testing import run_graph
from tests.kit.streams import (
    EACH_MINUTE,
    MEAN,
    MINUTE,
    SCHEMA,
    labelled,
    row,
    schema_file,
    shuffle,
    stream,
    values,
)
from tests.transforms.test_evaluate import model_of, rejects, result
from tests.transforms.test_statistics import splitmix
from tests.transforms.test_train import RIDGE, commit_rows, files_of
from transforms.elements import ScoredBatch, ScoringTask
from transforms.predict import ArtefactHandler
from transforms.sinks.end import WriteEnd
from transforms.sinks.predictions import WritePredictions
from transforms.sinks.rejects import WriteRejects
from transforms.sinks.reports import WriteReportsFn
from transforms.sinks.samples import WriteSample
from transforms.stamps import beam_time
from transforms.testing import FromBatches, accepted, batches, embedded
from transforms.validate import Validate

HOUR = [f"19700101T00{minute:02d}00Z" for minute in range(60)]


def sunk(results: list[Any], sink: Any, seed: int = 0) -> None:
    """Runs scored batches, in some order, into a sink."""
    with embedded() as pipeline:
        scored = pipeline | beam.Create(shuffle(results, seed))
        stamped = scored | "Stamp" >> beam.Map(
            lambda r: TimestampedValue(r, beam_time(r.batch.tag.at))
        )
        stamped | sink


def score_rows(
    rows: list[Any], batch_rows: int = 1000, disorder: int | None = None
) -> list[ScoredBatch]:
    """Scored batches: the first minute has no model, every other one its own."""
    made = accepted(batches(rows, SCHEMA, MINUTE, batch_rows, disorder), SCHEMA)
    return [result(batch, model_of(batch.tag.at)) for batch in made]


def read_written(folder: Path) -> dict[tuple[str, str], pa.Table]:
    return {(p.parent.name, p.name): pq.read_table(p) for p in folder.rglob("*.parquet")}


@pytest.mark.parametrize("batch_rows", [3, 1000])
def test_predictions_have_just_the_contracts_columns_and_all_rows_in_order(
    tmp_path: Path, batch_rows: int
) -> None:
    rows = stream(150, 240, shuffled=True)
    sunk(score_rows(rows, batch_rows), WritePredictions(str(tmp_path), SCHEMA, EACH_MINUTE, 2))
    found = read_written(tmp_path)
    assert {name for name, _ in found} == set(HOUR[:4])
    assert {shard for _, shard in found} <= {"00000.parquet", "00001.parquet"}
    for (refresh, _), table in found.items():
        assert [(f.name, str(f.type)) for f in table.schema] == [
            ("id", "int64"),
            ("time", "timestamp[us, tz=UTC]"),
            ("target", "double"),
            ("prediction", "double"),
            ("model", "string"),
            ("late", "bool"),
        ]
        assert table.schema.metadata is None
        result = table.to_pylist()
        assert [(r["time"], r["id"]) for r in result] == sorted(
            (r["time"], r["id"]) for r in result
        )
        for each in result:
            mine = rows[each["id"]]
            assert each["time"].timestamp() == mine["t"]
            assert each["target"] == mine["y"]
            assert each["late"] is False
            minute = int(mine["t"] // 60)
            assert refresh == HOUR[minute]
            wanted = (1000.0 if mine["x"] is None else mine["x"]) * 2 + 0.25
            assert each["model"] == (f"m{minute}" if minute else None)
            assert each["prediction"] == (wanted if minute else None)
    ids = [i for table in found.values() for i in table["id"].to_pylist()]
    assert sorted(ids) == list(range(150))


def test_two_shards_part_rows_by_their_ids_however_they_are_cut_into_batches(
    tmp_path: Path,
) -> None:
    rows, written = stream(9_000, 60), []
    for batch_rows in (4_000, 8_999):
        folder = tmp_path / str(batch_rows)
        results = score_rows(rows, batch_rows)
        sunk(results, WritePredictions(str(folder), SCHEMA, EACH_MINUTE, 2))
        written.append(files_of(folder))
        found = {
            i: int(shard[:5])
            for (_, shard), table in read_written(folder).items()
            for i in table["id"].to_pylist()
        }
        assert found == {i: splitmix(i >> 13) % 2 for i in range(9_000)}
    assert written[0] == written[1]


def test_late_rows_are_written_where_they_came(tmp_path: Path) -> None:
    rows = [row(0), row(130), row(5)]
    results = score_rows(rows, 1, disorder=5 * SECOND)
    sunk(results, WritePredictions(str(tmp_path), SCHEMA, EACH_MINUTE, 1))
    found = read_written(tmp_path)
    assert set(found) == {(HOUR[0], "00000.parquet"), (HOUR[2], "00000.parquet")}
    table = found[HOUR[2], "00000.parquet"]
    assert table["id"].to_pylist() == [2, 1]
    assert table["late"].to_pylist() == [True, False]
    assert [t.timestamp() for t in table["time"].to_pylist()] == [5, 130]


def sinks(folder: str, store: str) -> list[Any]:
    return [
        WritePredictions(f"{folder}/p", SCHEMA, EACH_MINUTE, 2),
        WriteSample(f"{folder}/s", SCHEMA, EACH_MINUTE, store),
    ]


def test_a_sink_that_is_run_twice_or_in_another_order_writes_the_same_files(tmp_path: Path) -> None:
    commit_rows(ROWS, tmp_path / "m", RIDGE)
    store = str(tmp_path / "m" / "models")
    results = really_scored(store, 7)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for sink in sinks(str(tmp_path / name), store):
            sunk(results, sink, seed=ord(name))
    once = files_of(tmp_path / "a")
    assert once == files_of(tmp_path / "b") and len(once) >= 8
    for sink in sinks(str(tmp_path / "a"), store):
        sunk(results, sink, seed=5)
    assert files_of(tmp_path / "a") == once


ROWS = stream(150, 240, shuffled=True)


def really_scored(store: str, batch_rows: int = 1000) -> list[ScoredBatch]:
    """Each minute's batches, scored by the model of the minute before; the first by none."""
    handler = ArtefactHandler(store)
    requests = []
    for batch in accepted(batches(ROWS, SCHEMA, MINUTE, batch_rows), SCHEMA):
        minute = batch.tag.at // MINUTE
        asked: Reference | None = Store(store).reference(HOUR[minute]) if minute else None
        requests.append(ScoringTask(asked, batch))
    return list(handler.run_inference(requests, handler.load_model()))


def test_a_sample_shows_rows_raw_and_normalised_by_the_model_that_scored_them(
    tmp_path: Path,
) -> None:
    commit_rows(ROWS, tmp_path, RIDGE)
    store = str(tmp_path / "models")
    sunk(really_scored(store, 20), WriteSample(str(tmp_path / "s"), SCHEMA, EACH_MINUTE, store))
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [f"{n}.parquet" for n in HOUR[:4]]
    for minute in range(4):
        table = pq.read_table(tmp_path / "s" / f"{HOUR[minute]}.parquet")
        assert table.column_names == [
            *("id", "time", "late", "y", "x", "z", "c", "prediction"),
            *("x (normalized)", "z (normalized)"),
        ]
        result = table.to_pylist()
        assert [(r["time"], r["id"]) for r in result] == sorted(
            (r["time"], r["id"]) for r in result
        )
        inside = {i for i, r in enumerate(ROWS) if minute * 60 <= r["t"] < minute * 60 + 60}
        assert {r["id"] for r in result} == inside
        assert all(
            {**ROWS[r["id"]], "t": 0} == {**{k: r[k] for k in "yxzc"}, "t": 0} for r in result
        )
        scores = [r["x (normalized)"] for r in result]
        if minute == 0:
            assert set(scores) == {None} and {r["prediction"] for r in result} == {None}
            continue
        x = values(ROWS, labelled(ROWS, minute * 60 - 60, minute * 60), "x")
        wanted = [((r["x"] or np.nanmean(x)) - np.nanmean(x)) / np.nanstd(x) for r in result]
        assert scores == pytest.approx(wanted, rel=1e-9, abs=1e-9)
        assert {r["z (normalized)"] for r in result} == {0.0}


def test_a_sample_has_at_most_a_thousand_rows_the_same_whatever_the_batches(tmp_path: Path) -> None:
    # More than twice as many as stay: those that come later are cut by a bound.
    rows = [row(i % 60, y=i) for i in range(2600)]
    made = {}
    for batch_rows in (20, 2600):
        folder = tmp_path / str(batch_rows)
        results = [result(r.batch, None) for r in score_rows(rows, batch_rows)]
        sunk(results, WriteSample(str(folder), SCHEMA, EACH_MINUTE, str(tmp_path)))
        made[batch_rows] = pq.read_table(folder / f"{HOUR[0]}.parquet")
    wanted = sorted(range(2600), key=splitmix)[:1000]
    assert sorted(made[20]["id"].to_pylist()) == sorted(wanted)
    assert made[20].equals(made[2600])


def test_rejects_are_written_by_refresh_and_those_without_a_time_apart(tmp_path: Path) -> None:
    rows = [row(0), {**row(1), "t": "soon"}, {**row(70), "x": float("inf")}, row(80)]
    for _ in range(2):
        with embedded() as pipeline:
            source = FromBatches(batches(rows, SCHEMA, MINUTE))
            _, bad = pipeline | source | Validate(SCHEMA)
            bad | WriteRejects(str(tmp_path), EACH_MINUTE)
        found = files_of(tmp_path)
        assert set(found) == {"undated/0-0-0.ndjson", f"{HOUR[1]}/0-0-1.ndjson"}
        [undated] = found["undated/0-0-0.ndjson"].decode().splitlines()
        [dated] = found[f"{HOUR[1]}/0-0-1.ndjson"].decode().splitlines()
        assert json.loads(undated)["row"]["t"] == "soon"
        assert json.loads(undated)["where"] == "rows:1"
        assert json.loads(dated)["where"] == "rows:2" and "'x'" in json.loads(dated)["reason"]
        assert set(json.loads(dated)) == {"row", "reason", "where"}


def test_each_batchs_rejects_have_a_file_of_their_own(tmp_path: Path) -> None:
    some = [rejects(n, at * SECOND) for n, at in ((1, 5), (2, 65))]
    with embedded() as pipeline:
        pipeline | beam.Create(some) | WriteRejects(str(tmp_path), EACH_MINUTE)
    assert {name: len(data.splitlines()) for name, data in files_of(tmp_path).items()} == {
        f"{HOUR[0]}/0-0-0.ndjson": 1,
        f"{HOUR[1]}/0-0-0.ndjson": 2,
    }


def test_a_report_is_its_metrics_as_json_and_goes_on(tmp_path: Path) -> None:
    metrics = compute_metrics(Sums(rows=3, unlabelled=3), 5 * MINUTE, 6 * MINUTE)
    sink = WriteReportsFn(str(tmp_path), Store(str(tmp_path / "m")), EACH_MINUTE, 3)
    with embedded() as pipeline:
        pipeline | beam.Create([(5 * MINUTE, metrics)]) | beam.ParDo(sink)
    [(name, data)] = files_of(tmp_path).items()
    assert name == f"{HOUR[5]}.json"
    assert Metrics.model_validate_json(data) == metrics
    assert json.loads(data)["format"] == 1


@pytest.mark.parametrize(
    ("keep", "lag", "left"), [(3, 1, 4), (0, 1, 12), (3, 2, 4), (1, 1, 2), (1, 2, 3)]
)
def test_of_twelve_windows_retention_leaves_those_to_keep_and_the_newest(
    tmp_path: Path, keep: int, lag: int, left: int
) -> None:
    rows = [row(t, y=t) for t in range(0, 720, 20)]
    run = run_graph(
        rows,
        str(tmp_path / "run"),
        schema_file=schema_file(tmp_path),
        learner=MEAN,
        keep=keep,
        lag=lag,
        predictions="none",
    )
    assert Store(run.models).names() == HOUR[12 - left + 1 : 13]
    reports = run.reports()
    assert [r.model for r in reports] == [None] * lag + HOUR[1 : 13 - lag]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_the_end_is_written_when_all_has_gone_by(number: int, tmp_path: Path) -> None:
    path = tmp_path / "ended.json"
    with embedded() as pipeline:
        source = pipeline | beam.Create(list(range(number)))
        assert not path.exists()
        source | WriteEnd(str(path))
    assert json.loads(path.read_text()) == {"format": 1}
