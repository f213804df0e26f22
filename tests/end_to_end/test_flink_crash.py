"""Parts of a live job on Flink are killed, once each: nothing of it shows in the run's files.

``make chaos`` kills each ten times; see ``tests/end_to_end/chaos.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.chaos import (
    KILLS,
    assert_nothing_shows,
    disturb,
    pool,
    undisturbed,
)
from tests.end_to_end.flink import needs_flink

pytestmark = needs_flink


@pytest.mark.parametrize("part", list(KILLS))
def test_a_part_that_is_killed_leaves_no_trace_in_what_is_written(
    part: str, tmp_path: Path
) -> None:
    with pool(tmp_path / "pool.log"):
        run = disturb(part, 1, tmp_path, seed=0)
    assert_nothing_shows(run, undisturbed(run, tmp_path / "undisturbed"))
