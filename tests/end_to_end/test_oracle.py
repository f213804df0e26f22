"""The job beside the oracle: every refresh, row for row and figure for figure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import TimestampedValue
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from examples import flights
from model.batch import tag_of
from pipeline.__main__ import main
from pipeline.arguments import parse
from pipeline.folder import find_folder, open_folder
from pipeline.graph import build
from reading import plan
from tests.end_to_end import streams
from tests.end_to_end.oracle import Cadence, Report, Stream, fit_windows, replay
from transforms.sources.files import FileReader, FileWork
from transforms.sources.work_items import Extent
from transforms.stamps import beam_time

pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),  # a mean of nulls alone
    pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning"),  # pyarrow asks pandas
]
MINUTE = Cadence(60, 60)


class ByRows:
    """A regressor some of whose parameters depend on how many rows it is fitted to."""

    def __init__(self, regressor: Any, parameters: Callable[[int], dict[str, Any]]) -> None:
        self.regressor = regressor
        self.parameters = parameters

    def fit(self, matrix: Any, target: Any) -> ByRows:
        self.regressor.set_params(**self.parameters(len(target))).fit(matrix, target)
        return self

    def predict(self, matrix: Any) -> Any:
        return self.regressor.predict(matrix)


def forest() -> Any:
    def parameters(rows: int) -> dict[str, Any]:
        if rows < 1_000:
            return {"min_samples_leaf": max(1, rows // 50), "max_features": 1.0}
        return {"min_samples_leaf": 20, "max_features": 1 / 3}

    return ByRows(RandomForestRegressor(n_estimators=100, random_state=42), parameters)


def boosting() -> Any:
    return ByRows(
        HistGradientBoostingRegressor(random_state=42),
        lambda rows: {"min_samples_leaf": max(3, rows // 12) if rows < 240 else 20},
    )


def name(second: int | None) -> str | None:
    """A time as folders and files are called by it."""
    if second is None:
        return None
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def run(folder: Path, source: str, stream: Stream, *options: str, learner: str = "ridge") -> Path:
    """Runs the job on files by its command line; gives the run's folder."""
    schema = streams.schema_file(stream, folder.with_suffix(".toml"))
    argv = ["--input", source, "--schema", str(schema), "--output", str(folder)]
    argv += ["--min-rows", "1"]
    assert main([*argv, "--learner", learner, *options]) == 0
    return folder


def read_reports(folder: Path) -> dict[str, dict[str, Any]]:
    """The metrics files of a run, by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in folder.glob("metrics/*.json")}


def read_predictions(folder: Path, refresh: str) -> pd.DataFrame:
    """The predictions of a refresh in the order of (time, id)."""
    shards = [pd.read_parquet(path) for path in folder.glob(f"predictions/{refresh}/*.parquet")]
    return pd.concat(shards).sort_values(["time", "id"], ignore_index=True)


def check(folder: Path, expected: dict[int, Report]) -> None:
    """Every refresh's figures are those of the oracle, and there is no other refresh."""
    found = read_reports(folder)
    assert sorted(found) == sorted(str(name(start)) for start in expected)
    for start, (model, figures, _) in expected.items():
        message = found[str(name(start))]
        assert message["model"] == name(model), name(start)
        agree({key: message[key] for key in figures}, figures)


def agree(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same names with the same numbers, to 1e-9; null where None is expected."""
    found, expected = flat(found), flat(expected)
    numbers = {key: value for key, value in expected.items() if value is not None}
    assert {key for key, value in found.items() if value is None} == expected.keys() - numbers
    assert {key: found[key] for key in numbers} == pytest.approx(numbers, rel=1e-9, abs=1e-9)


def flat(figures: dict[str, Any], before: str = "") -> dict[str, float | None]:
    """Figures in figures by their whole names: ``drift.prediction.psi``."""
    plain: dict[str, float | None] = {}
    for name, value in figures.items():
        inside = flat(value, f"{before}{name}.") if isinstance(value, dict) else None
        plain |= {before + name: value} if inside is None else inside
    return plain


def check_predictions(folder: Path, expected: dict[int, Report], stream: Stream) -> None:
    """Every row's prediction is that of the oracle."""
    for start, (model, _, rows) in expected.items():
        found = read_predictions(folder, str(name(start)))
        assert found["id"].tolist() == rows.index.tolist()
        assert found["time"].tolist() == rows[stream.time].tolist()
        np.testing.assert_array_equal(found["target"], rows[stream.target])
        np.testing.assert_allclose(found["prediction"], rows["prediction"], 1e-9, 1e-9)
        assert set(found["model"].fillna("")) == {name(model) or ""}
        assert not found["late"].any()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return streams.make_stream(windows=300, rows_a_window=40)


@pytest.fixture(scope="module")
def expected(rows: pd.DataFrame) -> dict[int, Report]:
    return replay(rows, streams.MADE, MINUTE, Ridge)


def test_the_made_stream_has_all_that_is_awkward(
    rows: pd.DataFrame, expected: dict[int, Report]
) -> None:
    starts = sorted(expected)
    gaps = {int(gap) // 60 - 1 for gap in np.diff(starts) if gap > 60}
    assert gaps == {1, 3}
    assert len(expected) > 290
    assert any(report.figures["scored"] == 0 for report in expected.values())
    assert any(report.figures["unlabelled"] == len(report.rows) for report in expected.values())
    assert rows[["x", "y", "kind"]].isna().any().all()
    assert not rows["at"].is_monotonic_increasing
    assert rows["at"].duplicated().any()


@pytest.mark.parametrize(
    ("pieces", "group", "batch_rows", "shards"),
    [
        (3, 331, 100, 3),
        pytest.param(1, 1_000, 10_000, 4, marks=pytest.mark.slow),
        pytest.param(1, 12_000, 100, 1, marks=pytest.mark.slow),
        pytest.param(5, 97, 10_000, 3, marks=pytest.mark.slow),
        pytest.param(2, 5_000, 7, 1, marks=pytest.mark.slow),
        pytest.param(2, 5_000, 7, 3, marks=pytest.mark.slow),
    ],
)
def test_ridge_over_300_windows_has_the_figures_of_a_plain_loop_whatever_the_chunks(
    rows: pd.DataFrame,
    expected: dict[int, Report],
    tmp_path: Path,
    pieces: int,
    group: int,
    batch_rows: int,
    shards: int,
) -> None:
    source = streams.parquet_files(rows, tmp_path / "in", pieces, group)
    options = ["--batch-rows", str(batch_rows), "--shards", str(shards), "--predictions", "none"]
    check(run(tmp_path / "out", source, streams.MADE, *options), expected)


def test_every_row_and_every_manifest_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    rows = streams.make_stream(windows=60, rows_a_window=60, seed=3)
    source = streams.parquet_files(rows, tmp_path / "in")
    folder = run(tmp_path / "out", source, streams.MADE, "--keep", "0")
    expected = replay(rows, streams.MADE, MINUTE, Ridge)
    check(folder, expected)
    check_predictions(folder, expected, streams.MADE)
    models = fit_windows(rows, streams.MADE, MINUTE, Ridge)
    written = {path.parent.name: path for path in folder.glob("models/*/manifest.json")}
    assert sorted(written) == sorted(str(name(end)) for end in models)
    for end, model in models.items():
        body = json.loads(written[str(name(end))].read_bytes())
        prediction = model.predict(model.rows)
        varies = len(model.target) > 1
        assert body["rows"] == len(model.rows)
        training = {
            "mae": mean_absolute_error(model.target, prediction),
            "rmse": root_mean_squared_error(model.target, prediction),
            "r2": r2_score(model.target, prediction) if varies else None,
        }
        agree(body["training"], training)
        for column in ("y", "x", "level", "flat"):
            agree(body["statistics"][column], describe(model.rows[column]))
        counts = model.rows["kind"].value_counts()
        assert body["statistics"]["kind"]["values"] == counts.to_dict()


def describe(values: pd.Series) -> dict[str, float | None]:
    """A column's statistics as a manifest has them."""
    count = int(values.count())
    numbers = {
        "mean": values.mean(),
        "variance": values.var(ddof=0),
        "min": values.min(),
        "max": values.max(),
    }
    known = {key: value if count else None for key, value in numbers.items()}
    return {"count": count, "nulls": int(values.isna().sum()), **known}


@pytest.mark.parametrize(
    ("cadence", "options"),
    [
        (Cadence(180, 60), ["--window", "3m", "--every", "1m"]),
        (Cadence(60, 60, lag=2), ["--lag", "2"]),
        (Cadence(120, 40, lag=3), ["--window", "120", "--every", "40", "--lag", "3"]),
        (Cadence(60, 60), ["--latency", "7500ms"]),
    ],
    ids=["sliding", "lag", "sliding and lag", "latency"],
)
def test_windows_lag_and_latency_have_the_figures_of_a_plain_loop(
    rows: pd.DataFrame, tmp_path: Path, cadence: Cadence, options: list[str]
) -> None:
    few = rows.iloc[:1_000]
    source = streams.parquet_files(few, tmp_path / "in", pieces=2, group=300)
    folder = run(tmp_path / "out", source, streams.MADE, "--batch-rows", "100", *options)
    expected = replay(few, streams.MADE, cadence, Ridge)
    check(folder, expected)
    check_predictions(folder, expected, streams.MADE)
    newest = max(path.name for path in (folder / "models").iterdir())
    assert newest == name(max(expected) + cadence.every)  # none of windows that the end cuts off


@pytest.mark.parametrize(
    ("learner", "regressor", "windows"), [("forest", forest, 20), ("boosting", boosting, 5)]
)
def test_trees_have_the_figures_of_a_plain_loop(
    tmp_path: Path, learner: str, regressor: Callable[[], Any], windows: int
) -> None:
    rows = streams.make_stream(windows, rows_a_window=200, seed=1)
    source = streams.parquet_files(rows, tmp_path / "in")
    folder = run(tmp_path / "out", source, streams.MADE, "--batch-rows", "70", learner=learner)
    expected = replay(rows, streams.MADE, MINUTE, regressor)
    check(folder, expected)
    check_predictions(folder, expected, streams.MADE)


def test_of_many_categories_the_64_most_frequent_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = streams.make_stream(windows=10, rows_a_window=500, seed=2)
    places = rng.geometric(0.03, len(rows))
    rows = rows.assign(place=[f"p{place}" for place in places], y=rows["y"] + places % 7)
    assert rows["place"].nunique() > 100
    source = streams.parquet_files(rows, tmp_path / "in")
    expected = replay(rows, streams.MADE, MINUTE, Ridge)
    check(run(tmp_path / "out", source, streams.MADE, "--batch-rows", "100"), expected)


def test_csv_ndjson_and_parquet_of_the_same_rows_have_the_same_figures(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    few = rows.iloc[:1_000]
    expected = replay(few, streams.MADE, MINUTE, Ridge)
    sources = [
        streams.text_file(few, tmp_path / "in.csv"),
        streams.text_file(few, tmp_path / "in.ndjson"),
        streams.parquet_files(few, tmp_path / "in"),
    ]
    for number, source in enumerate(sources):
        folder = run(tmp_path / f"out{number}", source, streams.MADE)
        check(folder, expected)
        check_predictions(folder, expected, streams.MADE)


def test_the_patients_that_scikit_learn_bundles_have_the_figures_of_a_plain_loop(
    tmp_path: Path,
) -> None:
    rows = streams.diabetes()
    source = streams.parquet_files(rows, tmp_path / "in", pieces=2, group=70)
    folder = run(tmp_path / "out", source, streams.DIABETES, "--window", "12h", "--every", "3h")
    expected = replay(rows, streams.DIABETES, Cadence(12 * 3600, 3 * 3600), Ridge)
    assert len(expected) == 25
    check(folder, expected)
    check_predictions(folder, expected, streams.DIABETES)


@pytest.mark.slow
def test_a_year_of_flights_has_the_figures_of_a_plain_loop(tmp_path: Path) -> None:
    path = tmp_path / "flights.parquet"
    flights.write(path)
    rows = pd.read_parquet(path)
    stream = Stream(
        "scheduled",
        "arr_delay",
        ("distance", "hour", "temp", "wind_speed"),
        ("carrier", "origin"),
    )
    options = ["--window", "1d", "--predictions", "none", "--gate", "none"]
    folder = run(tmp_path / "out", str(path), stream, *options)
    expected = replay(rows, stream, Cadence(86_400, 86_400), Ridge)
    assert len(expected) == 366
    assert sum(report.figures["rows"] or 0 for report in expected.values()) == 336_776
    check(folder, expected)


class Shuffled(beam.PTransform[Any, Any]):
    """A file's raw batches in a random order, each with its stamp."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        super().__init__()
        self.batches = batches

    def expand(self, root: Any) -> Any:
        return (
            root
            | beam.Create(self.batches, reshuffle=False)
            | beam.Map(stamp).with_output_types(pa.RecordBatch)
        )


def stamp(batch: pa.RecordBatch) -> Any:
    """A batch with its stamp."""
    return TimestampedValue(batch, beam_time(tag_of(batch).at))


def run_shuffled(options: list[str], seed: int) -> Path:
    """Runs the job on its files' batches in a random order; gives the run's folder."""
    settings, _ = parse(options)
    folder = find_folder(settings)
    Path(folder.path).mkdir()
    open_folder(folder, settings)
    planned = plan(str(settings.input), settings.row_schema)
    reader = FileReader(
        planned, None, settings.row_schema, settings.cadence.latency, settings.cut_rows
    )
    plans = FileWork(planned, Extent())
    items = [plans.get(number) for number in range(len(plans.chunks))]
    batches = [batch for item in items if item for batch in reader(item)]
    random.Random(seed).shuffle(batches)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        build(pipeline, Shuffled(batches), settings, folder)
    return Path(folder.path)


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a run that are the same for the same settings."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and place.parts[0] not in ("timing", "status.json"):
            yield str(place), path.read_bytes()


@pytest.mark.parametrize("learner", ["ridge", "forest"])
def test_batches_in_another_order_give_the_same_bytes(
    rows: pd.DataFrame, tmp_path: Path, learner: str
) -> None:
    source = streams.parquet_files(rows.iloc[:800], tmp_path / "in", pieces=2, group=250)
    parameter = {"ridge": "alpha=2", "forest": "n_estimators=10"}[learner]
    options = ["--batch-rows", "40", "--learner-param", parameter, "--latest", "2030-01-01"]
    folder = run(tmp_path / "out", source, streams.MADE, "--keep", "0", *options, learner=learner)
    first = dict(contents(folder))
    files = {"settings.json": first["settings.json"]}  # with the files that were read
    assert {place.split("/")[0] for place in first} >= {"models", "metrics", "predictions"}
    schema = str(folder.with_suffix(".toml"))
    argv = ["--input", source, "--schema", schema, "--learner", learner, "--keep", "0", *options]
    argv += ["--min-rows", "1"]
    for seed in (1, 2):
        again = run_shuffled([*argv, "--output", str(tmp_path / f"again{seed}")], seed)
        assert {**dict(contents(again)), **files} == first
