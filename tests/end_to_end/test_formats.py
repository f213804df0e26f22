"""One job on one table in every format, compression and encoding: the figures of a clean CSV."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.kit.job import Job, metrics, rejects

SCHEMA = """\
name = "s"
time = "ts"
target = "y"
[features]
numeric = ["x"]
categorical = ["c"]
"""
ARGV = ("--schema", "s.toml", "--window", "60", "--learner", "ridge")


def base() -> pd.DataFrame:
    """600 rows, one a second; y = 3 x, and 5 more if c is red, and noise; some values are null."""
    rng = np.random.default_rng(0)
    x, red = rng.normal(size=600).round(6), rng.random(600) < 0.5
    times = pd.date_range("2024-01-01", periods=600, freq="s", tz="UTC")
    return pd.DataFrame(
        {
            "ts": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "y": np.where(np.arange(600) % 50 == 7, np.nan, 3 * x + 5 * red + rng.normal(size=600)),
            "x": np.where(np.arange(600) % 40 == 3, np.nan, x),
            "c": np.where(red, "vermelhão", "azul"),
        }
    )


def csv(frame: pd.DataFrame, **how: str) -> str:
    return frame.to_csv(index=False, **how)


def spark(frame: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as Spark writes them to JSON: null keys are left out."""
    return [
        {key: value for key, value in row.items() if not pd.isna(value)}
        for row in frame.to_dict("records")
    ]


def write_all(frame: pd.DataFrame) -> None:
    """Each tenth of the table, or less, in another format, below one folder."""
    parts = [frame.iloc[n::12] for n in range(12)]
    lines = [json.dumps(row) for row in spark(parts[5])]
    as_text = [{k: str(v) for k, v in row.items()} for row in spark(parts[6])]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", csv(parts[10].iloc[:9]))
        archive.writestr("d/b.csv", csv(parts[10].iloc[9:]))
    parquet = io.BytesIO()
    dated = parts[11].assign(ts=pd.to_datetime(parts[11]["ts"]).dt.tz_convert(None))
    table = pa.Table.from_pandas(dated, preserve_index=False)
    pq.write_table(table, parquet, use_deprecated_int96_timestamps=True)
    content: dict[str, str | bytes] = {
        "0.csv": csv(parts[0]).encode("utf-16"),
        "1/1.tsv": csv(parts[1], sep="\t").encode("utf-8-sig"),
        "2.txt": csv(parts[2], sep=";").encode(),
        "3.csv.xz": lzma.compress(csv(parts[3]).encode()),
        "4.csv.gz": gzip.compress(csv(parts[4]).encode()) + bytes(512),
        "5.ndjson": "\n".join(lines).encode(),
        "6.json": json.dumps(as_text, indent=2).encode(),
        "7.txt": "[" + ",\n".join(json.dumps(row) for row in spark(parts[7])) + "]",
        "9.csv.bz2": bz2.compress(b"") + bz2.compress(csv(parts[9]).encode()),
        "10.zip": packed.getvalue(),
        "d/_SUCCESS": b"",
        "d/part-0.parquet": parquet.getvalue(),
        "d/.part-0.parquet.crc": b"crc",
        "d/part-1.csv": b"",
        ".ipynb_checkpoints/0-checkpoint.csv": csv(parts[0]).encode(),
    }
    for color, rows in parts[8].groupby("c"):
        content[f"8/c={color}/part.csv"] = csv(rows.drop(columns="c")).encode()
    for name, data in content.items():
        path = Path("data", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.mark.parametrize("pattern", ["data", "data/**/*.*"])
def test_a_table_in_all_formats_at_once_gives_the_figures_of_one_csv(
    pattern: str, job: Job
) -> None:
    frame = base()
    Path("s.toml").write_text(SCHEMA)
    Path("clean.csv").write_text(csv(frame))
    write_all(frame)
    job.ran("--input", "clean.csv", *ARGV, "--output", "clean")
    result = job.ran("--input", pattern, *ARGV, "--output", "o")
    assert not rejects("o")
    clean, found = metrics("clean"), metrics("o")
    assert len(found) == 10 and sum(each["rows"] for each in found) == 600
    assert sum(each["scored"] for each in found) == 540
    print(result.err)
    assert "14 files (" in result.err and "left out" in result.err
    for name in ("rows", "scored", "unlabelled", "model"):
        assert [each[name] for each in found] == [each[name] for each in clean]
    for name in ("mae", "r2", "skill"):
        figures = [[each[name] or 0.0 for each in run] for run in (found, clean)]
        np.testing.assert_allclose(figures[0], figures[1], rtol=1e-9)
