"""Labels that come later, live on Flink: a savepoint and a drain amid open questions.

A kill amid open questions is that of ``test_classes_flink``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end import flink
from tests.end_to_end.chaos import BATCH, LIVE, Live
from tests.kit.job import ROOT, assert_whole, content, status

pytestmark = flink.needs_flink
LATER = ("--people-delay", "0..12s", "--refreshes", "15")
"""Salaries are known up to three refreshes of 5 s after people have come. There are so many that a
slow start is over before the last one: a savepoint behind the end of the source is another case."""


def replay(run: Path, folder: Path) -> Path:
    """The same people, cut the same, on the embedded runner."""
    settings = json.loads((run / "settings.json").read_text())
    job = [sys.executable, "-m", "pipeline", *LIVE, "--batch-rows", str(BATCH), *LATER]
    argv = [*job, "--start", settings["start"], "--output", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def assert_same(run: Path, replayed: Path) -> None:
    """The files of both are the same, but for settings.json, which differ in --live."""
    assert_whole(run)
    one, other = content(run), content(replayed)
    one.pop("settings.json"), other.pop("settings.json")
    differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    assert not differ, f"{len(differ)} files differ: {differ[:5]}"
    assert any(name.startswith("outcomes/") for name in one)


@pytest.mark.parametrize(
    ("way", "ends"), [("savepoint", (130, "interrupted")), ("drain", (0, "drained"))]
)
def test_a_run_that_is_stopped_amid_open_questions_goes_on_to_the_same_files(
    way: str, ends: tuple[int, str], tmp_path: Path
) -> None:
    live = Live(tmp_path / "live", (*LATER, "--on-interrupt", way))
    live.wait_for(lambda: live.reports >= 3, "its third report")
    live.process.send_signal(signal.SIGINT)
    ended = (live.end(), status(live.folder)["state"])
    if ended != (0, "done"):  # it was quicker: its start took so long that all came at once
        assert ended == ends, live.said
        live.go_on()
        assert live.end(60) == 0, live.said
    assert_same(live.folder, replay(live.folder, tmp_path / "replayed"))
