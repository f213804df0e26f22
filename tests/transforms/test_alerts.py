"""WriteAlerts: a refresh's alerts are written before its figures go on, and again by a retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from model.alerts import from_ndjson, replay_alerts
from model.asof import format_name
from model.baselines import RefreshSummary
from model.changes import AlertRules, Thresholds
from model.memory import remember
from model.metrics import Metrics
from model.remembered import as_json, file_name
from model.runs import RunFolder
from tests.model.test_alerts import CHANGED, FIRST, HOUR, REFRESHES, report
from transforms.alerts import WriteAlerts
from transforms.testing import Gather, embedded

RULES = AlertRules(Thresholds(0.25, 0.5), "y", HOUR)
STREAM = [report(n, **({"mae": 40.0} if n >= CHANGED else {})) for n in range(REFRESHES)]


def write_alerts(folder: Path, first: int = 0) -> list[Any]:
    """Runs the refreshes from one on through ``WriteAlerts``; gives what comes out."""
    keyed = [(FIRST + n * HOUR, metrics) for n, metrics in enumerate(STREAM)][first:]
    with embedded() as pipeline:
        made = beam.Create(keyed, reshuffle=False)
        seen = pipeline | made | WriteAlerts(RunFolder(str(folder)), RULES) | Gather()
    return sorted((one.value for one in seen), key=lambda each: each[0])


def write_past(folder: Path, summaries: range, reports: range) -> None:
    """Writes what is known of refreshes, as ``Evaluate`` and an older version's job do."""
    for kind, numbers in (("summaries", summaries), ("metrics", reports)):
        folder.joinpath(kind).mkdir()
        for number in numbers:
            start, metrics = FIRST + number * HOUR, STREAM[number]
            data = metrics.as_json()
            if kind == "summaries":
                data = as_json(RefreshSummary(), start, remember(metrics).as_fields())
            folder.joinpath(kind, file_name(start)).write_bytes(data)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_refresh_with_alerts_has_a_file_of_them_and_all_go_on(tmp_path: Path) -> None:
    write_past(tmp_path, range(REFRESHES), range(0))
    expected: dict[str, list[Any]] = {}
    for one in replay_alerts(STREAM, RULES):
        expected.setdefault(one.refresh_start, []).append(one)
    for _ in range(2):
        gone_on = write_alerts(tmp_path)
        found = files_of(tmp_path / "alerts")
        for (start, after), before in zip(gone_on, STREAM, strict=True):
            name = f"{format_name(start)}.ndjson"
            alerts = expected.get(before.refresh_start, [])
            assert from_ndjson(found.pop(name, b"")) == alerts
            size = tmp_path.joinpath("alerts", name).stat().st_size if alerts else 0
            assert after == (before.with_files([(f"alerts/{name}", size)]) if alerts else before)
        assert found == {}
    assert len(expected) > 2


@pytest.mark.parametrize(
    ("summaries", "reports"),
    [(range(REFRESHES), range(0)), (range(0), range(52)), (range(30, 60), range(40))],
)
def test_a_resumed_run_has_the_alerts_of_one_that_never_stopped(
    summaries: range, reports: range, tmp_path: Path
) -> None:
    write_past(tmp_path, summaries, reports)
    write_alerts(tmp_path, first=52)
    found = [one for data in files_of(tmp_path / "alerts").values() for one in from_ndjson(data)]
    since = STREAM[52].refresh_start
    late = [one for one in replay_alerts(STREAM, RULES) if one.refresh_start >= since]
    if len(summaries) < REFRESHES and summaries.start < 30:  # those that are reported are no past
        late = [one for one in late if one.refresh_start == since]
        found = [one for one in found if one.refresh_start == since]
    assert late and sorted(found, key=str) == sorted(late, key=str)


def test_alerts_that_cannot_be_written_hold_up_their_report(tmp_path: Path) -> None:
    write_past(tmp_path, range(REFRESHES), range(0))
    tmp_path.joinpath("alerts").write_text("a file, where a folder should be")
    with pytest.raises(RuntimeError, match="alerts"):
        write_alerts(tmp_path)


def test_without_a_run_length_nothing_is_written(tmp_path: Path) -> None:
    write_past(tmp_path, range(REFRESHES), range(0))
    keyed: list[tuple[int, Metrics]] = [(FIRST + 52 * HOUR, STREAM[52])]
    with embedded() as pipeline:
        rules = RULES._replace(run_length=None)
        pipeline | beam.Create(keyed) | WriteAlerts(RunFolder(str(tmp_path)), rules)
    assert not tmp_path.joinpath("alerts").exists()
