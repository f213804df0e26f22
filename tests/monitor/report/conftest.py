"""Two runs to report on, made once; and copies of them, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.__main__ import main
from tests.kit.job import run_on
from tests.kit.report import HOSTILE, HOSTILE_SCHEMA


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of people: four windows of a forest, three of them scored, some rows late."""
    folder = tmp_path_factory.mktemp("report") / "run"
    argv = ["--refreshes", "4", "--rate", "20", "--learner-param", "n_estimators=5"]
    assert main([*argv, "--disorder", "5", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of rows whose names and values are markup, some of them rejected."""
    return run_on(tmp_path_factory.mktemp("hostile"), HOSTILE, HOSTILE_SCHEMA)


@pytest.fixture
def mine(run: Path, home: Path) -> Path:
    """A copy of the run of people."""
    return Path(shutil.copytree(run, home / "run"))
