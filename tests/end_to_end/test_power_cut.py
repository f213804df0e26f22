"""A power cut at any moment: what was reported is there, and ``--resume`` ends with the rest."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.end_to_end.power_cuts import RUNS, can_mount, cut_ext4, cut_synced, finish
from tests.kit.job import content

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_has_ended_is_on_the_disk_whole(kind: str, tmp_path: Path) -> None:
    finish([*RUNS[kind], "--output", tmp_path / "run"])
    whole = content(tmp_path / "run")
    assert "ended.json" in whole
    assert cut_synced(RUNS[kind], None, tmp_path / "cut") == [whole, whole]
    if not can_mount(tmp_path):
        pytest.skip("a real file system is cut only by root, with loop devices")
    assert cut_ext4(RUNS[kind], None, tmp_path / "real") == whole


@pytest.mark.parametrize(("kind", "part"), [("ridge", 0.7), ("ridge", 0.95), ("forest", 0.8)])
def test_a_run_whose_power_was_cut_goes_on_to_the_same_files(
    kind: str, part: float, tmp_path: Path
) -> None:
    began = time.monotonic()
    finish([*RUNS[kind], "--output", tmp_path / "run"])
    seconds, whole = part * (time.monotonic() - began), content(tmp_path / "run")
    assert cut_synced(RUNS[kind], seconds, tmp_path / "cut") == [whole, whole]
    if not can_mount(tmp_path):
        pytest.skip("a real file system is cut only by root, with loop devices")
    assert cut_ext4(RUNS[kind], seconds, tmp_path / "real") == whole
