"""Calendar features and encoders in a job: the same bytes on each runner and under resume."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.store import Store
from monitor.serve.listing import brief_of
from pipeline.runners.prism import find_prism
from tests.kit.job import Job, content

SCHEMA = """\
name = "s"
time = "t"
target = "y"
time_zone = "Australia/Lord_Howe"
{labels}
[features]
numeric = ["x"]
categorical = ["shop", "kind"]
[features.calendar]
t = ["hour", "weekday:cyclic"]
sold = ["day_of_year"]
[features.encoders]
shop = "target"
kind = {{ max_categories = 3, add_indicator = true }}
x = {{ add_indicator = true }}
"""
LABELS = 'label_time = "l"\nwait = "30h"\n'
OPTIONS = ("--window", "2d", "--every", "1d", "--batch-rows", 150, "--keep", 0)


def write(labels: str = "") -> None:
    """Ten days of rows over a change of half an hour, with shops of few rows, nulls and rejects."""
    rng = np.random.default_rng(2)
    number = 1_500
    t = pd.date_range("2024-04-01", periods=number, freq="10min", tz="UTC")
    shop = rng.zipf(1.4, number) % 200
    made = pd.DataFrame({"t": t.strftime("%Y-%m-%dT%H:%M:%SZ"), "x": rng.normal(size=number)})
    made["shop"] = [None if n == 3 else f"shop {n}" for n in shop]
    made["kind"] = np.array(["a", "b", "c", "d", None])[rng.integers(0, 5, number)]
    made["sold"] = (t - pd.Timedelta("30D")).strftime("%Y-%m-%d").where(rng.random(number) < 0.9)
    made["y"] = made.x + np.sin(shop) + rng.normal(size=number)
    made.loc[::9, "x"] = np.nan
    made.loc[5::200, "sold"] = "unsold"
    late = pd.to_timedelta(rng.integers(0, 30 * 3600, number), "s")
    made["l"] = (t + late).strftime("%Y-%m-%dT%H:%M:%SZ")
    made.to_csv("in.csv", index=False)
    Path("s.toml").write_text(SCHEMA.format(labels=labels))


def argv_of(learner: str) -> tuple[object, ...]:
    return ("--input", "in.csv", "--schema", "s.toml", "--learner", learner, *OPTIONS)


@pytest.mark.slow
@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
@pytest.mark.parametrize(("learner", "labels"), [("ridge", LABELS), ("forest", "")])
def test_prism_writes_the_same_files(learner: str, labels: str, job: Job) -> None:
    write(labels)
    job.ran(*argv_of(learner), "--output", "o")
    job.ran(*argv_of(learner), "--output", "p", "--runner", "prism")
    assert content("p") == content("o")
    store = Store("o/models")
    manifest = store.manifest(store.names()[-1])
    assert manifest.features[:6] == [
        *("x", "t_hour", "t_weekday_sin", "t_weekday_cos", "sold_day_of_year", "shop")
    ]
    assert manifest.features[-2:] == ["kind_missing", "x_missing"]
    assert manifest.other.keys() == {"kind"}


@pytest.mark.slow
def test_a_resumed_run_has_the_same_files(job: Job) -> None:
    write(LABELS)
    job.ran(*argv_of("ridge"), "--output", "o")
    before = content("o")
    rejects = [
        line
        for path in Path("o/rejected").rglob("*.ndjson")
        for line in path.read_text().split("\n")
    ]
    assert sum("column 'sold': 'unsold': must be ISO 8601" in line for line in rejects) == 8
    for path in sorted(Path("o/metrics").iterdir())[4:]:
        path.unlink()
    job.ran("--output", "o", "--resume", "--input", "in.csv")
    assert content("o") == before


def test_the_end_of_a_run_its_report_and_its_page_have_what_falls_into_other(job: Job) -> None:
    write()
    shown = job.ran(*argv_of("ridge"), "--output", "o").out
    manifest = Store("o/models").manifest(Store("o/models").names()[-1])
    share = 100 * manifest.other["kind"].rows / manifest.rows
    line = (
        "column 'kind': 4 values, the 3 most frequent are columns, "
        f'{share:.1f} % of rows fall into other; encoder = "target" keeps all'
    )
    assert line in shown and "column 'shop'" not in shown
    job.ran("report", "o", "--to", "report.html")
    assert line in unescape(Path("report.html").read_text())
    assert brief_of(manifest).into_other == [line]
