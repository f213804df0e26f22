"""What of a run's folder is not whole, and a run whose folder is taken away while it works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model.runs import RunFolder
from pipeline.integrity import check_whole, find_losses
from tests.kit.job import SMALL, Job, finish, process

MINUTE = 60_000_000


@pytest.mark.slow
def test_a_folder_that_is_removed_while_a_run_writes_is_not_made_again_and_the_run_fails(
    home: Path,
) -> None:
    run = home / "o"
    argv = ("--refreshes", 40, "--rate", 20, "--learner-param", "n_estimators=20", "--output", run)
    running = process(*argv)
    while not list(run.glob("models/*/manifest.json")):
        assert running.poll() is None
    while run.exists():  # the job goes on to write into it
        shutil.rmtree(run, ignore_errors=True)
    ended = finish(running)
    assert ended.code == 1 and str(run) in ended.error
    assert not run.exists()


def test_a_run_is_whole_until_a_file_of_it_is_gone(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    folder = RunFolder("o")
    check_whole(folder)
    found = find_losses(folder, MINUTE, MINUTE, 3)
    assert len(found.reports) == 3 and not found.messages
    sample = min(Path("o/sample").iterdir())
    sample.unlink()
    with pytest.raises(RuntimeError, match=rf"o was changed.*sample/{sample.name} is missing"):
        check_whole(folder)
    assert find_losses(folder, MINUTE, MINUTE, 3).messages == [
        f"not whole, made again: sample/{sample.name} is missing"
    ]


def test_a_run_without_its_end_is_not_whole(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    Path("o/ended.json").unlink()
    with pytest.raises(RuntimeError, match=r"ended\.json is missing"):
        check_whole(RunFolder("o"))


def test_many_losses_are_counted(job: Job) -> None:
    job.ran(*SMALL, "--refreshes", 9, "--output", "o")
    for path in Path("o/metrics").iterdir():
        path.write_text("{}")
    messages = find_losses(RunFolder("o"), MINUTE, MINUTE, 3).messages
    assert len(messages) == 6 and messages[-1] == "and 4 more"
    assert messages[0].endswith("metrics/20260101T000000Z.json is damaged")
