"""Labels that come later, beside the oracle: every report, cohort, answer and model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from sklearn.linear_model import Ridge

from model.people import People
from pipeline import backtest, run_on
from pipeline.__main__ import main
from pipeline.arguments import parse
from pipeline.folder import find_folder, open_folder
from pipeline.graph import build
from pipeline.inputs import files_setting
from pipeline.source import file_source
from tests.end_to_end import streams
from tests.end_to_end.label_oracle import Expected, Labels, replay_labels
from tests.end_to_end.oracle import Cadence, Stream
from tests.end_to_end.test_oracle import agree, contents, forest, name
from transforms.sources.planner import Drain

pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),  # a mean of nulls alone
    pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning"),  # pyarrow asks pandas
]
SLOW = pytest.mark.slow
WAIT = Labels("known", 240)
MINUTE = Cadence(60, 60)
BY_KIND = '[baseline]\nby = ["kind"]\n'
EPOCH = streams.EPOCH
NEXT = EPOCH + pd.Timedelta("13m")
"""Behind the last label of the first nine minutes."""


def delayed(rows: pd.DataFrame, most: float = 300, seed: int = 0) -> pd.DataFrame:
    """The rows with labels that are known up to ``most`` seconds later; some at once."""
    rng = np.random.default_rng(seed)
    delay = np.round(rng.uniform(0, most, len(rows)), 3) * (rng.random(len(rows)) > 0.1)
    known = (rows["at"] + pd.to_timedelta(delay, unit="s")).where(rows["y"].notna())
    return rows.assign(known=known.astype(rows["at"].dtype))


def schema_of(stream: Stream, path: Path, labels: Labels = WAIT) -> Path:
    """Writes the schema of a stream whose labels come later."""
    text = streams.schema_file(stream, path).read_text(encoding="utf-8")
    keys = f'label_time = "{labels.column}"\nwait = "{labels.wait}s"\n'
    path.write_text(keys + text, encoding="utf-8")
    return path


def run(folder: Path, source: str, *options: str, learner: str = "ridge", more: str = "") -> Path:
    """Runs the job on files of the made stream; gives the run's folder."""
    schema = schema_of(streams.MADE, folder.with_suffix(".toml"))
    schema.write_text(schema.read_text(encoding="utf-8") + more, encoding="utf-8")
    argv = ["--input", source, "--schema", str(schema), "--output", str(folder)]
    assert main([*argv, "--min-rows", "1", "--learner", learner, *options]) == 0
    return folder


def read_json(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_bytes()) for path in folder.glob(f"{part}/*.json")}


def check(folder: Path, expected: Expected) -> None:
    """Reports, cohorts and models are those of the oracle, and there are no others."""
    for part, wanted in (("metrics", expected.reports), ("cohorts", expected.cohorts)):
        found = read_json(folder, part)
        assert sorted(found) == sorted(str(name(start)) for start in wanted), part
        for start, figures in wanted.items():
            mine = found[str(name(start))]
            assert mine["model"] == name(figures["model"]), (part, name(start))
            numbers = {key: value for key, value in figures.items() if key != "model"}
            agree({key: mine[key] for key in numbers}, numbers)
    check_last(folder, expected)
    check_models(folder, expected)
    check_totals(folder, expected)


def check_last(folder: Path, expected: Expected) -> None:
    """The baseline ``last`` is that of pandas, to the twelfth digit."""
    found = read_json(folder, "metrics")
    for start, figures in expected.reports.items():
        wanted = figures["baselines"]["last"]
        last = found[str(name(start))]["baselines"]["last"]
        assert last == (None if wanted is None else pytest.approx(wanted, rel=1e-12))
    assert any(figures["baselines"]["last"] for figures in expected.reports.values())


def check_models(folder: Path, expected: Expected) -> None:
    """Each manifest has the rows and label times of the oracle's window."""
    for name_of, manifest in read_manifests(folder).items():
        end = int(pd.Timestamp(name_of).timestamp())
        rows = expected.models[end].rows
        delays = (rows["known"] - rows["asked"]) / 1e6
        assert manifest["rows"] == len(rows)
        newest = pd.Timestamp(manifest["newest_label_time"])
        assert newest < pd.Timestamp(manifest["window_end"])
        assert newest.value // 1000 == rows["known"].max()
        found = manifest["label_delay"]
        assert found["max"] == pytest.approx(delays.max(), abs=1e-6)
        for share in (50, 90):
            exact = np.percentile(delays, share, method="inverted_cdf")
            assert exact - 1e-6 <= found[f"p{share}"] <= exact * (1 + 1 / 64) + 1e-6


def read_manifests(folder: Path) -> dict[str, dict[str, Any]]:
    paths = folder.glob("models/*/manifest.json")
    return {path.parent.name: json.loads(path.read_bytes()) for path in paths}


def check_totals(folder: Path, expected: Expected) -> None:
    """All questions are answered, expired or open at the end."""
    ended = json.loads((folder / "ended.json").read_bytes())
    cohorts = expected.cohorts.values()
    for key in ("answered", "expired", "open"):
        assert ended[key] == sum(cohort[key] for cohort in cohorts)
    assert ended["questions"] == sum(cohort["rows"] for cohort in cohorts)


def check_rows(folder: Path, expected: Expected, rows: pd.DataFrame) -> None:
    """Answers are those of the oracle, and predictions show no target that was not known."""
    paths = sorted(folder.glob("outcomes/*/*.parquet"))
    refresh = {path: pd.Timestamp(path.parent.name) for path in paths}
    found = pd.concat([pd.read_parquet(path).assign(refresh=refresh[path]) for path in paths])
    found = found.set_index("id").sort_index()
    wanted = expected.answered.sort_index()
    assert found.index.tolist() == wanted.index.tolist()
    assert found["time"].tolist() == wanted["at"].tolist()
    assert found["label_time"].tolist() == wanted["known"].map(to_time).tolist()
    assert found["refresh"].tolist() == wanted["event"].map(lambda at: to_time(at * 1e6)).tolist()
    np.testing.assert_array_equal(found["target"], wanted["y"])
    np.testing.assert_allclose(found["prediction"], wanted["prediction"], 1e-9, 1e-9)
    predicted = pd.concat(map(pd.read_parquet, folder.glob("predictions/*/*.parquet")))
    predicted = predicted.set_index("id").sort_index()
    at_once = rows["known"] == rows["at"]
    np.testing.assert_array_equal(
        predicted["target"], rows["y"].where(at_once).loc[predicted.index]
    )


def to_time(micros: float) -> pd.Timestamp:
    return pd.Timestamp(int(micros), unit="us", tz="UTC")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return delayed(streams.make_stream(windows=25, rows_a_window=40))


def test_the_stream_has_all_that_is_awkward(rows: pd.DataFrame) -> None:
    delay = (rows["known"] - rows["at"]) / pd.Timedelta("1s")
    assert delay.isna().any() and (delay > 240).any() and (delay == 0).any()
    expected = replay_labels(rows, streams.MADE, WAIT, MINUTE, Ridge)
    reports = expected.reports.values()
    assert any(report["rows"] == 0 and report["answered"] for report in reports)
    assert any(report["label_late"] for report in reports)


@pytest.mark.parametrize(
    ("cadence", "options"),
    [
        (MINUTE, []),
        (Cadence(180, 60), ["--window", "3m", "--every", "1m"]),
        (Cadence(60, 60, lag=2), ["--lag", "2"]),
        (Cadence(120, 40, lag=3), ["--window", "120", "--every", "40", "--lag", "3"]),
        (MINUTE, ["--latency", "20s"]),
    ],
    ids=["minutes", "sliding", "lag", "sliding and lag", "latency and entities"],
)
def test_every_figure_is_that_of_a_loop_over_both_clocks(
    rows: pd.DataFrame, tmp_path: Path, cadence: Cadence, options: list[str]
) -> None:
    source = streams.parquet_files(rows, tmp_path / "in", pieces=3, group=97)
    latency, by, more = None, None, ""
    if "--latency" in options:
        latency, by, more = 20, "kind", BY_KIND
    options = ["--batch-rows", "50", "--keep", "0", *options]
    folder = run(tmp_path / "out", source, *options, more=more)
    expected = replay_labels(rows, streams.MADE, WAIT, cadence, Ridge, latency=latency, by=by)
    check(folder, expected)
    check_rows(folder, expected, rows)
    assert sorted(read_manifests(folder)) == sorted(str(name(end)) for end in expected.models)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_text_has_the_figures_of_a_loop_over_both_clocks(
    rows: pd.DataFrame, tmp_path: Path, form: str
) -> None:
    times = rows["known"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").astype(object)
    text = rows.assign(known=times.where(rows["known"].notna(), None))
    source = streams.text_file(text, tmp_path / f"in.{form}")
    folder = run(tmp_path / "out", source, "--keep", "0")
    expected = replay_labels(rows, streams.MADE, WAIT, MINUTE, Ridge)
    check(folder, expected)
    check_rows(folder, expected, rows)


@pytest.mark.parametrize(
    ("learner", "regressor", "cadence"),
    [("ridge", Ridge, Cadence(180, 60, lag=2)), ("forest", forest, MINUTE)],
    ids=["ridge, sliding, lag 2", "forest"],
)
def test_a_backtest_has_the_figures_of_a_loop_over_both_clocks(
    learner: str, regressor: Any, cadence: Cadence
) -> None:
    rows = delayed(streams.make_stream(windows=9, rows_a_window=120, seed=7))
    options: Any = {"window": cadence.window, "every": cadence.every, "lag": cadence.lag}
    found = backtest(rows, made_schema(), learner=learner, min_rows=1, keep=0, **options)
    expected = replay_labels(rows, streams.MADE, WAIT, cadence, regressor)
    for mine, wanted in ((found.metrics, expected.reports), (found.cohorts, expected.cohorts)):
        shown = [each.model_dump(mode="json") for each in mine]
        by_start = {int(pd.Timestamp(one["refresh_start"]).timestamp()): one for one in shown}
        assert list(by_start) == sorted(wanted)
        for start, figures in wanted.items():
            assert by_start[start]["model"] == name(figures.pop("model"))
            agree({key: by_start[start][key] for key in figures}, figures)
    assert list(found.models) == [name(end) for end in sorted(expected.models)]


def test_a_forest_has_the_figures_of_a_loop_over_both_clocks(tmp_path: Path) -> None:
    rows = delayed(streams.make_stream(windows=8, rows_a_window=150, seed=1))
    source = streams.parquet_files(rows, tmp_path / "in", pieces=2)
    folder = run(tmp_path / "out", source, "--batch-rows", "70", learner="forest")
    check(folder, replay_labels(rows, streams.MADE, WAIT, MINUTE, forest))


def test_windows_end_both_clocks(rows: pd.DataFrame, tmp_path: Path) -> None:
    source = streams.parquet_files(rows, tmp_path / "in", pieces=2)
    folder = run(tmp_path / "out", source, "--refreshes", "9", "--keep", "0")
    first = int(rows["at"].min().timestamp()) // 60 * 60
    expected = replay_labels(rows, streams.MADE, WAIT, MINUTE, Ridge, end=first + 9 * 60)
    assert any(not cohort["final"] and cohort["open"] for cohort in expected.cohorts.values())
    check(folder, expected)
    until = json.loads((folder / "until.json").read_bytes())
    assert pd.Timestamp(until["until"]).timestamp() == first + 9 * 60
    check_rows(folder, expected, rows)


@pytest.mark.parametrize("learner", ["ridge", "forest"])
def test_labels_that_are_known_at_once_change_no_digit(tmp_path: Path, learner: str) -> None:
    rows = streams.make_stream(windows=8, rows_a_window=60, seed=4)
    rows = rows.assign(known=rows["at"].where(rows["y"].notna()))
    source = streams.parquet_files(rows, tmp_path / "in", pieces=2, group=97)
    plain = tmp_path / "plain"
    schema = streams.schema_file(streams.MADE, tmp_path / "plain.toml")
    argv = ["--input", source, "--schema", str(schema), "--output", str(plain)]
    options = ["--batch-rows", "70", "--keep", "0"]
    assert main([*argv, "--min-rows", "1", "--learner", learner, *options]) == 0
    later = run(tmp_path / "later", source, *options, learner=learner)
    before, after = read_json(plain, "metrics"), read_json(later, "metrics")
    for refresh, report in before.items():
        # The last value is the row before it here, and the newest label that is known there.
        for each in (report, after[refresh]):
            each["baselines"].pop("last")
            each.pop("baseline_rows")
        for key in ("files", "best_baseline", "skill_best"):
            del report[key]
        assert report.items() <= after[refresh].items()
    for window, manifest in read_manifests(plain).items():
        mine = read_manifests(later)[window]
        for key in ("rows", "statistics", "training", "profile", "features"):
            assert mine[key] == manifest[key]
    for path in plain.glob("predictions/*/*.parquet"):
        mine = pd.read_parquet(later / path.relative_to(plain)).drop(columns="baseline")
        pd.testing.assert_frame_equal(mine, pd.read_parquet(path), check_exact=True)


def test_the_settings_of_a_run_without_labels_times_have_no_trace_of_them(tmp_path: Path) -> None:
    rows = streams.make_stream(windows=3, rows_a_window=30)
    source = streams.parquet_files(rows, tmp_path / "in")
    schema = streams.schema_file(streams.MADE, tmp_path / "s.toml")
    argv = ["--input", source, "--schema", str(schema), "--output", str(tmp_path / "out")]
    assert main([*argv, "--learner", "ridge", "--min-rows", "1"]) == 0
    for path, data in contents(tmp_path / "out"):
        assert not path.startswith(("outcomes", "cohorts", "until"))
        for word in (b"label_time", b"label_delay", b"answered", b"label_late"):
            assert word not in data, path


def take_back(folder: Path, number: int, models: bool) -> None:
    """Takes back all that a run wrote from a refresh on, as a run that was killed there."""
    names = sorted(path.stem for path in folder.glob("metrics/*.json"))
    first = names[number]
    for part in ("metrics", "sample", "predictions", "outcomes", "alerts"):
        for path in folder.glob(f"{part}/*"):
            if path.name.split(".")[0] >= first:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.glob("cohorts/*.json"):  # final a wait later
        if pd.Timestamp(path.stem) + pd.Timedelta("5m") >= pd.Timestamp(first):
            path.unlink()
    for path in folder.glob("models/*") if models else ():
        if path.name > first:
            shutil.rmtree(path)
    for path in (folder / "ended.json", folder / "until.json"):
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("models", [True, False], ids=["without models", "with models"])
@pytest.mark.parametrize(
    "number", [1, pytest.param(9, marks=SLOW), 24, pytest.param(27, marks=SLOW)]
)
@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param(("--lag", "2", "--window", "2m", "--every", "1m"), marks=SLOW),
        pytest.param(("--latency", "20s", "--shards", "2"), marks=SLOW),
    ],
    ids=["minutes", "lag and sliding", "latency"],
)
def test_a_run_that_is_resumed_has_the_bytes_of_one_that_was_not(
    rows: pd.DataFrame, tmp_path: Path, options: tuple[str, ...], number: int, models: bool
) -> None:
    source = streams.parquet_files(rows, tmp_path / "in", pieces=3, group=97)
    options = ("--batch-rows", "30", "--keep", "3", "--latest", "2030-01-01", *options)
    folder = run(tmp_path / "out", source, *options)
    before = dict(contents(folder))
    take_back(folder, number, models)
    made = {path.stat().st_mtime_ns: path for path in folder.glob("predictions/*/*")}
    run(folder, source, *options, "--resume")
    assert dict(contents(folder)) == before
    assert all(path.stat().st_mtime_ns == at for at, path in made.items())  # never made again


LEFT: dict[str, int] = {}
"""After how many looks each is asked."""


class DrainAfter(Drain):
    """Asks a source to end after some looks, whose number is the end of its path."""

    def is_requested(self, now: float) -> bool:
        LEFT.setdefault(self.path, int(self.path.rpartition(":")[2]))  # in a copy of this, too
        LEFT[self.path] -= 1
        return LEFT[self.path] < 0


def drained(folder: Path, source: str, items: int, *options: str) -> Path:
    """Runs the job on files until it is drained."""
    schema = schema_of(streams.MADE, folder.with_suffix(".toml"))
    argv = ["--input", source, "--schema", str(schema), "--output", str(folder)]
    settings, _ = parse([*argv, "--min-rows", "1", "--learner", "ridge", *options])
    place = find_folder(settings)
    folder.mkdir()
    made, span = file_source(settings, place, print)
    open_folder(place, settings, files_setting(made))
    made.drain = DrainAfter(f"{folder}:{items}", 60 * 1_000_000)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        build(pipeline, made, settings, place, span)
    return folder


@pytest.mark.parametrize("items", [pytest.param(1, marks=SLOW), 4, pytest.param(7, marks=SLOW)])
def test_a_drain_ends_both_clocks_and_the_run_goes_on_there(
    rows: pd.DataFrame, tmp_path: Path, items: int
) -> None:
    ordered = rows.sort_values("at", ignore_index=True)
    source = streams.parquet_files(ordered, tmp_path / "in", pieces=2, group=97)
    options = ("--batch-rows", "30", "--latest", "2030-01-01", "--keep", "0")
    whole = dict(contents(run(tmp_path / "whole", source, *options)))
    folder = drained(tmp_path / "parts", source, items, *options)
    until = pd.Timestamp(json.loads((folder / "until.json").read_bytes())["until"])
    end = int(until.timestamp())
    assert int(ordered["at"].min().timestamp()) < end < int(ordered["at"].max().timestamp())
    check(folder, replay_labels(ordered, streams.MADE, WAIT, MINUTE, Ridge, end=end))
    run(folder, source, *options, "--resume")
    parts = dict(contents(folder))
    assert parts.keys() == whole.keys()
    assert [path for path in whole if parts[path] != whole[path]] == []


def test_days_that_come_one_by_one_have_the_bytes_of_all_at_once(tmp_path: Path) -> None:
    rows = delayed(streams.make_stream(windows=25, rows_a_window=20, seed=6), most=200)
    ordered = rows.sort_values("at", ignore_index=True)
    early, late = ordered["at"] < EPOCH + pd.Timedelta("9m"), ordered["at"] >= NEXT
    options = ("--batch-rows", "30", "--latest", "2030-01-01", "--keep", "0")
    pattern = str(tmp_path / "in" / "*.parquet")
    streams.parquet_files(ordered[early], tmp_path / "in")
    folder = run(tmp_path / "parts", pattern, *options)
    days = tmp_path / "days"
    streams.parquet_files(ordered[late], days)
    (days / "000.parquet").rename(tmp_path / "in" / "001.parquet")
    run(folder, pattern, *options, "--resume")
    both = ordered[early | late].reset_index(drop=True)
    check(folder, replay_labels(both, streams.MADE, WAIT, MINUTE, Ridge))
    whole = dict(contents(run(tmp_path / "whole", pattern, *options)))
    parts = dict(contents(folder))
    assert [path for path in whole if parts[path] != whole[path]] == []


def as_dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a source of one's own gives them, in no order."""
    shuffled = rows.sample(frac=1, random_state=2).astype(object)
    records = shuffled.where(shuffled.notna(), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]


def made_schema() -> dict[str, Any]:
    """The schema of the made stream, as Python has it."""
    made = streams.MADE
    names = {"time": made.time, "target": made.target, "label_time": WAIT.column}
    features = {"numeric": list(made.numeric), "categorical": list(made.categorical)}
    return {"name": "made", **names, "wait": WAIT.wait, "features": features}


def test_a_source_of_ones_own_ends_both_clocks_where_its_greatest_time_is(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    given: Any = {"window": "2m", "every": "1m", "lag": 2, "learner": "ridge", "min_rows": 1}
    given |= {"latest": "2030-01-01", "keep": 0, "batch_rows": 50}
    folder = tmp_path / "run"
    run_on(beam.Create(as_dicts(rows)), made_schema(), folder, **given)
    cadence = Cadence(120, 60, lag=2)
    check(folder, replay_labels(rows, streams.MADE, WAIT, cadence, Ridge))
    before = dict(contents(folder))
    assert "until.json" in before
    take_back(folder, 9, models=True)
    run_on(beam.Create(as_dicts(rows)), made_schema(), folder, resume=True, **given)
    assert dict(contents(folder)) == before


def people_frame(settings: Any) -> pd.DataFrame:
    """The people of a run until its end, with when their salaries are known."""
    start = int(pd.Timestamp(settings.start).value // 1000)
    people = People(settings.people, settings.seed, settings.rate, start, 0, settings.answer_delay)
    stop = people.index_at(start + settings.refresh_count * 60 * 1_000_000)
    frame = people.rows(0, stop).to_pandas().set_index("__id")
    frame[["estado", "cargo"]] = frame[["estado", "cargo"]].astype(object)  # of known values alone
    return frame.rename(columns={"timestamp": "at", "salario": "y", "respondido": "known"})


PEOPLE = Stream("at", "y", ("idade", "idh"), ("estado", "cargo"))


@pytest.mark.parametrize(
    ("learner", "regressor", "cadence"),
    [
        ("ridge", Ridge, MINUTE),
        ("forest", forest, Cadence(120, 60, lag=2)),
        pytest.param(*("ridge", Ridge, Cadence(180, 60, lag=2)), marks=SLOW),
        pytest.param(*("forest", forest, MINUTE), marks=SLOW),
        pytest.param(*("forest", forest, Cadence(180, 60)), marks=SLOW),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_people_whose_salaries_are_known_up_to_five_windows_later_have_the_figures_of_a_loop(
    tmp_path: Path, learner: str, regressor: Any, cadence: Cadence
) -> None:
    folder = tmp_path / "out"
    options = ["--people-delay", "0..5m", "--rate", "2", "--refreshes", "9", "--keep", "0"]
    options += ["--start", "2026-03-01T00:00:00Z", "--learner", learner, "--min-rows", "1"]
    options += ["--window", f"{cadence.window}s", "--every", "1m", "--lag", str(cadence.lag)]
    assert main([*options, "--output", str(folder)]) == 0
    rows = people_frame(parse(options)[0])
    assert 0.005 < rows["y"].isna().mean() < 0.04 and rows["known"].isna().equals(rows["y"].isna())
    delay = (rows["known"] - rows["at"]) / pd.Timedelta("1m")
    assert delay.min() < 0.1 and delay.max() > 4.8
    end = int(pd.Timestamp("2026-03-01T00:09:00Z").timestamp())
    labels = Labels("known", 300)
    check(folder, replay_labels(rows, PEOPLE, labels, cadence, regressor, end=end))
    settings = json.loads((folder / "settings.json").read_bytes())
    assert settings["people_delay"] == "0s..300s"
    assert (settings["schema"]["label_time"], settings["schema"]["wait"]) == ("respondido", 300)


def test_late_people_are_scored_and_answered_and_never_learnt_from(tmp_path: Path) -> None:
    folder, again = tmp_path / "out", tmp_path / "again"
    options = ["--people-delay", "10..90", "--rate", "5", "--refreshes", "6", "--keep", "0"]
    options += ["--disorder", "20s", "--learner", "ridge", "--min-rows", "1"]
    options += ["--start", "2026-03-01T00:00:00Z", "--batch-rows", "70"]
    assert main([*options, "--output", str(folder)]) == 0
    reports = read_json(folder, "metrics").values()
    ended = json.loads((folder / "ended.json").read_bytes())
    late = sum(report["late"] for report in reports)
    assert late > 10
    assert ended["questions"] == sum(report["rows"] for report in reports)
    answers = pd.concat(map(pd.read_parquet, folder.glob("outcomes/*/*.parquet")))
    assert ended["answered"] == len(answers) == sum(report["answered"] for report in reports)
    predictions = pd.concat(map(pd.read_parquet, folder.glob("predictions/*/*.parquet")))
    tardy = set(predictions["id"][predictions["late"]])
    answered_late = len(tardy & set(answers["id"]))
    assert answered_late
    trained = sum(manifest["rows"] for manifest in read_manifests(folder).values())
    assert trained == len(answers) - answered_late
    shutil.copytree(folder, again)
    take_back(again, 3, models=True)
    assert main([*options, "--output", str(again), "--resume"]) == 0
    assert dict(contents(again)) == dict(contents(folder))
