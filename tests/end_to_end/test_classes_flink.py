"""Classes that are known later, live on Flink, with a kill amid open questions.

All files are the embedded runner's, alerts and what later ones need of refreshes among them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.end_to_end import flink
from tests.end_to_end.chaos import BATCH, LIVE, Live
from tests.end_to_end.test_labels_flink import assert_same
from tests.kit.job import ROOT

pytestmark = flink.needs_flink
CLASSES = ("--people", "classes", "--people-delay", "0..12s", "--refreshes", "9")
LOGISTIC = ("--learner", "logistic")


def test_a_taskmanager_that_is_killed_leaves_no_trace_in_a_run_of_classes(tmp_path: Path) -> None:
    live = Live(tmp_path / "live", (*CLASSES, *LOGISTIC))
    live.wait_for(lambda: live.reports >= 3, "its third report")
    flink.kill("taskmanager")
    flink.mend()
    live.wait_for_more()
    assert live.end(60) == 0, live.said
    settings = json.loads((live.folder / "settings.json").read_text())
    job = [sys.executable, "-m", "pipeline", *LIVE, "--batch-rows", str(BATCH), *CLASSES, *LOGISTIC]
    argv = [*job, "--start", settings["start"], "--output", str(tmp_path / "replayed")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(live.folder.glob("summaries/*.json"))
    assert_same(live.folder, tmp_path / "replayed")
