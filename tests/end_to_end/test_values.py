"""The same table, with its values written otherwise, makes the same models and predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.kit.job import SCHEMA, Job, metrics, models

ROWS = 240
TIMES = pd.date_range("2024-01-01", periods=ROWS, freq="s", tz="UTC")
RED = [row % 3 == 0 for row in range(ROWS)]
X = [float(row * 7 % 11) for row in range(ROWS)]
Y = [3 * x + 5 * red for x, red in zip(X, RED, strict=True)]
WORDS = ("--schema", "s.toml", "--learner", "ridge", "--window", "60", "--min-rows", "1")


def run_values(job: Job, name: str) -> dict[str, Any]:
    """What a run on a file made, but for the hashes of its reports' files."""
    result = job.ran("--input", name, *WORDS, "--output", f"run-{name}")
    folder = Path(f"run-{name}")
    reports = [{**report, "files": None} for report in metrics(folder)]
    hashes = [manifest["sha256"] for manifest in models(folder).values()]
    return {"reports": reports, "models": hashes, "said": result.err}


def test_times_and_categories_are_the_same_in_every_format(job: Job) -> None:
    Path("s.toml").write_text(SCHEMA)
    plain = pd.DataFrame({"t": TIMES.strftime("%Y-%m-%dT%H:%M:%SZ"), "y": Y, "x": X, "c": RED})
    plain.to_csv("in.csv", index=False)
    millis = (TIMES.as_unit("ms").astype("int64")).tolist()
    lines = [json.dumps({"t": t, "y": y, "x": x, "c": c})
             for t, y, x, c in zip(millis, Y, X, RED, strict=True)]  # fmt: skip
    Path("in.ndjson").write_text("\n".join([*lines, ""]))
    typed = {"t": pa.array(TIMES.tz_localize(None)), "y": Y, "x": X, "c": RED}
    pq.write_table(pa.table(typed), "in.parquet")
    csv, ndjson, parquet = (run_values(job, f"in.{kind}") for kind in ("csv", "ndjson", "parquet"))
    assert len(csv["reports"]) == 4
    assert csv["reports"] == ndjson["reports"] == parquet["reports"]
    assert csv["models"] == ndjson["models"] == parquet["models"]
    assert "taken as milliseconds since 1970" in ndjson["said"]
    assert "taken as" not in csv["said"] + parquet["said"]
    manifest = next(iter(models("run-in.csv").values()))
    assert set(manifest["statistics"]["c"]["values"]) == {"true", "false"}


def test_times_that_cannot_be_meant_are_refused_before_anything_is_written(job: Job) -> None:
    Path("s.toml").write_text(SCHEMA)
    table = {"t": pa.array(range(ROWS), pa.timestamp("ms")), "y": Y, "x": X, "c": RED}
    pq.write_table(pa.table(table), "in.parquet")
    message = job.refused("--input", "in.parquet", *WORDS, "--output", "o")
    assert "all times lie between 1970-01-01T00:00:00Z and 1970-01-01T00:00:00.239000Z" in message
    assert not Path("o").exists()
    Path("s.toml").write_text('time_format = "%d/%q"\n' + SCHEMA)
    message = job.refused("--input", "in.parquet", *WORDS, "--output", "o")
    assert "'%q' is not a directive of strptime" in message
