"""Labels as a stream of their own: the figures of the same labels in the rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pandas as pd
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from sklearn.linear_model import Ridge

from pipeline.__main__ import main
from pipeline.arguments import parse
from pipeline.folder import find_folder, open_folder
from pipeline.graph import build
from pipeline.inputs import files_setting
from pipeline.runners.prism import find_prism
from pipeline.source import file_source
from tests.end_to_end import streams
from tests.end_to_end.label_oracle import Expected, replay_labels
from tests.end_to_end.oracle import Cadence
from tests.end_to_end.test_labels import (
    BY_KIND,
    MINUTE,
    WAIT,
    DrainAfter,
    check_last,
    check_models,
    check_rows,
    check_totals,
    delayed,
    read_json,
    take_back,
)
from tests.end_to_end.test_oracle import agree, contents, name
from tests.kit.job import content, finish, process

pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),  # a mean of nulls alone
    pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning"),  # pyarrow asks pandas
]
LABELS = '[labels]\nid = "question"\ntarget = "truth"\ntime = "known"\n'
UNLIKE = ("model", "unlabelled", "label_late", "rejected")
"""Figures that are not compared by value, or in which a stream of labels differs."""

COMPARED = ("rows", "scored", "answered", "expired", "labelled", "open", "mae", "r2", "skill")


def write_schema(path: Path, more: str = "") -> Path:
    """Writes the schema of the made stream, whose labels are apart."""
    text = streams.schema_file(streams.MADE, path).read_text(encoding="utf-8")
    path.write_text(f'id = "k"\nwait = "{WAIT.wait}s"\n{text}\n{LABELS}{more}', encoding="utf-8")
    return path


def write_apart(rows: pd.DataFrame, folder: Path) -> tuple[str, str]:
    """Writes questions and labels into files of their own; gives the two globs."""
    folder.mkdir()
    asked = rows.drop(columns=["y", "known"]).assign(k=[f"row {n}" for n in range(len(rows))])
    labels = pd.DataFrame(
        {"question": asked["k"], "truth": rows["y"], "known": rows["known"]}
    ).dropna()
    labels = labels.sample(frac=1, random_state=1)
    questions = streams.parquet_files(asked, folder / "asked", pieces=3, group=97)
    labels.iloc[::2].to_parquet(folder / "labels-1.parquet", index=False)
    times = labels["known"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    labels.assign(known=times).iloc[1::2].to_csv(folder / "labels-2.csv", index=False)
    return questions, str(folder / "labels-*")


def arguments(folder: Path, sources: tuple[str, str], *options: str, more: str = "") -> list[str]:
    schema = write_schema(folder.with_suffix(".toml"), more)
    given = ["--input", sources[0], "--labels", sources[1], "--schema", str(schema)]
    return [*given, "--output", str(folder), "--min-rows", "1", "--learner", "ridge", *options]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return delayed(streams.make_stream(windows=14, rows_a_window=40))


def check_labels(folder: Path, rows: pd.DataFrame) -> None:
    """All labels that were known before the end count once; those are open that came too late in
    the last refresh, since a question might still come for them."""
    ended = json.loads((folder / "ended.json").read_bytes())
    until = pd.Timestamp(json.loads((folder / "until.json").read_bytes())["until"])
    known = rows["known"] < until
    too_late = rows["known"] > rows["at"] + pd.Timedelta(seconds=WAIT.wait)
    every = json.loads((folder / "settings.json").read_bytes())["every"]
    last = rows["known"] >= until - pd.Timedelta(seconds=every)
    assert ended["labels_read"] == int(known.sum())
    assert ended["labels_open"] == int((known & too_late & last).sum())
    others = ("duplicates", "conflicts", "orphans", "label_late", "labels_rejected", "labels_open")
    found = ended["answered"] - ended["missing"] + sum(ended[name] for name in others)
    assert found == ended["labels_read"]


def check(folder: Path, expected: Expected, rows: pd.DataFrame) -> None:
    """Reports, cohorts and models are those of the same labels in the rows."""
    for part, wanted in (("metrics", expected.reports), ("cohorts", expected.cohorts)):
        found = read_json(folder, part)
        assert {str(name(start)) for start in wanted} <= found.keys(), part
        for start, figures in wanted.items():
            mine = found.pop(str(name(start)))
            assert mine["model"] == name(figures["model"]), (part, name(start))
            numbers = {key: value for key, value in figures.items() if key not in UNLIKE}
            agree({key: mine[key] for key in numbers}, numbers)
        for report in found.values():  # labels came that answer nothing
            assert report["rows"] == report["answered"] == report["expired"] == 0
    check_last(folder, expected)
    check_models(folder, expected)
    check_totals(folder, expected)
    check_labels(folder, rows)


@pytest.mark.parametrize(
    ("cadence", "options"),
    [
        (MINUTE, []),
        pytest.param(
            Cadence(120, 40, lag=3),
            ["--window", "120", "--every", "40", "--lag", "3", "--shards", "3"],
            marks=pytest.mark.slow,
        ),
        (Cadence(60, 60), ["--latency", "20s", "--shards", "1"]),
    ],
    ids=["minutes", "sliding and lag", "latency and entities"],
)
def test_labels_apart_have_the_figures_of_labels_in_the_rows(
    rows: pd.DataFrame, tmp_path: Path, cadence: Cadence, options: list[str]
) -> None:
    sources = write_apart(rows, tmp_path / "in")
    folder = tmp_path / "out"
    latency, by, more = None, None, ""
    if "--latency" in options:
        latency, by, more = 20, "kind", BY_KIND
    options = ["--batch-rows", "50", "--keep", "0", *options]
    assert main(arguments(folder, sources, *options, more=more)) == 0
    expected = replay_labels(rows, streams.MADE, WAIT, cadence, Ridge, latency=latency, by=by)
    check(folder, expected, rows)
    check_rows(folder, expected, rows.assign(at=pd.NaT))  # no prediction shows a target
    assert not [*folder.glob("questions/*/*"), *folder.glob("labels/*/*")]


def test_further_labels_and_labels_of_no_question_are_counted_and_change_nothing(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    sources = write_apart(rows, tmp_path / "in")
    labels = pd.concat(
        [
            pd.read_csv(tmp_path / "in/labels-2.csv"),
            pd.read_parquet(tmp_path / "in/labels-1.parquet"),
        ]
    )
    known = pd.to_datetime(labels["known"], utc=True, format="mixed")
    fair = labels.assign(known=known + pd.Timedelta("1s"))[
        known < rows["at"].max() - pd.Timedelta("5m")
    ]
    again, other = fair.iloc[:30], fair.iloc[30:50].assign(truth=1e6)
    strange = fair.iloc[50:60].assign(question="nobody")
    none = fair.iloc[60:67].assign(truth=np.nan)
    more = pd.concat([again, other, strange, none])
    before, after = tmp_path / "before", tmp_path / "after"
    options = ("--latest", "2030-01-01")
    assert main(arguments(before, sources, *options)) == 0
    more.to_parquet(tmp_path / "in/labels-3.parquet", index=False)
    assert main(arguments(after, sources, *options)) == 0
    one, two = read_json(before, "metrics"), read_json(after, "metrics")
    counts = {
        key: sum(report[key] for report in two.values())
        for key in next(iter(two.values()))
        if key in ("duplicates", "conflicts", "orphans", "labels_rejected", "label_late")
    }
    late = sum(report["label_late"] for report in one.values())
    assert counts["duplicates"] + counts["conflicts"] + counts["label_late"] - late == 50
    assert counts["orphans"] == 10
    assert counts["labels_rejected"] == 7
    ended = json.loads((after / "ended.json").read_bytes())
    assert {key: ended[key] for key in counts} == counts
    alone = json.loads((before / "ended.json").read_bytes())
    assert ended["labels_read"] == alone["labels_read"] + len(more)
    assert ended["labels_open"] == alone["labels_open"]
    for refresh, report in one.items():
        for key in ("rows", "answered", "expired", "mae", "r2", "model"):
            assert two[refresh][key] == report[key]
    reasons = [
        json.loads(line)["reason"]
        for path in after.glob("rejected/*/labels-*.ndjson")
        for line in path.read_text().splitlines()
    ]
    assert set(reasons) == {"column 'truth' (the target): null: must be there"}
    assert read_json(before, "cohorts") == read_json(after, "cohorts")


def test_no_answer_makes_a_label_when_the_wait_is_over(rows: pd.DataFrame, tmp_path: Path) -> None:
    sources = write_apart(rows, tmp_path / "in")
    folder = tmp_path / "out"
    options = ("--batch-rows", "50", "--keep", "0")
    assert main(arguments(folder, sources, *options, more="missing = 3\n")) == 0
    wait = pd.Timedelta(seconds=WAIT.wait)
    over = rows["known"].isna() | (rows["known"] > rows["at"] + wait)
    until = pd.Timestamp(json.loads((folder / "until.json").read_bytes())["until"])
    filled = rows.assign(
        y=rows["y"].where(~over, 3.0), known=rows["known"].where(~over, rows["at"] + wait)
    )
    filled = filled.assign(known=filled["known"].where(filled["known"] < until))
    filled = filled.assign(y=filled["y"].where(filled["known"].notna()))
    end = int(until.timestamp())
    expected = replay_labels(filled, streams.MADE, WAIT, MINUTE, Ridge, end=end)
    check_missing(folder, expected)
    check_labels(folder, rows)
    reports = read_json(folder, "metrics").values()
    closed = rows["at"] + wait < until
    assert sum(report["missing"] for report in reports) == int((over & closed).sum())
    assert sum(report["expired"] for report in reports) == 0


def check_missing(folder: Path, expected: Expected) -> None:
    for start, figures in expected.reports.items():
        mine: dict[str, Any] = read_json(folder, "metrics")[str(name(start))]
        numbers = {key: value for key, value in figures.items() if key not in UNLIKE}
        agree({key: mine[key] for key in numbers}, numbers)
    check_models(folder, expected)


def test_people_whose_salaries_are_apart_have_the_figures_of_salaries_in_their_rows(
    tmp_path: Path,
) -> None:
    options = ["--people-delay", "0..5m", "--rate", "2", "--refreshes", "9", "--keep", "0"]
    options += ["--start", "2026-03-01T00:00:00Z", "--learner", "ridge", "--min-rows", "1"]
    rows, apart = tmp_path / "rows", tmp_path / "apart"
    assert main([*options, "--output", str(rows)]) == 0
    argv = [*options, "--labels", "people", "--output", str(apart), "--batch-rows", "70"]
    assert main(argv) == 0
    for part in ("metrics", "cohorts"):
        found = read_json(apart, part)
        assert found.keys() == read_json(rows, part).keys()
        for refresh, wanted in read_json(rows, part).items():
            names = [key for key in COMPARED if key in wanted]
            agree({key: found[refresh][key] for key in names}, {key: wanted[key] for key in names})
            assert found[refresh]["model"] == wanted["model"]
    ended = json.loads((apart / "ended.json").read_bytes())
    assert json.loads((rows / "ended.json").read_bytes()).items() <= ended.items()
    assert ended["labels_read"] == ended["answered"]
    before = dict(contents(apart))
    take_back(apart, 5, models=True)
    assert main([*argv, "--resume"]) == 0
    assert dict(contents(apart)) == before


@pytest.mark.parametrize("number", [1, pytest.param(7, marks=pytest.mark.slow), 13])
def test_a_run_that_is_resumed_has_the_bytes_of_one_that_was_not(
    rows: pd.DataFrame, tmp_path: Path, number: int
) -> None:
    sources = write_apart(rows, tmp_path / "in")
    argv = arguments(tmp_path / "out", sources, "--latest", "2030-01-01", "--batch-rows", "30")
    assert main(argv) == 0
    before = dict(contents(tmp_path / "out"))
    take_back(tmp_path / "out", number, models=True)
    assert main([*argv, "--resume"]) == 0
    assert dict(contents(tmp_path / "out")) == before


def test_the_end_of_the_refreshes_ends_both_clocks(rows: pd.DataFrame, tmp_path: Path) -> None:
    sources = write_apart(rows, tmp_path / "in")
    folder = tmp_path / "out"
    assert main(arguments(folder, sources, "--refreshes", "9", "--keep", "0")) == 0
    first = int(rows["at"].min().timestamp()) // 60 * 60
    expected = replay_labels(rows, streams.MADE, WAIT, MINUTE, Ridge, end=first + 9 * 60)
    assert any(not cohort["final"] and cohort["open"] for cohort in expected.cohorts.values())
    check(folder, expected, rows)


@pytest.mark.slow
@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_prism_writes_the_bytes_of_the_embedded_runner(tmp_path: Path) -> None:
    rows = delayed(streams.make_stream(windows=30, rows_a_window=60, seed=5))
    sources = write_apart(rows, tmp_path / "in")
    for runner in ("direct", "prism"):
        argv = arguments(tmp_path / runner, sources, "--latest", "2030-01-01", "--runner", runner)
        result = finish(process(*argv))
        assert result.code == 0, result.err
    found = content(tmp_path / "prism")
    assert found == content(tmp_path / "direct")
    assert any(str(path).startswith("outcomes") for path in found)


def drained(folder: Path, sources: tuple[str, str], looks: int, *options: str) -> Path:
    """Runs the job on files until the source of the questions is drained."""
    settings, _ = parse(arguments(folder, sources, *options))
    place = find_folder(settings)
    folder.mkdir()
    made, span = file_source(settings, place, print)
    open_folder(place, settings, files_setting(made))
    made.drain = DrainAfter(f"{folder}:{looks}", 60 * 1_000_000)
    assert made.labels is not None
    made.labels.drain = DrainAfter(f"{folder}/labels:0", 60 * 1_000_000)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        build(pipeline, made, settings, place, span)
    return folder


def test_a_drain_ends_both_clocks_and_the_run_goes_on_there(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    ordered = rows.sort_values("at", ignore_index=True)
    sources = write_apart(ordered, tmp_path / "in")
    options = ("--batch-rows", "30", "--latest", "2030-01-01", "--keep", "0")
    assert main(arguments(tmp_path / "whole", sources, *options)) == 0
    folder = drained(tmp_path / "parts", sources, 3, *options)
    end = int(pd.Timestamp(json.loads((folder / "until.json").read_bytes())["until"]).timestamp())
    assert int(ordered["at"].min().timestamp()) < end < int(ordered["at"].max().timestamp())
    check(folder, replay_labels(ordered, streams.MADE, WAIT, MINUTE, Ridge, end=end), ordered)
    assert main([*arguments(folder, sources, *options), "--resume"]) == 0
    whole, parts = dict(contents(tmp_path / "whole")), dict(contents(folder))
    assert [path for path in whole if parts.get(path) != whole[path]] == []
    assert parts.keys() == whole.keys()
