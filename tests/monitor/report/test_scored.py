"""Scored rows for the pictures, from the files of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from model.runs import RunFolder
from monitor.report import scored


def write(folder: Path, refresh: str, targets: list[float | None], shard: int = 0) -> None:
    """A file of predictions; each prediction is its target and a half."""
    path = folder / "predictions" / refresh / f"{shard:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    predictions = [None if target is None else target + 0.5 for target in targets]
    columns = {"target": pa.array(targets, pa.float64())}
    pq.write_table(pa.table({**columns, "prediction": pa.array(predictions, pa.float64())}), path)


def test_points_are_the_scored_rows_that_have_a_target(run: Path) -> None:
    rows = pq.read_table(run / "predictions").to_pandas().dropna(subset=["prediction", "target"])
    points, refreshes = scored.points(RunFolder(str(run)))
    assert sorted(points.target) == sorted(rows.target)
    assert sorted(points.residuals) == pytest.approx(sorted(rows.target - rows.prediction))
    assert refreshes == [f"20260101T000{minute}00Z" for minute in (1, 2, 3)]


def test_nulls_and_what_is_not_finite_are_left_out(home: Path) -> None:
    write(home, "20260101T000000Z", [1.0, None, float("inf"), float("nan"), 2.0])
    points, _ = scored.points(RunFolder(str(home)))
    assert points.target.tolist() == [1.0, 2.0] and points.prediction.tolist() == [1.5, 2.5]


def test_no_more_refreshes_are_read_than_are_needed_the_newest_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored, "MOST", 4)
    (home / "predictions/20260101T000000Z").mkdir(parents=True)
    (home / "predictions/20260101T000000Z/00000.parquet").write_text("not to be read")
    write(home, "20260101T000100Z", [1.0, 2.0])
    write(home, "20260101T000200Z", [3.0], shard=0)
    write(home, "20260101T000200Z", [4.0], shard=1)
    points, refreshes = scored.points(RunFolder(str(home)))
    assert points.target.tolist() == [1, 2, 3, 4]
    assert refreshes == ["20260101T000100Z", "20260101T000200Z"]


def test_of_too_many_rows_some_are_taken_evenly_and_always_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored, "MOST", 11)
    write(home, "20260101T000000Z", list(np.arange(101.0)))
    folder = RunFolder(str(home))
    assert scored.points(folder)[0].target.tolist() == list(range(0, 101, 10))
    assert scored.points(folder)[0].target.tolist() == scored.points(folder)[0].target.tolist()


def test_a_run_without_predictions_has_no_points(home: Path) -> None:
    points, refreshes = scored.points(RunFolder(str(home)))
    assert (len(points.target), refreshes) == (0, [])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1 nonsense PAR1"])
def test_a_file_that_holds_no_predictions_is_named(data: bytes, mine: Path) -> None:
    path = next(mine.glob("predictions/20260101T000300Z/*.parquet"))
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"{path.name}: holds no predictions"):
        scored.points(RunFolder(str(mine)))


def test_a_file_without_the_columns_is_named_too(home: Path) -> None:
    write(home, "20260101T000000Z", [1.0])
    path = home / "predictions/20260101T000000Z/00000.parquet"
    pq.write_table(pa.table({"target": ["text"], "prediction": [1.0]}), path)
    with pytest.raises(UserError, match="holds no predictions"):
        scored.points(RunFolder(str(home)))
    pq.write_table(pa.table({"target": [1.0]}), path)
    with pytest.raises(UserError, match="holds no predictions"):
        scored.points(RunFolder(str(home)))
