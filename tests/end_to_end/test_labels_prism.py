"""Labels that come later on Prism: the bytes of the embedded runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from pipeline import run_on
from pipeline.runners.prism import find_prism
from tests.end_to_end.streams import MADE, make_stream, parquet_files
from tests.end_to_end.test_labels import BY_KIND, as_dicts, delayed, made_schema, schema_of
from tests.kit.job import content, finish, process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism"),
]


@pytest.mark.parametrize(
    "options",
    [("--latency", "20s"), ("--lag", "2", "--window", "3m", "--every", "1m", "--refreshes", "30")],
    ids=["serve windows", "sliding windows, a lag and an end within"],
)
def test_prism_writes_the_bytes_of_the_embedded_runner(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    rows = delayed(make_stream(windows=40, rows_a_window=60, seed=5))
    given = parquet_files(rows, tmp_path / "in", pieces=3, group=97)
    schema = schema_of(MADE, tmp_path / "made.toml")
    schema.write_text(schema.read_text() + BY_KIND)
    for runner in ("direct", "prism"):
        argv = ("--input", given, "--schema", schema, "--learner", "ridge", "--runner", runner)
        more = ("--batch-rows", "50", "--latest", "2030-01-01", *options)
        result = finish(process(*argv, *more, "--output", tmp_path / runner))
        assert result.code == 0, result.err
    found = content(tmp_path / "prism")
    assert found == content(tmp_path / "direct")
    assert any(str(path).startswith("outcomes") for path in found)


def test_a_source_of_ones_own_has_the_bytes_of_the_embedded_runner(tmp_path: Path) -> None:
    rows = delayed(make_stream(windows=12, rows_a_window=60, seed=5))
    given: Any = {"window": "1m", "learner": "ridge", "min_rows": 1, "latest": "2030-01-01"}
    for runner in ("direct", "prism"):
        source = beam.Create(as_dicts(rows), reshuffle=False)  # one bundle on each
        run_on(source, made_schema(), tmp_path / runner, runner=runner, **given)
    found = content(tmp_path / "prism")
    assert found == content(tmp_path / "direct")
    assert any(str(path).startswith("outcomes") for path in found)
