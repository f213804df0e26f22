"""WriteAlerts: a refresh's alerts are written before its figures go on, and again by a retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from model.alerts import Thresholds, find_alerts, from_ndjson
from model.asof import format_name
from model.drift import Drift, Shift
from model.metrics import Metrics, Sums, compute_metrics
from tests.kit.streams import MINUTE
from tests.transforms.test_train import files_of
from transforms.alerts import WriteAlerts
from transforms.testing import Gather, embedded

THRESHOLDS = Thresholds(0.25, None)


def refresh(minute: int, psi: float) -> tuple[int, Metrics]:
    """A refresh in which the prediction has that index, with its start."""
    shift = Shift(psi=psi, mean_shift=None, psi_by_chance=0.0, mean_shift_by_chance=None)
    result = compute_metrics(Sums(rows=1, model="m"), minute * MINUTE, (minute + 1) * MINUTE)
    drift = Drift(features={}, prediction=shift)
    return minute * MINUTE, result.model_copy(update={"drift": drift})


def write_alerts(refreshes: list[tuple[int, Metrics]], folder: Path) -> list[Any]:
    """Runs refreshes through ``WriteAlerts``; gives what comes out."""
    with embedded() as pipeline:
        message = pipeline | beam.Create(refreshes) | WriteAlerts(str(folder), THRESHOLDS)
        seen = message | Gather()
    return sorted((one.value for one in seen), key=lambda keyed: keyed[0])


def test_each_refresh_with_alerts_has_a_file_of_them_and_all_go_on(tmp_path: Path) -> None:
    refreshes = [refresh(0, 0.5), refresh(1, 0.25), refresh(2, 0.75)]
    for _ in range(2):
        gone_on = write_alerts(refreshes, tmp_path)
        found = files_of(tmp_path)
        for (start, before), (same, after) in zip(refreshes, gone_on, strict=True):
            named = {
                name: len(data)
                for name, data in found.items()
                if name == f"{format_name(start)}.ndjson"
            }
            assert same == start and after == before.with_files(
                [(f"{tmp_path.name}/{name}", size) for name, size in named.items()]
            )
        assert sorted(found) == ["19700101T000000Z.ndjson", "19700101T000200Z.ndjson"]
        [alert] = from_ndjson(found["19700101T000200Z.ndjson"])
        assert [alert] == find_alerts(refreshes[2][1], THRESHOLDS)
        assert (alert.value, alert.refresh_start) == (0.75, "1970-01-01T00:02:00Z")


def test_alerts_that_cannot_be_written_hold_up_their_report(tmp_path: Path) -> None:
    tmp_path.joinpath("alerts").write_text("a file, where a folder should be")
    with pytest.raises(Exception, match=r"exists|Not a directory"):
        write_alerts([refresh(0, 0.5)], tmp_path / "alerts")
