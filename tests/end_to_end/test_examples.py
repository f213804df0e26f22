"""The examples run, and the README shows them as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples import own_source, predict
from pipeline.__main__ import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_source_of_ones_own_is_reported_refresh_by_refresh(tmp_path: Path) -> None:
    reports = own_source.run(str(tmp_path / "run"))
    assert [report.rows for report in reports] == [60] * 6
    assert [report.scored for report in reports] == [0, 60, 60, 60, 60, 60]
    assert all(report.skill is not None and report.skill > 0.9 for report in reports[1:])


def test_the_newest_model_predicts_what_people_earn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    assert main(["--windows", "2", "--rate", "50", "--learner", "ridge", "--output", run]) == 0
    capsys.readouterr()
    predict.main(run)
    young, old = map(int, re.findall(r"\d+", capsys.readouterr().out))
    assert 500 < young < old < 20_000


@pytest.mark.slow
def test_the_flights_of_2013_are_learnt_week_by_week(tmp_path: Path) -> None:
    from examples import flights

    flights.write(tmp_path / "flights.csv")
    schema = str(ROOT / "examples/flights.toml")
    run = str(tmp_path / "run")
    given = ["--input", str(tmp_path / "flights.csv"), "--schema", schema, "--output", run]
    assert main([*given, "--window", "7d", "--learner", "ridge"]) == 0
    from pipeline.folder import RunFolder

    reports = RunFolder(run).reports()
    assert sum(report.rows for report in reports) == 336_776
    skills = [report.skill for report in reports if report.skill is not None]
    assert len(skills) >= 52 and sorted(skills)[len(skills) // 2] > 0.4


@pytest.mark.parametrize("name", ["flights.toml", "test_own_step.py", "predict.py"])
def test_the_readme_shows_the_examples_as_they_are(name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    shown = [block for block in re.findall(r"```\w+\n(.*?)```", README, re.S) if block in text]
    assert shown, f"no code block of the README stands in examples/{name}"
