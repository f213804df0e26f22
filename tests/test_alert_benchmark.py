"""The benchmark of alerts, in short: few false alarms, and planted changes are found and named."""

from __future__ import annotations

import pytest

from benchmarks import alerts


@pytest.mark.parametrize("stream", ["shuffled", "AR(1), 0.9", "daily, steep"])
def test_a_stream_that_does_not_change_has_hardly_an_alert(stream: str) -> None:
    false, refreshes, lines = alerts.count_false(alerts.STREAMS[stream], range(1))
    assert refreshes == alerts.REFRESHES - 20
    assert false <= refreshes / 200 + 2, lines


@pytest.mark.parametrize("change", alerts.CHANGES)
def test_a_planted_change_is_found_within_three_refreshes_and_named(change: str) -> None:
    assert alerts.count_found(alerts.STREAMS["shuffled"], change, range(1)) == (1, [])
