"""The same rows in several CSV dialects, through the command line: the same figures, and a note."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.kit.job import SCHEMA, Job, metrics

RUN = ["--schema", "s.toml", "--window", "60", "--learner", "ridge", "--output", "o"]


def frame() -> pd.DataFrame:
    """600 rows, one a second; every third category holds a quote and a comma."""
    rng = np.random.default_rng(3)
    x, red = rng.integers(-3000, 3000, 600) / 1000, rng.random(600) < 0.5
    times = pd.date_range("2024-01-01", periods=600, freq="s").strftime("%Y-%m-%dT%H:%M:%SZ")
    c = np.where(red, "red", np.where(np.arange(600) % 3, "blue", 'the "b", c'))
    return pd.DataFrame({"t": times, "y": np.round(3 * x + 5 * red, 3), "x": x, "c": c})


def as_spark(rows: pd.DataFrame) -> str:
    quoted = rows.assign(c=[f'"{c}"' if "," in c else c for c in rows["c"].str.replace('"', r"\"")])
    lines = [",".join(map(str, row)) for row in quoted.to_numpy()]
    return "\n".join(["t,y,x,c", *lines]) + "\n"


WRITTEN = {
    "plain": (lambda rows: rows.to_csv(index=False), ""),
    "Spark": (as_spark, r'escape = "\\"'),
    "German": (
        lambda rows: rows.to_csv(index=False, sep=";", decimal=","),
        'delimiter = ";", decimal = ","',
    ),
}


@pytest.mark.parametrize("dialect", WRITTEN)
def test_every_row_is_read_and_scored_alike_in_every_dialect(dialect: str, job: Job) -> None:
    write, keys = WRITTEN[dialect]
    Path("in.csv").write_text(write(frame()))
    Path("s.toml").write_text(SCHEMA)
    result = job.ran("--input", "in.csv", *RUN)
    reports = metrics("o")
    assert [report["rows"] for report in reports] == [60] * 10
    assert [report["scored"] for report in reports] == [0] + [60] * 9
    assert sum(report["rejected"] for report in reports) == 0
    assert max(report["mae"] for report in reports[1:]) < 0.3
    note = f"in.csv: read as [csv] {keys} (found in the file; set it to fix it)"
    assert (note in result.err) == bool(keys)
