"""The whole graph as time goes by (TestStream), beside a plain loop over the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from model.asof import parse_name
from model.batch import SECOND
from pipeline.testing import run_graph
from tests.kit.streams import MEAN, row, schema_file, shuffle, stream
from tests.transforms.test_assign_models import oracle
from tests.transforms.test_train import files_of
from transforms.testing import FromBatches, replay

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "disorder": {"disorder": 30},
    "late": {"disorder": 2, "batch_rows": 9},
    "lag": {"disorder": 30, "lag": 2},
    "sliding": {"disorder": 10, "window": 180, "every": 60},
    "before 1970": {"disorder": 30, "lag": 2, "shift": -400},
    "latency": {"disorder": 1000, "latency": 20, "shards": 1, "batch_rows": 30},
}


def gappy(shift: float = 0) -> list[dict[str, Any]]:
    """Rows out of order, with a gap of several windows and a minute without a target."""
    rows = [*stream(80, 200, seed=1), *stream(60, 150, seed=2, start=500)]
    for each in rows:
        if 560 <= each["t"] < 620:
            each["y"] = None
        each["t"] += shift
    blocks = [rows[i : i + 8] for i in range(0, len(rows), 8)]
    return [r for i, block in enumerate(blocks) for r in shuffle(block, i)]


def run(folder: Path, source: Any, options: dict[str, Any]) -> Path:
    folder.mkdir()
    result = {"schema_file": schema_file(folder), "learner": MEAN, "keep": 0, **options}
    (folder / "run").mkdir()
    run_graph(gappy(result.pop("shift", 0)), str(folder / "run"), source, **result)
    return folder / "run"


def expected(options: dict[str, Any]) -> dict[int, tuple[str | None, float | None, bool]]:
    """Each row's model, prediction and late mark, by a plain loop: the mean of its window."""
    rows, every = gappy(options.get("shift", 0)), 60
    window, disorder = options.get("window", 60), options.get("disorder", 0)
    chosen = oracle(rows, every, window, options.get("lag", 1), disorder)
    greatest = np.maximum.accumulate([r["t"] for r in rows])
    tardy = [False] + [r["t"] < g - disorder for r, g in zip(rows[1:], greatest, strict=False)]
    found = {}
    for i, name in enumerate(chosen):
        mean = None
        if name is not None:
            end = parse_name(name) // SECOND
            mean = np.mean(
                [
                    r["y"]
                    for r, late in zip(rows, tardy, strict=True)
                    if end - window <= r["t"] < end and r["y"] is not None and not late
                ]
            )
        found[i] = (name, mean, tardy[i])
    return found


@pytest.mark.parametrize("name", CASES)
def test_as_time_goes_by_each_row_is_scored_as_a_plain_loop_shows(
    tmp_path: Path, name: str
) -> None:
    folder = run(tmp_path / "streamed", replay, CASES[name])
    result = [
        r for p in folder.glob("predictions/*/*.parquet") for r in pq.read_table(p).to_pylist()
    ]
    wanted = expected(CASES[name])
    assert sorted(r["id"] for r in result) == sorted(wanted)
    assert len({m for m, _, _ in wanted.values()}) >= 5
    assert any(late for _, _, late in wanted.values()) == (name in ("plain", "late", "sliding"))
    for each in result:
        model, mean, late = wanted[each["id"]]
        assert (each["model"], each["late"]) == (model, late)
        assert each["prediction"] == (mean if mean is None else pytest.approx(mean, rel=1e-9))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_run_in_time_and_one_at_once_write_the_same_files(tmp_path: Path, name: str) -> None:
    def shuffled(made: list[Any]) -> Any:
        return FromBatches(shuffle(made, 3))

    streamed = files_of(run(tmp_path / "streamed", replay, CASES[name]))
    at_once = files_of(run(tmp_path / "at_once", shuffled, CASES[name]))

    def kept(found: dict[str, bytes]) -> dict[str, bytes]:
        return {path: data for path, data in found.items() if not path.startswith("timing/")}

    assert kept(streamed) == kept(at_once)


def test_a_late_row_is_scored_but_not_trained_on(tmp_path: Path) -> None:
    rows = [row(0, y=1), row(50, y=3), row(65, y=5), row(20, y=100), row(130, y=7)]
    found = run_graph(
        rows, str(tmp_path / "run"), replay, schema_file=schema_file(tmp_path), learner=MEAN
    )
    first, second, third = found.reports()
    assert (first.rows, second.rows, third.rows) == (2, 2, 1)
    assert (first.late, second.late, third.late) == (0, 1, 0)
    assert second.scored == 2
    assert second.mae == pytest.approx((abs(5 - 2) + abs(100 - 2)) / 2)
    assert third.mae == pytest.approx(abs(7 - 5))
