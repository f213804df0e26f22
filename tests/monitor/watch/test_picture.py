"""The picture of a run: its figures are those of the files, and it fits every terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from model.alerts import describe_alerts
from model.runs import RunFolder
from monitor.watch.figures import ASCII_BLOCKS, sparkline
from monitor.watch.table import CELLS
from pipeline.progress import Progress
from tests.kit.job import metrics, models
from tests.kit.watch import alert, change, console, picture, plain, to_plain


def test_alerts_are_shown_above_the_table(mine: Path) -> None:
    raised = alert(mine, "a", "\x1b[2J", "c", "d")
    shown = picture(mine, plain(100))
    [head] = [number for number, line in enumerate(shown) if line.startswith("refresh")]
    expected = f"alert: {describe_alerts(raised)}".replace("\x1b", "?")
    [line] = [line for line in shown if "alert" in line]
    assert line == shown[head - 1] and expected.startswith(line.rstrip("…"))
    assert " a: PSI 0.31" in line


def test_the_table_has_the_figures_of_the_reports(run: Path) -> None:
    lines = picture(run, plain(120))
    start = next(n for n, line in enumerate(lines) if line.startswith("refresh (UTC)"))
    absent = ("labels", "log loss", "AUC")
    assert lines[start].split()[2:] == [title for title in CELLS if title not in absent]
    rows = [line.split() for line in lines[start + 1 :]]
    for cells, result in zip(rows, metrics(run), strict=True):
        assert "T".join(cells[:2]) + "Z" == result["refresh_start"]
        assert cells[2] == f"{result['rows']:,}"
        assert cells[3] == (result["model"] or "-")
        for cell, key in zip(cells[4:8], ("mae", "r2", "skill_best", "skill"), strict=True):
            assert (
                cell == "-"
                if result[key] is None
                else float(cell) == pytest.approx(result[key], rel=5e-3)
            )
        assert cells[-2:] == [str(result["late"]), str(result["rejected"])]


def test_the_head_shows_the_run_its_state_its_rows_and_its_models(run: Path) -> None:
    head = picture(run, plain(120))[:2]
    assert head[0] == f"people -> {run}  done"[:120]
    assert f"{sum(result['rows'] for result in metrics(run)):,} rows read (" in head[1]
    assert head[1].endswith(f"models kept: {len(models(run))}, newest {max(models(run))}")


def test_the_error_stands_beside_the_baselines(run: Path) -> None:
    lines = {line.split()[0]: line for line in picture(run, plain(120)) if line}
    for label, key in (("MAE", "mae"), ("baseline", "baseline_mae")):
        values = [result[key] for result in metrics(run)]
        assert sparkline(values).strip() in lines[label]
        assert float(lines[label].split()[2].replace(",", "")) == pytest.approx(
            values[-1], rel=0.01
        )


@pytest.mark.parametrize("height", [4, 6, 9, 12, 30])
@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_the_picture_fits_the_terminal(width: int, height: int, mine: Path) -> None:
    alert(mine, *["x" * 90] * 9)
    shown = picture(mine, plain(width, height))
    assert all(cell_len(line) <= width for line in shown)
    if width >= 40 and height > 4:
        assert len(shown) < height
        assert shown[-1].startswith(("00:07:00", "2026-01-01 00:07:00"))


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (30, "refresh MAE best skill"),
        (40, "refresh rows MAE best skill"),
        (60, "refresh rows MAE R2 best skill drift late"),
        (80, "refresh rows MAE R2 best skill drift late rejected"),
        (100, "refresh (UTC) rows model MAE R2 best skill drift late rejected"),
    ],
)
def test_where_it_is_narrow_the_columns_that_matter_least_are_left_out(
    width: int, titles: str, run: Path
) -> None:
    [head] = [line for line in picture(run, plain(width)) if line.startswith("refresh")]
    assert head.split() == titles.split()


def test_no_color_leaves_no_colour(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in "".join(picture(run, console(100)))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in "".join(picture(run, console(100)))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_blocks_gets_ascii(encoding: str, mine: Path) -> None:
    settings = json.loads((mine / "settings.json").read_text())
    change(mine / "settings.json", schema={**settings["schema"], "name": "日本" * 40})
    shown = picture(mine, plain(60, encoding=encoding))
    assert "\n".join(shown).isascii()
    assert shown[0] == "?" * 54 + "  done"
    [error] = [line for line in shown if line.startswith("MAE")]
    assert ASCII_BLOCKS[-1] in error


def drifts(**psi: float) -> dict[str, Any]:
    """A report's drift, by column."""
    chance = {"mean_shift": None, "psi_by_chance": 0.1, "mean_shift_by_chance": None}
    columns = {name: {"psi": value, **chance} for name, value in psi.items()}
    return {"prediction": columns.pop("prediction"), "features": columns}


@pytest.mark.parametrize(
    ("psi", "cell"),
    [
        ({"a": 0.02, "b": 0.4, "prediction": 0.1}, "0.4 b"),
        ({"a": 0.02, "prediction": 0.1234}, "0.123 prediction"),
        ({"prediction": 0.0}, "0 prediction"),
        ({"\x1b[2J" + "x" * 90: 1234.5, "prediction": 0.0}, "1,234 ?[2J" + "x" * 12),
    ],
)
def test_the_greatest_drift_is_shown_with_its_column(
    psi: dict[str, float], cell: str, mine: Path
) -> None:
    change(mine / "metrics" / "20260101T000700Z.json", drift=drifts(**psi))
    assert f"  {cell}  " in picture(mine, plain(120))[-1]
    assert f"  {cell.split()[0]}  " in picture(mine, plain(60))[-1]


def test_a_run_without_drift_has_no_column_of_it(mine: Path) -> None:
    for path in (mine / "metrics").iterdir():
        change(path, drift=None)
    [head] = [line for line in picture(mine, plain(120)) if line.startswith("refresh")]
    assert head.split()[2:] == [
        title for title in CELLS if title not in ("drift", "labels", "log loss", "AUC")
    ]


def test_a_run_shows_the_same_picture_on_a_terminal_while_it_works(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = console(100, no_color=True)
    with Progress(RunFolder("run"), terminal):
        pass  # its first picture is there when it has begun
    shown = to_plain(terminal)
    for line in picture(mine, plain(100))[-8:]:
        assert line in shown
    assert "run  running" in shown


def test_where_labels_come_later_a_column_has_those_that_became_known(mine: Path) -> None:
    for number, path in enumerate(sorted((mine / "metrics").iterdir())):
        change(path, labelled=number, answered=number, expired=1, label_late=0)
    lines = picture(mine, plain(120))
    [head] = [line for line in lines if line.startswith("refresh")]
    at = head.split().index("labels")
    assert lines[-1].split()[at] == f"{number}"
