"""Ctrl-C and kill -9 at many moments: no half file is seen, and a resumed run ends the same."""

from __future__ import annotations

import glob
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline import source
from tests.kit.job import (
    GOOD,
    HEADER,
    SCHEMA,
    Job,
    assert_whole,
    content,
    finish,
    metrics,
    process,
    resume_options,
    status,
)

RUN = (
    *("--learner", "forest", "--learner-param", "n_estimators=8", "--window", "2s"),
    *("--refreshes", "20", "--rate", "100", "--batch-rows", "170", "--disorder", "1s"),
)
DISTURBED = {
    "when its status is there": ("status.json", 1),
    "in its first model": ("models/*/.model.joblib.*", 1),
    "after its first model": ("models/*/manifest.json", 1),
    "after half of its models": ("models/*/manifest.json", 10),
    "after its first predictions": ("predictions/*/*.parquet", 1),
    "after half of its predictions": ("predictions/*/*.parquet", 10),
    "after its first sample": ("sample/*.parquet", 1),
    "after its first report": ("metrics/*.json", 1),
    "after half of its reports": ("metrics/*.json", 10),
    "after its last report": ("metrics/*.json", 20),
}
"""Which files of a run, and how many of them, are waited for."""
FAST = [("after its first model", signal.SIGINT), ("after half of its models", signal.SIGKILL)]
SLOW = [
    ("when its status is there", signal.SIGINT),
    ("in its first model", signal.SIGKILL),
    ("after its first predictions", signal.SIGKILL),
    ("after half of its predictions", signal.SIGINT),
    ("after its first sample", signal.SIGKILL),
    ("after its first report", signal.SIGINT),
    ("after half of its reports", signal.SIGKILL),
    ("after its last report", signal.SIGKILL),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "o"
    assert finish(process(*RUN, "--output", folder)).code == 0
    assert len(metrics(folder)) == 20
    return content(folder)


def disturb(running: subprocess.Popen[str], moment: str, signal_: signal.Signals) -> None:
    """Sends a signal as soon as the moment has come; a run that has ended does not mind."""
    pattern, number = DISTURBED[moment]
    while len(glob.glob(pattern, root_dir="o")) < number and running.poll() is None:
        time.sleep(0.001)
    running.send_signal(signal_)


def interrupt(moment: str, signal_: signal.Signals) -> None:
    """Disturbs a run and looks at what it left."""
    running = process(*RUN, "--output", "o")
    disturb(running, moment, signal_)
    result = finish(running)
    assert_whole("o")
    if result.code == 0 or status("o")["state"] == "done":  # the run was quicker than the signal
        return
    if signal_ is signal.SIGKILL:
        assert (result.code, status("o")["state"]) == (-signal.SIGKILL, "running")
        return
    assert (result.code, status("o")["state"]) == (130, "interrupted")
    complete = re.findall(r"interrupted: (\d+) refresh(?:es are| is) complete in o;", result.err)[0]
    assert int(complete) <= len(metrics("o"))
    assert resume_options(result) == [*RUN, "--output", "o", "--resume"]
    assert "Traceback" not in result.err


def interrupt_and_resume(moment: str, signal_: signal.Signals, undisturbed: dict[str, str]) -> None:
    interrupt(moment, signal_)
    result = finish(process(*RUN, "--output", "o", "--resume"))
    assert result.code == 0, result.err
    assert content("o") == undisturbed
    assert status("o")["state"] == "done"


@pytest.mark.parametrize(("moment", "signal_"), FAST)
def test_a_run_that_is_stopped_leaves_whole_files_and_is_resumed_to_the_same(
    moment: str, signal_: signal.Signals, undisturbed: dict[str, str], home: Path
) -> None:
    interrupt_and_resume(moment, signal_, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "signal_"), SLOW)
def test_a_run_may_be_stopped_at_any_moment(
    moment: str, signal_: signal.Signals, undisturbed: dict[str, str], home: Path
) -> None:
    interrupt_and_resume(moment, signal_, undisturbed)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_is_resumed_to_the_same(
    undisturbed: dict[str, str], home: Path
) -> None:
    interrupt("after its first model", signal.SIGKILL)
    for moment in ("after half of its models", "after its first predictions"):
        running = process(*RUN, "--output", "o", "--resume")
        disturb(running, moment, signal.SIGKILL)
        finish(running)
        assert_whole("o")
    assert finish(process(*RUN, "--output", "o", "--resume")).code == 0
    assert content("o") == undisturbed
    shutil.rmtree("o")


def test_an_interrupt_while_files_are_looked_through_leaves_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looking(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "plan", looking)
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text(HEADER + GOOD)
    assert job("--input", "in.csv", "--schema", "s.toml") == (130, "", "interrupted\n")
    assert sorted(path.name for path in Path().iterdir()) == ["in.csv", "s.toml"]
