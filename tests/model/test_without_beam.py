"""Opening a model and predicting, and all that reads a run's folder, works without Beam."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from model.manifest import Learner
from model.store import Store
from tests.kit.job import ROOT
from tests.kit.rows import LEARNERS, rides, train_model

BLOCKED = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "apache_beam":
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""
NAME = "20261123T120640Z"


def without_beam(script: str, *argv: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own that cannot import Beam."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + script, *argv],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.name)
def test_an_artefact_is_opened_and_predicts_without_beam(learner: Learner, tmp_path: Path) -> None:
    batch = rides(400)
    store = Store(str(tmp_path / "models"))
    store.commit(NAME, *train_model(learner, batch))
    with pa.ipc.new_file(tmp_path / "rows.arrow", batch.schema) as file:
        file.write_batch(batch)
    script = f"""
import numpy as np
import pyarrow as pa
from model.store import Store

rows = pa.ipc.open_file("rows.arrow").get_batch(0)
np.save("predictions.npy", Store("models").load({NAME!r}).predict(rows))
"""
    done = without_beam(script, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = np.load(tmp_path / "predictions.npy")
    assert found.tobytes() == store.load(NAME).predict(batch).tobytes()


@pytest.mark.parametrize("command", ["ask", "models", "predict", "report", "serve", "watch"])
def test_a_command_that_reads_a_run_loads_no_beam(command: str, tmp_path: Path) -> None:
    script = "from pipeline.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    done = without_beam(script, command, "--help", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
