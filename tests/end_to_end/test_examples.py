"""The examples run, and the docs show them as they are."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest

from examples import answers, circle, flights, own_source, predict
from model.people import People
from model.schema import load_schema
from pipeline.__main__ import main
from tests.kit.job import run_on

ROOT = Path(__file__).parents[2]
DOCS = "".join(page.read_text(encoding="utf-8") for page in sorted(ROOT.glob("docs/*.md")))


def test_a_source_of_ones_own_is_reported_refresh_by_refresh(tmp_path: Path) -> None:
    reports = own_source.run(str(tmp_path / "run"))
    assert [report.rows for report in reports] == [60] * 6
    assert [report.scored for report in reports] == [0, 60, 60, 60, 60, 60]
    assert all(report.skill is not None and report.skill > 0.9 for report in reports[1:])


def test_the_newest_model_predicts_what_people_earn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["--refreshes", "2", "--rate", "50", "--learner", "ridge", "--output", run]) == 0
    capsys.readouterr()
    predict.main(run)
    young, old = map(float, re.findall(r"[\d.]+", capsys.readouterr().out))
    assert 500 < young < old < 20_000


def test_the_newest_model_of_any_run_predicts_rows_of_its_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z,{3 * n},{n}\n" for n in range(180)]
    schema = 'name = "s"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["x"]\n'
    run = run_on(tmp_path, "t,y,x\n" + "".join(rows), schema)
    capsys.readouterr()
    predict.main(str(run))
    found = [float(one) for one in re.findall(r"[\d.]+", capsys.readouterr().out)]
    assert len(found) == 5 and all(abs(y - 3 * x) < 20 for x, y in zip(range(120, 125), found))  # noqa: B905


def test_labels_apart_are_the_peoples_salaries_but_for_those_that_never_come(
    tmp_path: Path,
) -> None:
    answers.write(tmp_path, 2000)
    asked = pd.read_csv(tmp_path / "questions.csv", parse_dates=["timestamp"])
    labels = pd.read_csv(tmp_path / "labels.csv", parse_dates=["respondido"])
    assert labels["respondido"].is_monotonic_increasing and "salario" not in asked
    start = int(pd.Timestamp(answers.START).timestamp()) * 1_000_000
    people = People("learnable", 42, answers.RATE, start).rows(0, 2000).to_pandas()
    assert asked["idade"].tolist() == people["idade"].tolist()
    first = labels.drop_duplicates("pessoa").merge(asked, on="pessoa")
    number = first["pessoa"].str[1:].astype(int)
    assert first["salario"].tolist() == people["salario"].loc[number].tolist()
    delay = (first["respondido"] - first["timestamp"]).dt.total_seconds()
    assert delay.max() <= 180 and set(delay[delay < 0]) == {-5.0}
    known = len(first)
    assert 0.96 < known / len(asked) < 0.99
    assert (delay < 0).sum() == pytest.approx(0.01 * known, abs=2)
    assert len(labels) - known == pytest.approx(0.02 * known, abs=2)


@pytest.mark.slow
def test_the_circle_learns_from_what_it_asked_and_labelled(tmp_path: Path) -> None:
    before, after = circle.go_round(tmp_path, 2)
    assert after < 0.8 * before
    ended = json.loads((tmp_path / "run/ended.json").read_bytes())
    assert ended["questions"] == ended["answered"] == circle.FEW + 2 * circle.MANY


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights as a CSV file."""
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    assert flights.main([str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def joined() -> pd.DataFrame:
    """The flights by pandas, in UTC by the zone's own rules, with the weather an hour before."""
    folder = flights.data_folder()
    rows = pd.read_csv(folder / "flights.csv.zip")
    hours = pd.to_datetime(rows[["year", "month", "day", "hour"]])
    utc = hours.dt.tz_localize("America/New_York").dt.tz_convert("UTC")
    rows["scheduled"] = utc + pd.to_timedelta(rows["minute"], "min")
    rows["flight"] = rows["carrier"] + rows["flight"].astype(str)
    rows["weekday"] = hours.dt.day_name().str[:3]
    rows["seen"] = utc - pd.Timedelta("1h")
    weather = pd.read_csv(folder / "weather.csv")
    weather["seen"] = pd.to_datetime(weather["time_hour"])
    rows = rows.merge(
        weather[["origin", "seen", *flights.WEATHER]], on=["origin", "seen"], how="left"
    )
    return rows.sort_values("scheduled", kind="stable", ignore_index=True)


def test_a_flight_has_its_scheduled_departure_in_utc_and_the_weather_of_the_hour_before(
    written: Path, joined: pd.DataFrame
) -> None:
    found = pd.read_csv(written, parse_dates=["scheduled"])
    expected = joined[found.columns].round(dict.fromkeys(flights.WEATHER, 2))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_the_flights_in_parquet_are_those_in_csv(written: Path, tmp_path: Path) -> None:
    flights.write(tmp_path / "flights.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "flights.parquet")
    text = pyarrow.csv.read_csv(written)
    assert table.cast(text.schema.set(0, table.schema.field(0))).equals(
        text.cast(text.schema.set(0, table.schema.field(0)))
    )


def test_nothing_that_is_known_after_the_scheduled_departure_is_a_feature() -> None:
    features = load_schema(str(ROOT / "examples/flights.toml")).features
    known_later = {"dep_time", "dep_delay", "arr_time", "air_time"}
    names = {*features.numeric, *features.categorical}
    assert names <= {*flights.COLUMNS, "weekday", *flights.WEATHER} - known_later


def test_another_ending_than_csv_or_parquet_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert flights.main(["flights.xlsx"]) == 2
    assert capsys.readouterr().err == "error: flights.xlsx: must end in .csv or .parquet\n"


@pytest.mark.slow
def test_the_flights_of_2013_are_forecast_a_little_better_than_by_their_mean(
    written: Path, tmp_path: Path
) -> None:
    run = str(tmp_path / "run")
    argv = ["--input", str(written), "--schema", str(ROOT / "examples/flights.toml")]
    argv += ["--output", run, "--learner", "ridge", "--window", "91d", "--every", "7d"]
    assert main(argv) == 0
    from model.runs import RunFolder

    reports = RunFolder(run).reports()
    assert sum(report.rows for report in reports) == 336_776
    full = [report for report in reports if report.skill is not None][13:]
    error = sum((report.mae or 0.0) * report.scored for report in full)
    baseline = sum((report.baseline_mae or 0.0) * report.scored for report in full)
    assert 0 < 1 - error / baseline < 0.15


@pytest.mark.parametrize("name", ["flights.toml", "test_own_step.py", "predict.py"])
def test_the_docs_show_the_examples_as_they_are(name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    shown = [block for block in re.findall(r"```\w+\n(.*?)```", DOCS, re.S) if block in text]
    assert shown, f"no code block of docs/ stands in examples/{name}"


@pytest.mark.parametrize("name", ["predict", "own_source", "circle"])
def test_an_example_without_its_argument_shows_how_it_is_called(name: str) -> None:
    command = [sys.executable, "-m", f"examples.{name}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"usage: python -m examples.{name} FOLDER")
