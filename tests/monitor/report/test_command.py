"""``python -m pipeline report``: where it writes, and what it refuses."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from monitor.program import remedy
from tests.kit.job import Job, content
from tests.kit.rows import InMemory


def test_it_writes_one_file_and_shows_which(run: Path, job: Job) -> None:
    before = content(run)
    result = job.ran("report", run)
    size = Path("report.html").stat().st_size
    assert result.out == f"report: report.html ({size / 1000:,.0f} kB)\n"
    assert Path("report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert os.listdir() == ["report.html"] and content(run) == before


def test_the_file_can_be_named_and_an_older_one_is_replaced(run: Path, job: Job) -> None:
    Path("mine.html").write_text("older")
    job.ran("report", f"{run}/", "--to", "mine.html", "--models", "1")
    html = Path("mine.html").read_text(encoding="utf-8")
    assert html.count("<details>") == 1 and os.listdir() == ["mine.html"]


def test_a_file_that_cannot_be_written_is_reported_and_leaves_nothing(run: Path, job: Job) -> None:
    Path("folder").mkdir()
    result = job("report", run, "--to", "folder")
    assert (result.code, result.error) == (
        2,
        "error: --to folder: cannot be written: Is a directory",
    )
    result = job("report", run, "--to", "unknown://report.html")
    assert result.code == 2 and result.error.startswith(
        "error: --to unknown://report.html: cannot be"
    )
    assert os.listdir() == ["folder"] and os.listdir("folder") == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: OUTPUT"),
        (["no"], "no: is not a folder; must be a run's folder"),
        (["file"], "file: is not a folder; must be a run's folder"),
        (["empty"], "empty: holds no run: no settings.json in it"),
        (
            ["foo://bar"],
            "foo://bar: foo:// is not known: must be a local path, gs://, s3://, azfs:// or hdfs://",
        ),
        (["run", "--models", "-1"], "--models -1: must be >= 0"),
        (["run", "--models", "x"], "argument --models: invalid int value: 'x'"),
        (["run", "--open"], "unrecognized arguments: --open"),
    ],
)
def test_what_the_command_refuses(argv: list[str], message: str, mine: Path, job: Job) -> None:
    Path("file").write_text("")
    Path("empty").mkdir()
    assert job.refused("report", *argv) == message
    assert not Path("report.html").exists()


def test_a_file_that_is_not_a_runs_is_reported_in_one_line(mine: Path, job: Job) -> None:
    (mine / "metrics" / "20260101T000100Z.json").write_text("{}")
    message = job.refused("report", "run")
    assert message.startswith("run/metrics: holds what is not a report: refresh_start: is missing")


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_what_is_not_installed_is_named_with_what_brings_it(
    package: str, run: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("monitor.report.")]:
        if name != "monitor.report.command":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    message = job.refused("report", run)
    assert message == f"the report needs {package}, which is not installed: {remedy('serve')}"


def test_a_run_that_goes_on_has_a_report(mine: Path, job: Job) -> None:
    (mine / "ended.json").unlink()
    shutil.rmtree(mine / "models" / "20260101T000400Z")
    (mine / "metrics" / ".20260101T000400Z.json.1.1.part").write_text("half")
    job.ran("report", "run")
    assert "20260101T000300Z" in Path("report.html").read_text(encoding="utf-8")


def test_a_run_on_another_file_system_has_the_same_report(run: Path, job: Job) -> None:
    job.ran("report", run)
    InMemory.files.clear()
    for path in run.rglob("*"):
        if path.is_file():
            InMemory.files[f"{BUCKET}/run/{path.relative_to(run)}"] = path.read_bytes()
    job.ran("report", f"{BUCKET}/run", "--to", f"{BUCKET}/report.html")
    html = InMemory.files[f"{BUCKET}/report.html"].decode()
    assert html.replace(f"{BUCKET}/run", str(run)) == Path("report.html").read_text("utf-8")
    InMemory.files.clear()


BUCKET = "in-memory://bucket"


def test_help_shows_every_option(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        job("report", "--help")
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word in output for word in ("OUTPUT", "--to FILE", "--models N", "examples:"))


def test_a_report_of_another_run_is_not_written_over(run: Path, job: Job) -> None:
    shutil.copytree(run, "run")
    shutil.copytree(run, "runs/run")
    Path("runs/latest").symlink_to("run")
    result = [job.ran("report", path).out for path in ("run", "runs/run", "run", "runs/latest")]
    names = [line.split()[1] for line in result]
    assert names == ["report.html", "report-run.html", "report.html", "report-run.html"]
    assert "runs/run" not in Path("report.html").read_text("utf-8")
    assert "runs/run" in Path("report-run.html").read_text("utf-8")


def test_a_file_of_the_users_own_is_not_written_over(run: Path, job: Job) -> None:
    Path("report.html").write_text("mine")
    Path("report-run.html").write_text("mine")
    assert job.ran("report", run).out.split()[1] == "report-run-2.html"
    assert Path("report.html").read_text() == Path("report-run.html").read_text() == "mine"
