"""How a run stands: rates, lag, delays, and whether it lives."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from model.display import QUIET, STALE
from model.runs import RunFolder
from monitor.watch.status import RunStatus
from tests.kit.watch import change, now


def standing(home: Path, live: bool = True, **values: Any) -> RunStatus:
    """How a run stands that has written such a status."""
    wrote = {"state": "running", "rows_read": 1000, "rate": 50.0, "updated": now()}
    Path("status.json").write_text(json.dumps({**wrote, **values}))
    found = RunStatus(RunFolder(str(home)), live)
    found.look()
    return found


def test_the_rate_of_now_is_that_of_ten_seconds_or_a_little_more(home: Path) -> None:
    begun = datetime.now(timezone.utc) - timedelta(seconds=30)
    found = standing(home, rows_read=0, updated=begun.isoformat())
    assert found.summary()[0] == "0 rows read (50/s)"
    for second, rows in ((10, 1_000), (20, 1_500), (25, 4_500)):
        updated = (begun + timedelta(seconds=second)).isoformat()
        change(Path("status.json"), rows_read=rows, updated=updated)
        found.look()
    assert found.summary()[0] == "4,500 rows read (50/s, now 233)"
    change(Path("status.json"), state="done")
    found.look()
    assert found.summary()[0] == "4,500 rows read (50/s)"


def test_a_run_that_is_not_heard_of_has_no_rate_of_now(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("monitor.watch.status.time.monotonic", lambda: clock)
    found = standing(home, rows_read=0, updated=now(-1))
    change(Path("status.json"), rows_read=100, updated=now())
    found.look()
    assert ", now " in found.summary()[0]
    clock += QUIET + 1
    assert ", now " not in found.summary()[0]


def test_a_time_at_the_edge_of_all_times_is_no_error(home: Path) -> None:
    found = standing(home, updated="0001-01-01T00:00:00Z", watermark="9999-12-31T23:59:59.99Z")
    change(Path("status.json"), updated="0001-01-01T00:00:01Z")
    found.look()
    assert found.summary()[1].startswith("watermark 23:59:59 (-")


def test_a_live_runs_lag_and_delays_are_reported(home: Path) -> None:
    delays: dict[str, Any] = {
        "scored behind": {"count": 9, "p50": 1.0, "p95": 2.26, "p99": 3.0, "max": 9.0}
    }
    times: dict[str, Any] = {
        "watermark": "2026-01-01T00:00:57.5Z",
        "updated": "2026-01-01T00:01:00Z",
    }
    result = standing(home, **times, delays=delays).summary()
    assert result[1:3] == ["watermark 00:00:57 (2.5 s behind)", "scored 2.3 s behind (p95)"]
    assert standing(home, live=False, **times).summary()[1] == "watermark 2026-01-01 00:00:57"
    assert standing(home, **times, state="done").summary()[1] == "watermark 2026-01-01 00:00:57"


def test_what_of_a_topic_is_still_to_read_is_shown_while_the_run_goes_on(home: Path) -> None:
    topic = {"lag_rows": 1_200, "lag_seconds": 2.5, "undecoded": 3, "idle": 1, "partitions": 4}
    shown = ["1,200 rows (2.5 s) to read", "3 records not decoded", "1 of 4 partitions idle"]
    assert standing(home, topic=topic).summary()[-3:] == shown
    assert "1,200" not in "".join(standing(home, topic=topic, state="done").summary())


def test_a_run_that_gives_no_sign_of_life_is_given_up_after_a_while(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("monitor.watch.status.time.monotonic", lambda: clock)
    dead, alive = standing(home, updated=now(-3600)), standing(home)
    clock += QUIET + 1
    assert (dead.state, alive.state) == ("stale", "running")
    dead.mark_alive()  # a new report
    assert dead.state == "running"
    clock += STALE
    assert (dead.state, alive.state) == ("stale", "stale")  # even if the run's clock is ahead
    alive.look()
    assert alive.state == "stale"
    change(Path("status.json"), updated=now(1))
    alive.look()
    assert alive.state == "running"
