"""A short form of ``make attack``: hostile clients cost well-behaved ones little."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.end_to_end.attack import attack
from tests.kit.job import SMALL
from tests.kit.serve import serve

pytestmark = pytest.mark.slow


def test_hostile_clients_and_a_damaged_folder_stop_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    with serve(folder, "--timeout", 5) as server:
        seen = attack(server, folder, 12)
        assert server.running.poll() is None
        lines = server.logged("request")
    assert seen.attacks > 40
    assert seen.failures == []
    third = len(seen.memory) // 3
    assert max(seen.memory[-third:]) < max(seen.memory[:third]) + (200 << 20)
    assert max(seen.files) < 300
    assert not any(line["status"] == 500 for line in lines)
