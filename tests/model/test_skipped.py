from __future__ import annotations

import json

import pytest

from model.errors import FitFailed
from model.skipped import Skipped, default_min_rows, few_rows, fit_failed, one_line, summarize

MINUTE = 60_000_000


def test_a_skip_is_written_as_the_contract_shows() -> None:
    skipped = few_rows(0, MINUTE, 3, 10)
    assert json.loads(skipped.as_json()) == {
        "format": 1,
        "window_start": "1970-01-01T00:00:00Z",
        "window_end": "1970-01-01T00:01:00Z",
        "rows": 3,
        "kind": "few_rows",
        "reason": "3 labelled rows, where --min-rows is 10",
    }
    assert skipped.name == "19700101T000100Z"
    assert Skipped.model_validate_json(skipped.as_json()) == skipped


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        ("ValueError: two\nlines\t here ", "ValueError: two lines here"),
        ("TypeError: <a.B object at 0x7f0012AB> is odd", "TypeError: <a.B object> is odd"),
        ("KeyError: " + "x" * 400, "KeyError: " + "x" * 289 + "…"),
    ],
)
def test_the_reason_of_a_failed_fit_is_one_line_without_addresses(raised: str, reason: str) -> None:
    skipped = fit_failed(0, MINUTE, 60, FitFailed(raised))
    assert (skipped.kind, skipped.rows, skipped.reason) == ("fit_failed", 60, reason)
    assert one_line(skipped.reason) == reason


@pytest.mark.parametrize("features", range(1, 300))
def test_a_day_of_hourly_rows_makes_a_model_and_nine_rows_never_do(features: int) -> None:
    assert 9 < default_min_rows(features) <= 20
    assert default_min_rows(features) <= default_min_rows(features + 1)


def test_the_summary_has_a_line_a_kind() -> None:
    failed = fit_failed(MINUTE, 2 * MINUTE, 60, FitFailed("ValueError: no"))
    skips = [few_rows(0, MINUTE, 1, 10), failed, failed]
    assert list(summarize(skips, "o/skipped")) == [
        "1 window with too few labelled rows made no model (o/skipped)",
        "2 windows whose fit failed made no model: ValueError: no (o/skipped)",
    ]
    assert list(summarize([], "o/skipped")) == []
