"""``python -m pipeline watch``: what it tells, how it ends, what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from model import files
from model.alerts import describe_alerts
from model.errors import UserError
from model.runs import RunFolder
from monitor.watch import status
from monitor.watch.follower import Update
from monitor.watch.watched import WatchedRun
from tests.kit.job import Job, metrics, models
from tests.kit.rows import InMemory
from tests.kit.watch import alert, change, now, picture, plain


def test_a_run_without_a_row_has_no_report_to_wait_for(mine: Path, job: Job) -> None:
    shutil.rmtree(mine / "metrics")
    assert picture(mine, plain(100))[-1] == "no report"
    lines = job.ran("watch", mine).out.splitlines()
    assert lines == [f"people -> {mine}", "the run has ended (done): 0 refreshes are reported"]


def test_the_lines_of_a_run_that_has_ended(run: Path, job: Job) -> None:
    lines = job.ran("watch", run).out.splitlines()
    assert lines[0] == f"people -> {run}"
    assert lines[-1] == "the run has ended (done): 8 refreshes are reported"
    for line, result in zip(lines[1:-1], metrics(run), strict=True):
        words = line.split()
        assert "T".join(words[:2]) + "Z" == result["refresh_start"]
        assert words[words.index("late") + 1] == str(result["late"])
        assert words[words.index("model") + 1] == (result["model"] or "-")


def test_the_lines_of_alerts_follow_those_of_reports(mine: Path, job: Job) -> None:
    raised = alert(mine, "a", "\x1b[2J")
    lines = job.ran("watch", mine).out.splitlines()
    assert lines[-2] == f"alert: {describe_alerts(raised)}".replace("\x1b", "?")


def test_without_a_terminal_there_are_lines_even_if_colours_are_forced(
    run: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[?" not in job.ran("watch", run).out


@pytest.mark.parametrize("state", ["failed", "interrupted"])
def test_a_run_that_did_not_end_well_ends_with_1(state: str, mine: Path, job: Job) -> None:
    change(mine / "status.json", state=state)
    result = job("watch", mine)
    assert result.code == 1
    assert result.out.endswith(f"the run has ended ({state}): 8 refreshes are reported\n")


def test_a_killed_run_is_shown_as_such_and_one_that_ended_alone_is_done(
    mine: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "QUIET", 0.0)
    change(mine / "status.json", state="running", updated="2026-01-01T00:00:00Z")
    assert job("watch", mine).out.endswith("refreshes are reported\n")  # ended.json is there
    (mine / "ended.json").unlink()
    result = job("watch", mine)
    assert result.code == 1 and "no sign of life for " in result.out.splitlines()[-1]


def test_a_run_that_goes_on_is_followed_until_it_ends(
    mine: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = mine.with_name("waiting")
    (mine / "metrics").rename(waiting)
    (mine / "metrics").mkdir()
    (mine / "ended.json").unlink()
    change(mine / "status.json", state="running", updated=now())

    later = sorted(waiting.glob("*.json"))

    def go_on(seconds: float) -> None:  # in the pause after each look
        if later:
            path = later.pop()
            path.rename(mine / "metrics" / path.name)
        else:
            change(mine / "status.json", state="drained")

    monkeypatch.setattr("monitor.watch.command.time.sleep", go_on)
    lines = job.ran("watch", mine).out.splitlines()
    assert lines[1] == "no report yet: the first comes when its refresh has ended"
    starts = [result["refresh_start"][11:19] for result in metrics(mine)]
    assert [line.split()[1] for line in lines[2:-1]] == starts[::-1]
    assert lines[-1].startswith("the run has ended (drained)")


def test_ctrl_c_leaves_the_run_alone_and_ends_with_130(
    mine: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("monitor.watch.command.time.sleep", interrupted)
    change(mine / "status.json", state="running", updated=now())
    (mine / "ended.json").unlink()
    result = job("watch", mine)
    assert "no report yet" not in result.out and len(result.out.splitlines()) == 9
    assert (result.code, result.err) == (130, "stopped watching; the run goes on\n")


def test_a_folder_that_is_not_reached_is_reported_and_looked_at_again(mine: Path) -> None:
    watched = WatchedRun(RunFolder(str(mine)))
    (mine / "status.json").rename("away")
    (mine / "status.json").mkdir()
    assert watched.look() == Update({}, {})
    assert watched.view().summary[0] == "the folder is not reached: Is a directory"
    (mine / "status.json").rmdir()
    Path("away").rename(mine / "status.json")
    assert len(watched.look().reports) == 8
    assert watched.trouble == ""


def test_a_run_on_another_file_system_is_watched_the_same_way(run: Path) -> None:
    remote = "in-memory://bucket/run"
    for path in filter(Path.is_file, run.rglob("*")):
        files.write_whole(f"{remote}/{path.relative_to(run)}", path.read_bytes())
    try:
        watched = WatchedRun(RunFolder(remote))
        assert list(watched.look().reports) == [path.stem for path in sorted(run.glob("metrics/*"))]
        assert (watched.state, watched.seen.models) == ("done", sorted(models(run)))
        files.remove(f"{remote}/status.json")
        assert WatchedRun(RunFolder(remote)).over  # nobody tells, but ended.json is there
    finally:
        InMemory.files.clear()


def test_what_is_no_run_is_refused(job: Job) -> None:
    Path("file").write_text("")
    Path("empty").mkdir()
    assert "required: OUTPUT" in job.refused("watch")
    for path in ("no", "file"):
        assert job.refused("watch", path) == f"{path}: is not a folder; must be a run's folder"
    assert job.refused("watch", "empty") == "empty: holds no run: no settings.json in it"
    assert "foo://bar: foo:// is not known: must be " in job.refused("watch", "foo://bar")


@pytest.mark.parametrize("name", ["settings.json", "status.json"])
@pytest.mark.parametrize("data", ["", "{", "[]", "{}", '{"format": 2}'])
def test_a_file_that_no_run_writes_is_an_error_that_names_it(
    name: str, data: str, mine: Path, job: Job
) -> None:
    (mine / name).write_text(data)
    result = job("watch", mine)
    assert result.code == 2
    assert result.error.startswith(f"error: {mine / name}: is not ")


@pytest.mark.parametrize("data", ["", "{", "[]", "{}", '{"format": 2}', '{"a":' * 100_000])
def test_a_report_that_no_run_writes_is_skipped_and_named(data: str, mine: Path, job: Job) -> None:
    path = mine / "metrics" / "20260101T000700Z.json"
    path.write_text(data)
    shown = job("watch", mine)
    assert shown.code == 0
    assert f"skipped {path}: is not what a run writes: " in shown.out
    assert "7 refreshes are reported" not in shown.out.splitlines()[0]


def test_a_run_that_is_removed_while_it_is_watched_is_an_error(mine: Path) -> None:
    watched = WatchedRun(RunFolder(str(mine)))
    shutil.rmtree(mine)
    with pytest.raises(UserError, match="holds no run"):
        watched.look()
