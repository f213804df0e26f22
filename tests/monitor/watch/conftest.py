"""A run to watch, made once; and copies of it, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kit.job import SMALL


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of eight windows with late rows."""
    from pipeline.__main__ import main

    folder = tmp_path_factory.mktemp("watch") / "run"
    argv = ["--refreshes", "8", "--disorder", "5", "--output", str(folder)]
    assert main([*SMALL, *argv]) == 0
    return folder


@pytest.fixture
def mine(run: Path, home: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(run, "run"))
