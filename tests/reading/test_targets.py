"""A target of the other task is named in one error, before any row is read for the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.errors import UserError
from model.schema import Features, Schema
from reading import plan
from reading.targets import check_target


def check(
    folder: Path, values: list[str], warnings: list[str] | None = None, **more: object
) -> None:
    path = folder / "in.csv"
    lines = [f"{1_700_000_000 + i},{value},1" for i, value in enumerate(values)]
    path.write_text("\n".join(["t,y,x", *lines]) + "\n")
    keys = {"name": "s", "time": "t", "target": "y", "features": Features(numeric=("x",)), **more}
    schema = Schema.model_validate(keys)
    check_target(plan(str(path), schema), schema, ([] if warnings is None else warnings).append)


def test_text_under_regression_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'y' \(the target\): 40 .* task = \"classification\""):
        check(tmp_path, ["YES", "NO"] * 20)


def test_many_numbers_under_classification_are_refused_with_what_to_do(tmp_path: Path) -> None:
    fractions = [f"{i / 7:.4f}" for i in range(100)]
    with pytest.raises(UserError, match=r"100 different numbers .* task = \"regression\""):
        check(tmp_path, fractions, task="classification")


def test_what_fits_its_task_passes(tmp_path: Path) -> None:
    check(tmp_path, ["1.5", "2", "?", "7"])
    check(tmp_path, ["1", "2", "3"] * 9, task="classification")
    check(tmp_path, ["YES", "", "NO"] * 9, task="classification")
    check(tmp_path, [f"{i / 7:.4f}" for i in range(30)], task="classification", classes=["a", "b"])


def test_a_positive_that_no_row_has_is_said_and_one_with_two_others_is_refused(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    more: Any = {"task": "classification", "positive": "true"}
    check(tmp_path, ["True", "no"] * 9, said, **more)
    assert not said
    check(tmp_path, ["no"] * 9, said, **more)
    [line] = said
    assert "none of the first 9 values is the positive 'true'; they are 'no'" in line
    for values in (["a", "b"], ["True", "a", "b"]):
        with pytest.raises(UserError, match=r"positive goes with 2 classes.* 'a' and 'b'"):
            check(tmp_path, values * 9, **more)
    check(tmp_path, ["a", "b", "true"] * 9, said, classes=["no", "true"], **more)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["true", "FALSE"] * 9, "all of the first 18 values are true or false: if it is a class"),
        (["0", "1"] * 60, "the first 120 values are only 2 whole numbers, 0, 1: if it is a class"),
        (["1.0", "5", "2", "3"] * 30, "are only 4 whole numbers, 1, 2, 3, ...: if it is a class"),
        ([str(i % 11) for i in range(120)], ""),
        (["0", "1"] * 49, ""),
        (["7"] * 120, ""),
        (["0.5", "1"] * 60, ""),
    ],
)
def test_numbers_that_look_like_classes_are_warned_of(
    tmp_path: Path, values: list[str], message: str
) -> None:
    lines: list[str] = []
    check(tmp_path, values, lines)
    assert len(lines) == bool(message)
    assert not lines or (message in lines[0] and 'task = "classification"' in lines[0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([f"u{i}" for i in range(1_000)], "has 1,000 different values in the first 1,000 rows"),
        ([f"u{i % 20}" for i in range(100)], "has 20 different values in the first 100 rows"),
        ([f"{i / 7:.4f}" if i % 5 else "?" for i in range(200)], "has 161 different values"),
        (["0.5", "1", "1.5"] * 40, "has fractions, as 0.5: to predict a number set task"),
        ([f"u{i % 10}" for i in range(100)], ""),
        ([f"u{i}" for i in range(99)], ""),
    ],
)
def test_classes_that_look_like_numbers_or_keys_are_warned_of(
    tmp_path: Path, values: list[str], message: str
) -> None:
    lines: list[str] = []
    check(tmp_path, values, lines, task="classification")
    assert len(lines) == bool(message)
    assert not lines or (message in lines[0] and 'task = "regression"' in lines[0])
    check(tmp_path, values, lines, task="classification", classes=sorted(set(values)))
    assert len(lines) == bool(message)


def test_classes_that_differ_in_upper_case_alone_are_warned_of(tmp_path: Path) -> None:
    lines: list[str] = []
    check(tmp_path, ["Yes", "yes", "NO", " YES "] * 9, lines, task="classification")
    assert lines[0].endswith(": 'YES', 'Yes', 'yes' are 3 classes: they differ in upper case alone")
    check(tmp_path, ["True", "true", "FALSE", "2.0"] * 9, lines, task="classification")
    assert len(lines) == 1


@pytest.mark.parametrize("form", ["parquet", "ndjson"])
def test_text_under_regression_is_refused_in_files_with_types_too(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"in.{form}"
    frame = pd.DataFrame({"t": range(1_700_000_000, 1_700_000_040), "y": ["YES", "NO"] * 20})
    frame["x"] = 1.0
    if form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
    with pytest.raises(UserError, match='if it is a class, set task = "classification"'):
        check_target(plan(str(path), schema), schema)
