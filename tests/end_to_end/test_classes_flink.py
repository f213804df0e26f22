"""Classes on Flink: replayed, and live with a kill amid questions whose labels come later.

All files are the embedded runner's, alerts and what later ones need of refreshes among them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end import flink
from tests.end_to_end.chaos import BATCH, LIVE, Live
from tests.end_to_end.test_classes_prism import PEOPLE, RUNS, SCHEMA
from tests.end_to_end.test_labels_flink import assert_same
from tests.kit.job import ROOT, content, finish, process

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


@pytest.mark.parametrize(
    "name", ["three classes, a sliding window and a lag", "a forest of a sample, threshold by cost"]
)
def test_flink_writes_the_bytes_of_the_embedded_runner(name: str, tmp_path: Path) -> None:
    target, more, learner, options = RUNS[name]
    schema = tmp_path / "schema.toml"
    schema.write_text(SCHEMA.format(target=target, more=more))
    argv = (*PEOPLE, "--schema", schema, "--learner", learner, *options)
    for folder, runner in {"direct": ("--runner", "direct"), "flink": flink.WORDS}.items():
        result = finish(process(*argv, *runner, "--output", tmp_path / folder))
        assert result.code == 0, result.err
    wanted = content(tmp_path / "direct")
    assert wanted
    assert content(tmp_path / "flink") == wanted
