"""A target of the other task is named for every source, as it is for files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pandas as pd
import pytest

from model.errors import UserError
from model.runs import RunFolder
from monitor.console import consoles
from pipeline import backtest
from pipeline.__main__ import main
from pipeline.arguments import parse
from pipeline.run import make_source

CLASSIFY = 'if it is a class, set task = "classification" in the schema'
REGRESS = 'to predict a number set task = "regression" in the schema'


def write_schema(folder: Path, time: str, target: str, task: str, feature: str) -> str:
    path = folder / "schema.toml"
    head = f'name = "s"\ntime = "{time}"\ntarget = "{target}"\ntask = "{task}"\n'
    path.write_text(f'{head}[features]\nnumeric = ["{feature}"]\n')
    return str(path)


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("contratado", "regression", f"are not numbers, as 'nao', 'sim': {CLASSIFY}"),
        ("salario", "classification", REGRESS),
    ],
)
def test_people_whose_target_is_of_the_other_task_are_refused(
    target: str, task: str, message: str, tmp_path: Path
) -> None:
    schema = write_schema(tmp_path, "timestamp", target, task, "idade")
    learner = "ridge" if task == "regression" else "logistic"
    argv = ["--people", "classes", "--schema", schema, "--learner", learner, "--refreshes", "1"]
    settings, _ = parse([*argv, "--output", str(tmp_path / "run")])
    with pytest.raises(UserError, match=r"^people: column") as raised:
        make_source(settings, RunFolder(str(tmp_path / "run")), consoles()[1], None)
    assert message in str(raised.value)


def test_a_backtest_has_the_warnings_of_its_target_among_its_messages() -> None:
    rows = pd.DataFrame({"at": pd.date_range("2026-01-01", periods=240, freq="1s")})
    rows["x"] = rows.index % 7
    rows["y"] = rows.index % 2 == 0
    options: dict[str, Any] = {"learner": "ridge", "window": 60, "min_rows": 1}
    found = backtest(rows, time="at", target="y", progress=False, **options)
    [line] = [line for line in found.messages if "the target" in line]
    assert "all of the first 240 values are true or false" in line and CLASSIFY in line


TARGETS: dict[str, Any] = {
    "text": lambda place: "yes" if place % 2 else "no",
    "booleans": lambda place: place % 3 == 0,
    "numbers": lambda place: place / 7,
    "halves": lambda place: place % 2 / 2,
}


def rows_of(target: str) -> beam.PTransform[Any, Any]:
    """A source of the user's own."""
    value = TARGETS[target]
    start = 1_767_225_600
    return beam.Create([{"t": start + i, "x": i % 5, "y": value(i)} for i in range(180)])


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("text", "regression", CLASSIFY),
        ("booleans", "regression", f"all values are 0 and 1, or false and true: {CLASSIFY}"),
        ("halves", "regression", ""),
        ("numbers", "classification", f"120 of 120 scored rows are of a class that .* {REGRESS}"),
    ],
)
def test_a_source_of_ones_own_has_it_in_the_last_lines(
    target: str, task: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = write_schema(tmp_path, "t", "y", task, "x")
    argv = ["--source", f"{__name__}:rows_of", "--source-param", f"target={target}"]
    argv += ["--learner", "ridge" if task == "regression" else "logistic", "--schema", schema]
    options = ["--window", "60", "--min-rows", "1", "--output", str(tmp_path / "run")]
    code = main([*argv, *options])
    assert code == (1 if (target, task) == ("text", "regression") else 0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "(the target)" in line]
    assert len(lines) == bool(message)
    if message:
        [line] = lines
        assert all(part in line for part in message.split(".*"))
