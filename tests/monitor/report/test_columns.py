"""Columns over time: from samples where there are some, else from manifests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.errors import UserError
from model.runs import RunFolder
from model.store import Store
from monitor.report import artefacts, columns, history
from monitor.report.columns import Described


def describe(folder: Path) -> Described:
    """The columns of a run over time."""
    run = RunFolder(str(folder))
    manifests = artefacts.manifests(Store(run.models))
    return columns.describe(run, history.read(run), manifests)


def test_each_refresh_is_reported_by_its_sample(run: Path) -> None:
    found = describe(run)
    places, numeric, categorical = columns.over_time(found, "idade")
    assert [place.start for place in places] == [f"2026-01-01T00:0{m}:00Z" for m in range(4)]
    assert not categorical and found.source == "up to 1,000 rows of each refresh"
    for column, path in zip(numeric, sorted(run.glob("sample/*.parquet")), strict=True):
        ages = pq.read_table(path).column("idade").to_pandas()
        assert column.mean == pytest.approx(ages.mean())
        assert column.variance == pytest.approx(ages.var(ddof=0))
    _, numeric, categorical = columns.over_time(found, "estado")
    assert not numeric
    states = pq.read_table(sorted(run.glob("sample/*.parquet"))[-1]).column("estado").to_pandas()
    assert categorical[-1].values == states.value_counts().loc[lambda n: n > 0].to_dict()


def test_without_samples_the_manifests_of_the_models_show(mine: Path) -> None:
    shutil.rmtree(mine / "sample")
    found = describe(mine)
    names = Store(str(mine / "models")).names()
    places, numeric, _ = columns.over_time(found, "idade")
    assert len(places) == len(names) == 4
    assert (places[0].start, places[0].end) == ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    manifest = Store(str(mine / "models")).manifest(names[-1])
    assert numeric[-1] == manifest.statistics["idade"]
    assert "models are kept" in found.source


def test_of_many_refreshes_the_last_of_as_many_in_a_row_stands_for_them_without_a_gap(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "PLACES", 3)  # of four refreshes: in twos, from the newest back
    found = describe(run)
    places, numeric, _ = columns.over_time(found, "idade")
    assert places == [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"),
        ("2026-01-01T00:02:00Z", "2026-01-01T00:04:00Z"),
    ]
    for column, name in zip(numeric, ("20260101T000100Z", "20260101T000300Z"), strict=True):
        ages = pq.read_table(run / "sample" / f"{name}.parquet").column("idade").to_pandas()
        assert column.mean == pytest.approx(ages.mean())
    assert found.source == "up to 1,000 rows of one refresh in 2"


def test_a_run_without_anything_shows_nothing(mine: Path) -> None:
    for name in ("sample", "models"):
        shutil.rmtree(mine / name)
    assert columns.over_time(describe(mine), "idade") == ([], [], [])


def test_a_file_that_is_no_sample_is_named(mine: Path) -> None:
    path = next(mine.glob("sample/*.parquet"))
    for data in (pa.table({"idade": [1.0]}), pa.table({"salario": ["x"]})):
        pq.write_table(data, path)
        with pytest.raises(UserError, match=rf"{path.name}: is not a sample of this run"):
            describe(mine)
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"{path.name}: is not a sample of this run"):
        describe(mine)
