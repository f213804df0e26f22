"""Alerts, and what later refreshes need of one, live on Flink with a kill."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end import flink
from tests.end_to_end.chaos import Live
from tests.end_to_end.test_labels_flink import LATER, assert_same, replay

pytestmark = flink.needs_flink


def test_a_kill_changes_no_alert_and_no_summary(tmp_path: Path) -> None:
    live = Live(tmp_path / "live", LATER)
    live.wait_for(lambda: live.reports >= 3, "its third report")
    flink.kill("taskmanager")
    flink.mend()
    live.wait_for_more()
    assert live.end(60) == 0, live.said
    assert any(live.folder.glob("summaries/*.json"))
    assert_same(live.folder, replay(live.folder, tmp_path / "replayed"))
