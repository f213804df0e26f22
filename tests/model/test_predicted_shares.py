"""Alerts of predicted classes: a rare class that is predicted more often is named."""

from __future__ import annotations

import numpy as np
import pytest

from model.alerts import replay_alerts
from model.asof import format_iso
from model.batch import SECOND
from model.changes import AlertRules, Thresholds
from model.drift import Drift, Shift, stability_index
from model.metrics import Metrics

HOUR = 3_600 * SECOND
REFRESHES, CHANGED, SOON = 160, 150, 3


def reports(chances: list[dict[str, float]], rows: int, seed: int) -> list[Metrics]:
    """Reports of refreshes whose rows are predicted by drawing from these chances.

    The index is of two thousand rows that are as the first refresh's.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number, chance in enumerate(chances):
        counts = rng.multinomial(rows, [*chance.values()])
        trained = np.array([chances[0].get(name, 0) for name in chance]) * 2_000
        prediction = Shift(
            psi=stability_index(counts.tolist(), trained.tolist()),
            mean_shift=None,
            psi_by_chance=0.1,
            mean_shift_by_chance=None,
        )
        shares = dict(zip(chance, (counts / rows).tolist(), strict=True))
        start = number * HOUR
        found.append(
            Metrics(
                refresh_start=format_iso(start),
                refresh_end=format_iso(start + HOUR),
                model="m",
                rows=rows,
                scored=rows,
                unlabelled=0,
                late=0,
                rejected=0,
                drift=Drift(features={}, prediction=prediction, shares=shares),
            )
        )
    return found


def two(share: float) -> dict[str, float]:
    return {"no": 1 - share, "yes": share}


STREAMS = {
    "1 in 1,000": (two(0.001), two(0.006), 10_000, "yes"),
    "frequent": (two(0.3), two(0.6), 300, "yes"),
    "seldom the other": (two(0.9), two(0.6), 300, "no"),
    "disappears": (two(0.1), two(0.0), 500, "yes"),
    "three": (
        {"a": 0.45, "b": 0.45, "c": 0.1},
        {"a": 0.35, "b": 0.35, "c": 0.3},
        300,
        "c",
    ),
    "a class that is new": (two(0.5), {"no": 0.4, "yes": 0.4, "maybe": 0.2}, 300, "maybe"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_class_that_is_predicted_more_or_less_often_is_named_within_three_refreshes(
    name: str,
) -> None:
    before, after, rows, changed = STREAMS[name]
    chances = [before] * CHANGED + [after] * (REFRESHES - CHANGED)
    rules = AlertRules(Thresholds(0.25, 0.5), "y", HOUR)
    for seed in range(3):
        found = list(replay_alerts(reports(chances, rows, seed), rules))
        shares = [alert for alert in found if alert.what == "share"]
        first = shares[0]
        assert first.refresh_start <= format_iso((CHANGED + SOON - 1) * HOUR)
        assert (first.column, first.predicted) == ("prediction", changed)
        assert first.usual == pytest.approx(before.get(changed, 0), abs=0.05)
        assert f"prediction {changed!r}: share of predictions" in str(first)
        # nothing was an alert before
        assert all(one.refresh_start >= format_iso(CHANGED * HOUR) for one in found)


def test_no_threshold_of_an_index_no_alert_of_a_share() -> None:
    chances = [two(0.3)] * CHANGED + [two(0.6)] * (REFRESHES - CHANGED)
    rules = AlertRules(Thresholds(None, 0.5), "y", HOUR)
    assert not list(replay_alerts(reports(chances, 300, 0), rules))


def test_a_change_of_many_rows_that_does_not_double_the_odds_is_no_alert() -> None:
    chances = [two(0.3)] * CHANGED + [two(0.4)] * (REFRESHES - CHANGED)
    rules = AlertRules(Thresholds(0.25, 0.5), "y", HOUR)
    assert not list(replay_alerts(reports(chances, 100_000, 0), rules))
