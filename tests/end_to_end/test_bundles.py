"""A source whose items fill many bundles: none of its rows is lost between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.job import Job, metrics
from transforms.sources.planner import ITEMS_A_BUNDLE

pytestmark = pytest.mark.slow


def test_all_rows_of_more_work_items_than_a_bundle_takes_are_reported(
    job: Job, tmp_path: Path
) -> None:
    argv = ("--learner", "ridge", "--refreshes", "3", "--rate", "1000", "--batch-rows", "200")
    assert 2 * ITEMS_A_BUNDLE * 200 < 180_000
    job.ran(*argv, "--output", tmp_path / "run")
    assert [report["rows"] for report in metrics(tmp_path / "run")] == [60_000] * 3
