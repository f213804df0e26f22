"""What is shown of a stream of labels, beside the files that it comes from and plain pandas."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.people import People
from monitor.labels import BESIDE, TITLES
from pipeline.__main__ import main
from tests.kit.serve import client
from tests.kit.watch import picture, plain

SCHEMA = """\
name = "people"
time = "timestamp"
target = "salario"
id = "id"
wait = "3m"
[features]
numeric = ["idade", "idh"]
[labels]
id = "id"
target = "salario"
time = "known"
"""


def write_sources(folder: Path) -> None:
    """Questions and labels: some late, twice, with another target, of nobody, none at all."""
    people = People("learnable", 7, 1, pd.Timestamp("2026-03-01", tz="UTC").value // 1000)
    fields = ["timestamp", "idade", "idh", "salario"]
    rows = people.rows(0, 480).to_pandas()[fields]
    rows.insert(0, "id", range(len(rows)))
    seconds = pd.to_timedelta(rows["id"] * 7 % 170, unit="s")
    labels = rows[["id", "salario"]].assign(known=rows["timestamp"] + seconds)
    labels = labels[labels["id"] % 25 > 0]
    late = labels.iloc[110:113]
    labels = labels.drop(late.index)
    late = late.assign(known=rows["timestamp"] + pd.Timedelta("200s"))
    again, other, strange, none = (labels.iloc[n * 20 : n * 20 + n] for n in (5, 2, 4, 6))
    again = again.assign(known=again["known"] + pd.Timedelta("5s"))
    other = other.assign(known=other["known"] + pd.Timedelta("5s"), salario=1.0)
    parts = [labels, late, again, other, strange.assign(id=-1), none.assign(salario="")]
    rows.drop(columns="salario").to_csv(folder / "questions.csv", index=False)
    every = pd.concat([part.astype({"salario": str}) for part in parts]).sort_values("known")
    every.to_csv(folder / "labels.csv", index=False)
    (folder / "schema.toml").write_text(SCHEMA, encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with labels of their own; not to be changed."""
    folder = tmp_path_factory.mktemp("labels")
    write_sources(folder)
    sources = ("--input", f"{folder}/questions.csv", "--labels", f"{folder}/labels.csv")
    options = ("--schema", f"{folder}/schema.toml", "--window", "2m", "--every", "1m")
    output = ("--learner", "ridge", "--min-rows", "5", "--output", f"{folder}/run")
    assert main([*sources, *options, *output]) == 0
    return folder / "run"


def read_counts(run: Path) -> dict[str, int]:
    ended = json.loads((run / "ended.json").read_text())
    return {name: ended[name] for name in TITLES if name in ended}


def test_every_count_of_a_report_has_a_title(run: Path) -> None:
    report = json.loads(next(run.glob("metrics/*.json")).read_text())
    counts = set(read_counts(run))
    assert counts == TITLES.keys() & report.keys()
    assert {"duplicates", "conflicts", "orphans", "id_reused", "label_late"} < counts
    found = read_counts(run)
    assert (found["duplicates"], found["conflicts"], found["orphans"]) == (5, 2, 4)
    assert (found["label_late"], found["labels_rejected"]) == (3, 6)


def test_the_terminal_shows_what_came_and_how_late(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = read_counts(run)
    asked = f"{counts['answered']:,} answered, {counts['expired']:,} expired, 3 after the wait"
    shown = f"{asked}, 5 duplicates, 2 conflicts, 4 orphans, 6 rejected"
    assert main(["watch", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if shown in line).startswith("labels in ")
    assert any(line.startswith("delay of the newest labels: 50 % within") for line in lines)
    each = [int(found) for line in lines for found in re.findall(r"  expired (\d+)", line)]
    assert sum(each) == counts["expired"]
    assert any(shown in line for line in picture(run, plain(200, height=40)))


def test_the_server_shows_counts_and_delays(run: Path) -> None:
    with client(run) as api:
        asked, text = api.get("/questions").json(), api.get("/metrics").text
    counts = read_counts(run)
    assert asked["counts"] == counts
    assert (asked["open"], asked["oldest_open_seconds"]) == (0, 0)
    outcomes = pd.concat(map(pd.read_parquet, run.glob("outcomes/*/*.parquet")))
    newest = pd.Timestamp(max(path.stem for path in run.glob("metrics/*.json")))
    assert asked["refreshes"] == len([*run.glob("metrics/*.json")])
    came = outcomes[outcomes["label_time"] >= newest - pd.Timedelta("3m")]
    delays = (came["label_time"] - came["time"]).dt.total_seconds()
    assert asked["delay"]["max"] == delays.max()
    for share, name in ((0.5, "p50"), (0.9, "p90")):
        exact = np.quantile(delays, share, method="inverted_cdf")
        assert exact <= asked["delay"][name] <= exact * (1 + 1 / 32)
        line = f'correnteza_label_delay_seconds{{quantile="{name}"}} {asked["delay"][name]}'
        assert line in text


def test_the_report_shows_each_count_and_draws_questions_delays_and_labels(
    run: Path, tmp_path: Path
) -> None:
    assert main(["report", str(run), "--to", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text()
    for name, count in read_counts(run).items():
        if name in BESIDE and count:
            assert f"<dt>{TITLES[name]}</dt><dd>{count}</dd>" in text
    for title in ("Questions", "Delay of labels", "Labels"):
        assert f"<h3>{title}</h3>" in text
    assert "<dt>Delay of the newest labels</dt>" in text


def test_questions_are_not_found_where_labels_have_no_time(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "settings.json"
    settings = json.loads(path.read_text())
    for name in ("labels", "wait", "id"):
        del settings["schema"][name]
    path.write_text(json.dumps(settings))
    with client(tmp_path / "run") as api:
        assert api.get("/questions").status_code == 404
