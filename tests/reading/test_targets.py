"""A target of the other task is named in one error, before any row is read for the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.errors import UserError
from model.schema import Features, Schema
from reading import plan
from reading.targets import check_target


def check(folder: Path, values: list[str], said: list[str] | None = None, **more: object) -> None:
    path = folder / "in.csv"
    lines = [f"{1_700_000_000 + i},{value},1" for i, value in enumerate(values)]
    path.write_text("\n".join(["t,y,x", *lines]) + "\n")
    keys = {"name": "s", "time": "t", "target": "y", "features": Features(numeric=("x",)), **more}
    schema = Schema.model_validate(keys)
    check_target(plan(str(path), schema), schema, ([] if said is None else said).append)


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
    check(tmp_path, ["a", "true"] * 9, said, classes=["no", "true"], **more)
