"""A target of the other task is named in one error, before any row is read for the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import UserError
from model.schema import Features, Schema
from reading import plan
from reading.targets import check_target


def check(folder: Path, values: list[str], **more: object) -> None:
    path = folder / "in.csv"
    lines = [f"{1_700_000_000 + i},{value},1" for i, value in enumerate(values)]
    path.write_text("\n".join(["t,y,x", *lines]) + "\n")
    keys = {"name": "s", "time": "t", "target": "y", "features": Features(numeric=("x",)), **more}
    schema = Schema.model_validate(keys)
    check_target(plan(str(path), schema), schema)


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
