"""What the project can use and does not need, for tests: ``make learners`` and ``make mlflow``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.job import ROOT

LEARNERS = ROOT / ".tools" / "learners"
MLFLOW = ROOT / ".tools" / "mlflow"


def learners_path() -> Path:
    """Where LightGBM and others are; without them the test is skipped."""
    if not LEARNERS.is_dir():
        pytest.skip("run make learners first")
    return LEARNERS


def mlflow_bin() -> Path:
    """Where MLflow's commands are; without them the test is skipped."""
    if not (MLFLOW / ".done").exists():
        pytest.skip("run make mlflow first")
    return MLFLOW / "bin"


@contextmanager
def with_learners() -> Iterator[None]:
    """The context in which this process can import what ``make learners`` has installed."""
    path = str(learners_path())
    before = set(sys.modules)
    sys.path.append(path)
    try:
        yield
    finally:
        sys.path.remove(path)
        for name in set(sys.modules) - before:  # what is imported later shall not find them
            if str(getattr(sys.modules[name], "__file__", "") or "").startswith(path):
                del sys.modules[name]


def variables(*paths: Path) -> dict[str, str]:
    """A process's variables: the project and these folders can be imported."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *paths)))}
