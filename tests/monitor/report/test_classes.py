"""The report of a run of classes: its figures and pictures are of all refreshes together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.runs import RunFolder
from model.store import Store
from monitor.report.artefacts import importance
from monitor.report.class_figures import pool_classes
from monitor.report.page import make_page
from pipeline.__main__ import main
from pipeline.progress import print_summary
from tests.kit.serve import client
from tests.kit.watch import picture, plain, to_plain

SCHEMA = """
name = "made"
time = "t"
target = "y"
task = "classification"
label_time = "k"
wait = "60s"
[features]
numeric = ["a"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(0)
    lines = ["t,y,k,a"]
    for i in range(900):
        a = rng.normal()
        name = "<yes>" if rng.random() < 1 / (1 + np.exp(-a)) else "no"
        asked = 1_700_000_040 + i / 5
        lines.append(f"{asked:.1f},{name},{asked + i % 40:.1f},{a:.4f}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "schema.toml").write_text(SCHEMA)
    place = ["--input", str(folder / "rows.csv"), "--schema", str(folder / "schema.toml")]
    options = ["--learner", "logistic", "--window", "60", "--output", str(folder / "run")]
    assert main([*place, *options]) == 0
    return RunFolder(str(folder / "run"))


def test_the_importance_of_a_logistic_regression_is_the_size_of_its_coefficients(
    run: RunFolder,
) -> None:
    store = Store(run.models)
    newest = store.names()[-1]
    [[weight]] = store.load(newest).estimator.coef_
    assert importance(store, newest).weights == {"a": abs(weight)}


def test_the_report_shows_what_probabilities_are_worth(run: RunFolder) -> None:
    page = make_page(run, 50, lambda line: None)
    titles = ("Log loss", "Reliability", "Precision by recall", "Threshold", "Confusion")
    for title in (*titles, "Predicted classes"):
        assert f"<h3>{title}</h3>" in page
    assert "Log loss by question" in page and "<h3>Error by question</h3>" in page
    assert "log loss" in page and "<dt>Threshold</dt>" in page
    for other in ("MAE", "Mean absolute error", "RMSE", "R\N{SUPERSCRIPT TWO}"):
        assert other not in page
    assert "<yes>" not in page


def test_terminal_lines_and_gauges_name_the_log_loss_by_label_and_by_question(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", run.path]) == 0
    lines = capsys.readouterr().out
    cohorts = [json.loads(path.read_text()) for path in Path(run.cohorts).glob("*.json")]
    losses = [c["log_loss"] for c in cohorts if c["log_loss"] is not None]
    assert len(losses) == 2
    for loss in losses:
        assert f"log loss {loss:.3g}" in lines
    assert "log loss by label" in lines and "MAE" not in lines
    text = "\n".join(picture(Path(run.path), plain(170, height=40)))
    assert "log loss by label" in text and "log loss by question" in text and "MAE" not in text
    result = plain(170, height=40)
    print_summary(run, result, run.parse_settings(run.read_settings()).clock)
    assert "log loss by question" in to_plain(result) and "MAE" not in to_plain(result)
    with client(Path(run.path)) as api:
        found = api.get("/metrics").text
    for name in ("cohort_log_loss", "pooled_log_loss", "refresh_log_loss"):
        assert f"correnteza_{name} " in found
    assert "_mae" not in found


def test_pooled_counts_are_the_sums_of_the_reports(run: RunFolder) -> None:
    reports = [report for report in run.reports() if report.confusion]
    pooled = pool_classes(reports)
    assert sum(sum(cells.values()) for cells in pooled.confusion.values()) == 600
    assert pooled.scores is not None
    assert pooled.scores[0].sum() + pooled.scores[1].sum() == 600
    rows, scores, shares = pooled.reliability
    hits = sum(pooled.confusion["no"].values())
    assert np.nansum(rows * shares) == pytest.approx(hits)  # "no" is the last of the two
    assert rows.sum() == 600 and np.nanmax(scores) <= 1


def test_the_command_writes_it(run: RunFolder, tmp_path: Path) -> None:
    assert main(["report", run.path, "--to", str(tmp_path / "report.html")]) == 0


def test_each_refresh_leaves_the_figures_beside_which_later_alerts_are(run: RunFolder) -> None:
    for name in run.report_names():
        path = Path(run.path, "summaries", f"{name}.json")
        figures = json.loads(path.read_text())["figures"][""]
        report = run.read_report(name).model_dump()
        assert figures["rows"] == report["scored"] and figures["mae"] == report["log_loss"]
