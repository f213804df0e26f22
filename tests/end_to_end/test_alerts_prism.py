"""Alerts have the same bytes on the embedded runner and on Prism."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runners.prism import find_prism
from tests.kit.job import content, finish, process
from tests.monitor.test_alerts import FILE, write_shifted


@pytest.mark.slow
@pytest.mark.skipif(find_prism() is None, reason="Prism is not at hand: make prism")
def test_alerts_have_the_same_bytes_on_prism(home: Path) -> None:
    write_shifted()
    for runner in ("direct", "prism"):
        result = finish(process(*FILE[:-1], runner, "--runner", runner))
        assert result.code == 0, result.err
    embedded, found = content("direct"), content("prism")
    for kind in ("alerts", "summaries", "metrics"):
        mine = {name: data for name, data in embedded.items() if name.startswith(f"{kind}/")}
        assert mine and mine == {n: data for n, data in found.items() if n.startswith(f"{kind}/")}
