"""Fixtures of the server's tests: a run of three windows, made once, and copies to change."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pipeline.__main__ import main
from tests.kit.job import SMALL
from tests.kit.serve import client


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run; not to be changed."""
    folder = tmp_path_factory.mktemp("serve") / "run"
    assert main([*SMALL, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def mine(run: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture(scope="session")
def api(run: Path) -> Iterator[TestClient]:
    """A client of a server of the run, with default options but small limits."""
    with client(run, max_rows=5000, max_body=1 << 20) as made:
        yield made


@pytest.fixture(autouse=True)
def heard() -> None:
    """What the server logs can be seen by ``caplog``."""
    logging.getLogger("monitor.serve").setLevel(logging.INFO)
