"""Bundles that load modules at once, as the first ones of a job do."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model import learners
from model.artefact import load_bytes
from model.manifest import Learner
from tests.kit.rows import rides, train_model

LEARNER = "slow_package.inner:Mean"
MODULES = {
    "__init__.py": "import time; time.sleep(0.5)",
    "inner/__init__.py": "from slow_package.inner.leaf import Mean",
    "inner/leaf.py": """
class Mean:
    def fit(self, rows, target):
        self.mean = target.mean()
        return self
    def predict(self, rows):
        return [self.mean] * len(rows)
""",
}
"""As ``sklearn``, ``sklearn.linear_model`` and ``sklearn.linear_model._ridge``."""


def forget() -> None:
    """Has the package loaded anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "slow_package"]:
        del sys.modules[name]


def test_a_learner_is_made_while_another_thread_opens_a_model_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_package" / "inner").mkdir(parents=True)
    for name, text in MODULES.items():
        (tmp_path / "slow_package" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    model, _ = train_model(Learner(LEARNER, {}, 0), rides(20))
    forget()
    with ThreadPoolExecutor(2) as threads:
        made = threads.submit(learners.make, LEARNER, {}, 0)
        time.sleep(0.2)  # the package is being loaded
        opened = threads.submit(load_bytes, model)
        assert type(made.result(timeout=120)) is type(opened.result(timeout=120).estimator)
    forget()
