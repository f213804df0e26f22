"""The figures of classes are those of plain scikit-learn in a loop over the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from benchmarks.class_oracle import Predicted, Stream, measure, replay
from benchmarks.classes import STREAMS, compare, make_rows, make_stream, run
from model.asof import parse_iso
from pipeline.testing import run_graph

SCHEMA = """
name = "made"
time = "t"
target = "y"
task = "classification"
calibration = "sigmoid"
[features]
numeric = ["a", "b"]
"""
DISORDER = 5


@pytest.mark.parametrize("name", ["iris", "missing", "labels later, four", "breast cancer"])
def test_figures_are_those_of_a_plain_loop(name: str) -> None:
    stream = STREAMS[name]()
    found = compare(stream, run(stream))
    assert found.refreshes > 6 and not found.wrong


def test_a_comparison_with_other_figures_fails() -> None:
    stream = make_stream(make_rows(["no", "yes"], 240, 0), (60, 60))
    reports = run(stream)
    reports[1]["log_loss"] += 2e-9
    assert [line.split(": ")[1] for line in compare(stream, reports).wrong] == ["log_loss"]


def late_rows() -> tuple[list[dict[str, Any]], Stream]:
    """Rows in the order of their arrival, and the same as the loop has them.

    A late row counts where the watermark stood when it came, and is not learned from.
    """
    frame = make_rows(["no", "yes"], 480, 8)
    rng = np.random.default_rng(8)
    back = np.where(rng.random(len(frame)) < 0.1, rng.integers(1, 40, len(frame)), 0)
    frame["t"] -= back
    watermark = frame["t"].cummax().shift(fill_value=frame["t"].iloc[0]) - DISORDER
    arrived = frame.to_dict("records")
    frame["late"] = frame["t"] < watermark
    frame["t"] = frame["t"].where(~frame["late"], watermark)
    assert frame["late"].sum() > 10
    stream = make_stream(frame.drop(columns="late"), (60, 60), "logistic")
    return arrived, stream._replace(rows=frame)


def test_late_rows_count_and_raw_figures_are_those_before_calibration(tmp_path: Path) -> None:
    rows, stream = late_rows()
    schema = tmp_path / "schema.toml"
    schema.write_text(SCHEMA)
    folder = run_graph(
        rows,
        str(tmp_path / "run"),
        schema_file=str(schema),
        learner="logistic",
        window=60,
        disorder=DISORDER,
        gate="none",
    )
    wanted: dict[int, list[Predicted]] = replay(stream)
    reports = {int(parse_iso(one.refresh_start).timestamp()): one for one in folder.reports()}
    tables = {start: pq.read_table(path) for start, path in by_start(folder.predictions).items()}
    assert len(wanted) == 7
    for start, each in wanted.items():
        report, raw = reports[start], measure(each)
        assert report.raw is not None and report.labelled == len(each)
        for name in ("log_loss", "brier", "calibration_error"):
            assert report.raw[name] == pytest.approx(raw[name], abs=1e-9)
        table = tables[start].to_pandas()
        truth = table["target"] == "yes"
        loss = metrics.log_loss(truth, table["score"], labels=[False, True])
        assert report.log_loss == pytest.approx(loss, abs=1e-9) != raw["log_loss"]
        brier = metrics.brier_score_loss(truth, table["score"])
        assert report.brier == pytest.approx(brier, abs=1e-9)


def by_start(folder: str) -> dict[int, Path]:
    """The only file of each refresh's predictions, by the refresh's start in seconds."""
    paths = sorted(Path(folder).glob("*/*.parquet"))
    starts = [pd.Timestamp(path.parent.name).timestamp() for path in paths]
    return dict(zip(map(int, starts), paths, strict=True))
