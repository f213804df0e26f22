"""Command lines run in an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.kit.job import Job


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder in which a test runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def job(home: Path, capsys: pytest.CaptureFixture[str]) -> Job:
    """Runs command lines there."""
    return Job(capsys)
