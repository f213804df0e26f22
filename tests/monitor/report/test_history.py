"""A run over time, as the report reads it from the folder."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from model.runs import RunFolder
from monitor.report import history
from tests.kit.job import metrics
from tests.kit.report import report

NAMES = [f"20260101T000{minute}00Z" for minute in range(1, 5)]


def test_a_history_is_what_the_files_show(run: Path) -> None:
    found = history.read(RunFolder(str(run)))
    assert [json.loads(r.as_json()) for r in found.reports] == metrics(run)
    assert (found.settings.learner, found.settings.window) == ("forest", 60)
    assert found.settings.data_schema.target == "salario"
    assert found.status is not None and found.status.state == "done"
    output = {path.stem: json.loads(path.read_text()) for path in run.glob("timing/*.json")}
    assert found.fits == {name: output[name]["fit_seconds"] for name in NAMES}


def test_a_total_is_over_all_scored_rows_with_a_target(run: Path) -> None:
    rows = pq.read_table(run / "predictions").to_pandas().dropna(subset=["prediction", "target"])
    total = history.total(history.read(RunFolder(str(run))).reports)
    assert total.labelled == len(rows) > 3_000
    assert total.mae == pytest.approx((rows.prediction - rows.target).abs().mean(), rel=1e-9)
    assert (total.rows, total.rejected) == (sum(r["rows"] for r in metrics(run)), 0)
    assert total.late == sum(r["late"] for r in metrics(run)) > 0


def test_a_total_weighs_refreshes_by_their_labelled_rows() -> None:
    reports = [report(0), report(1, 4.0), report(2, 1.0, scored=300, unlabelled=100)]
    total = history.total(reports)
    assert total.mae == pytest.approx(np.average([4.0, 1.0], weights=[100, 200]))
    assert total.baseline_mae == pytest.approx(2 * 2.0)
    assert total.skill == pytest.approx(0.5)


def test_a_baseline_that_is_exact_leaves_no_skill_and_no_row_no_figure() -> None:
    exact = history.total([report(0, 0.0)])
    assert (exact.mae, exact.baseline_mae, exact.skill) == (0, 0, None)
    none = history.total([report(0)])
    assert (none.labelled, none.mae, none.baseline_mae, none.skill) == (0, None, None, None)


def test_a_model_stands_at_the_last_refresh_of_its_window(run: Path) -> None:
    found = history.read(RunFolder(str(run)))
    assert found.window(NAMES[1]) == ("2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z")


def test_a_run_that_has_just_begun_has_a_history_of_nothing(home: Path, run: Path) -> None:
    Path("settings.json").write_bytes((run / "settings.json").read_bytes())
    found = history.read(RunFolder(str(home)))
    assert (found.reports, found.fits, found.status) == ([], {}, None)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("settings.json", b'{"format": 1}', "settings.json: is not a run's: schema: is missing"),
        ("settings.json", b"[]", "settings.json: is not a run's"),
        (f"metrics/{NAMES[0]}.json", b"{}", "metrics: holds what is not a report: refresh_start"),
        (f"metrics/{NAMES[0]}.json", b"\xff", "metrics: holds what is not a report"),
        (f"timing/{NAMES[0]}.json", b"{}", "timing: holds what is not a timing"),
        (f"timing/{NAMES[0]}.json", b"nonsense", "timing: holds what is not a timing"),
    ],
)
def test_a_file_that_is_not_a_runs_is_named(
    file: str, data: bytes, message: str, mine: Path
) -> None:
    (mine / file).write_bytes(data)
    with pytest.raises(UserError, match=message):
        history.read(RunFolder(str(mine)))


@pytest.mark.parametrize("time", ["soon", "", "NaT", "2026-01-01T00:00:00Z"])
def test_a_report_whose_times_cannot_be_drawn_is_none(time: str, mine: Path) -> None:
    path = mine / "metrics" / "20260101T000000Z.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "refresh_end": time}))
    with pytest.raises(UserError, match="holds what is not a report"):
        history.read(RunFolder(str(mine)))


def test_a_status_that_cannot_be_read_is_unknown(mine: Path) -> None:
    (mine / "status.json").write_text("{")
    found = history.read(RunFolder(str(mine))).status
    assert history.describe_status(found, datetime.now(timezone.utc)) == "unknown"
