"""The run folder: fresh ones, full ones, resumed and overwritten ones, and those that are not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from model.errors import UserError
from model.runs import RunFolder
from pipeline.folder import (
    OF_TOPICS,
    clear,
    find_folder,
    fresh_paths,
    holds_anything,
    lock_folder,
    open_folder,
    settings_content,
    sweep,
)
from pipeline.settings import Settings, settings_from
from tests.kit.job import SCHEMA, SMALL, Job, content, make_settings, metrics


def open_run(**values: Any) -> RunFolder:
    settings = settings_from(values)
    folder, lock = lock_folder(find_folder(settings), settings)
    with lock:
        open_folder(folder, settings)
    return folder


def refusal(**values: Any) -> str:
    with pytest.raises(UserError) as raised:
        open_run(**values)
    return str(raised.value)


def test_a_run_without_an_output_has_a_fresh_folder_and_latest_points_to_it(job: Job) -> None:
    result = job.ran(*SMALL)
    [folder] = [path for path in Path("runs").iterdir() if not path.is_symlink()]
    assert Path("runs/latest").readlink() == Path(folder.name)
    assert f"run folder: {folder}" in result.out
    assert len(metrics("runs/latest")) == 3


def test_two_runs_in_one_second_have_two_folders_and_latest_is_the_second(home: Path) -> None:
    first, second = open_run(), open_run()
    assert first.path != second.path
    assert Path("runs/latest").resolve() == Path(second.path).resolve()
    assert sorted(os.listdir("runs")) == sorted(
        [Path(first.path).name, Path(second.path).name, "latest"]
    )


def test_looking_for_a_fresh_folder_writes_nothing(home: Path) -> None:
    path = next(fresh_paths())
    assert path.startswith("runs/20") and path.endswith("Z")
    assert list(home.iterdir()) == []


def test_runs_that_is_a_file_is_reported(job: Job) -> None:
    Path("runs").write_text("")
    assert "cannot be written: Not a directory" in job.refused(*SMALL)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "metrics"])
def test_a_folder_that_holds_anything_needs_resume_or_overwrite(name: str, home: Path) -> None:
    Path("o", name).mkdir(parents=True)
    message = refusal(output="o")
    assert message == (
        "--output o: is not empty; --resume goes on with its run, --overwrite replaces it"
    )
    assert os.listdir("o") == [name]


@pytest.mark.parametrize("path", ["o", "o/", "o//", "deep/er/o"])
def test_an_empty_or_missing_folder_is_taken(path: str, home: Path) -> None:
    Path("o").mkdir()
    folder = open_run(output=path)
    assert not folder.path.endswith("/")
    assert json.loads(Path(folder.settings).read_text())["format"] == 1


def test_overwrite_removes_what_a_run_wrote_and_nothing_else(job: Job) -> None:
    job.ran(*SMALL, "--output", "o", "--refreshes", 5, "--keep", 0)
    mine = ["notes.txt", "models/mine.joblib", "metrics/mine.json", "predictions/mine/a.parquet"]
    mine += ["rejected/mine.ndjson", "sample/mine.parquet", "timing/mine.txt"]
    for name in mine:
        Path("o", name).parent.mkdir(exist_ok=True)
        Path("o", name).write_text("mine")
    job.ran(*SMALL, "--output", "o", "--overwrite")
    job.ran(*SMALL, "--output", "new")
    kept_ = {name: sha for name, sha in content("o").items() if name not in mine}
    assert kept_ == content("new")
    assert [Path("o", name).read_text() for name in mine] == ["mine"] * len(mine)


@pytest.mark.parametrize("name", ["notes.txt", "settings.json", "metrics/notes.json"])
def test_overwrite_of_a_folder_without_a_run_is_refused(name: str, job: Job) -> None:
    Path("o", name).parent.mkdir(parents=True)
    Path("o", name).write_text('{"editor.tabSize": 4}')
    assert job.refused(*SMALL, "--output", "o", "--overwrite") == (
        "--overwrite o: holds no run (no settings.json of one in it): name another folder, or "
        "empty this one"
    )
    assert Path("o", name).read_text() == '{"editor.tabSize": 4}'
    assert sorted(Path("o").iterdir()) == [Path("o", name.split("/")[0])]


def test_overwrite_of_an_empty_or_missing_folder_takes_it(home: Path) -> None:
    Path("o").mkdir()
    assert [open_run(output=path, overwrite=True).path for path in ("o", "p")] == ["o", "p"]


@pytest.mark.parametrize("path", ["runs/a", "o", "deep/er/o", "ABSOLUTE"])
def test_latest_points_to_the_last_run_wherever_it_is(path: str, home: Path) -> None:
    open_run()
    given = str(home / "elsewhere") if path == "ABSOLUTE" else path
    open_run(output=given)
    assert Path("runs/latest").resolve() == Path(given).resolve()
    assert not Path("runs/latest").readlink().is_absolute()


def test_a_latest_of_the_users_own_hinders_no_run(home: Path) -> None:
    Path("runs/latest/mine").mkdir(parents=True)
    assert open_run(output="o").path == "o"
    assert os.listdir("runs/latest") == ["mine"] and os.listdir("runs") == ["latest"]


def test_a_refused_run_leaves_no_folder_that_it_made(job: Job) -> None:
    Path("s.toml").write_text(SCHEMA)
    Path("in.csv").write_text("t,y,x\n")
    for output in (["--output", "deep/er/o"], []):
        job.refused("--input", "in.csv", "--schema", "s.toml", *output)
    assert sorted(os.listdir()) == ["in.csv", "s.toml"]


def test_clearing_leaves_no_empty_folder_of_a_runs_behind(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    Path("o/models/20300101T000000Z").mkdir()
    clear(RunFolder("o"))
    assert os.listdir("o") == []


def test_an_error_in_the_input_leaves_the_run_that_would_be_overwritten(job: Job) -> None:
    job.ran(*SMALL, "--output", "o")
    before = content("o")
    Path("s.toml").write_text("name =")
    job.refused("--input", "a.csv", "--schema", "s.toml", "--output", "o", "--overwrite")
    assert content("o") == before


def test_an_error_in_the_input_makes_no_folder(job: Job) -> None:
    Path("s.toml").write_text('name = "s"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["x"]\n')
    job.refused("--input", "a.csv", "--schema", "s.toml")
    job.refused("--input", "a.csv", "--schema", "s.toml", "--output", "o")
    assert os.listdir() == ["s.toml"]


def test_a_file_is_no_folder(home: Path) -> None:
    Path("o").write_text("mine")
    for more in ({}, {"overwrite": True}, {"resume": True}):
        assert refusal(output="o", **more) == "--output o: is a file; must be a folder"
    assert Path("o").read_text() == "mine"


@pytest.mark.parametrize("path", ["file/o", "/proc/o", "/dev/null/o", "/proc/version/o"])
def test_a_folder_that_cannot_be_written_is_reported(path: str, home: Path) -> None:
    Path("file").write_text("")
    message = refusal(output=path)
    assert message.startswith(f"--output {path}: cannot be ") and "\n" not in message


def test_a_file_system_that_is_unknown_is_reported(job: Job) -> None:
    for argv in (["--output", "foo://bar"], ["--output", "foo://bar", "--overwrite"]):
        assert "--output foo://bar: foo:// is not known: must be" in job.refused(*SMALL, *argv)


def test_resume_of_a_folder_without_a_run_is_refused(home: Path) -> None:
    Path("o").mkdir()
    for path in ("o", "missing"):
        message = refusal(output=path, resume=True)
        assert message == f"{path}: holds no run: no settings.json in it"
    assert os.listdir("o") == []


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"x"'])
def test_resume_of_settings_that_are_none_is_refused(text: str, home: Path) -> None:
    Path("o").mkdir()
    Path("o/settings.json").write_text(text)
    assert refusal(output="o", resume=True).startswith("o/settings.json: is not a run's: ")
    assert Path("o/settings.json").read_text() == text


def test_resume_with_other_settings_names_each_difference(home: Path) -> None:
    open_run(output="o", learner="ridge", window="2m")
    message = refusal(output="o", resume=True, learner="boosting", window="2m", lag=2)
    assert message == (
        "--resume o: its run had other settings: "
        "--learner was 'ridge', is 'boosting'; --lag was 1, is 2"
    )


def test_resume_with_another_schema_names_it(home: Path) -> None:
    schema = 'name = "{}"\ntime = "t"\ntarget = "y"\n[features]\nnumeric = ["x"]\n'
    Path("s.toml").write_text(schema.format("one"))
    open_run(output="o", input="a.csv", schema_file="s.toml")
    open_run(output="o", input="a.csv", schema_file="s.toml", resume=True)
    Path("s.toml").write_text(schema.format("two"))
    message = refusal(output="o", input="a.csv", schema_file="s.toml", resume=True)
    assert "--schema was {'name': 'one'" in message and "is {'name': 'two'" in message


def test_resume_with_settings_that_lack_an_option_names_it(home: Path) -> None:
    open_run(output="o")
    written = json.loads(Path("o/settings.json").read_text())
    del written["shards"]
    Path("o/settings.json").write_text(json.dumps(written))
    assert "--shards was None, is 4" in refusal(output="o", resume=True)


def test_a_run_may_be_resumed_on_another_runner_and_under_another_path(home: Path) -> None:
    open_run(output="o", runner="prism")
    Path("o").rename("p")
    assert open_run(output="p", runner="direct", resume=True).path == "p"


def test_settings_are_the_same_bytes_again(home: Path) -> None:
    values = {"learner_param": {"alpha": 2.0}, "learner": "ridge"}
    first = Path(open_run(output="o", **values).settings).read_bytes()
    assert Path(open_run(output="p", **values).settings).read_bytes() == first
    assert json.loads(first) == {"format": 1, **settings_content(settings_from(values))}
    assert RunFolder("o").read_settings() == json.loads(first)


def test_settings_leave_out_what_changes_nothing() -> None:
    result = set(settings_content(make_settings()))
    left_out = {"output", "resume", "overwrite", "runner", "schema_file", "on_interrupt", "shared"}
    left_out |= {"webhook", "strict", "max_rejected"}
    left_out |= {"source_param", "people_delay", "labels", "offset"}  # at their defaults
    left_out |= set(OF_TOPICS)
    left_out |= {"refreshes"}  # its key is windows
    assert result == (set(Settings.model_fields) - left_out) | {"schema", "windows"}


def test_halves_that_a_killed_run_left_are_swept_away_and_others_stay(home: Path) -> None:
    open_run(output="o")
    names = [".settings.json.1.2.part", "metrics/.20260101T000000Z.json.1.2.part"]
    names += ["models/20260101T000000Z/.model.joblib.1.2.part", "rejected/undated/.a.ndjson.1.part"]
    names += ["predictions/20260101T000000Z/.00000.parquet.1.2.part"]
    others = [".mine.txt", "mine.part", "mine/.download.part"]
    for name in (*names, *others):
        Path("o", name).parent.mkdir(parents=True, exist_ok=True)
        Path("o", name).write_text("half")
    sweep(RunFolder("o"))
    assert [name for name in names if Path("o", name).exists()] == []
    assert all(Path("o", name).exists() for name in others)


def test_a_folder_holds_anything_if_it_holds_something(home: Path) -> None:
    Path("o").mkdir()
    assert not holds_anything("missing") and not holds_anything("o")
    Path("o/a").write_text("")
    assert holds_anything("o")


def test_how_long_a_fit_took_is_none_if_it_was_not_noted(home: Path) -> None:
    Path("o/timing").mkdir(parents=True)
    Path("o/timing/20260101T000100Z.json").write_text('{"format": 1, "fit_seconds": 1.5}')
    folder = RunFolder("o")
    assert folder.fit_seconds("20260101T000100Z") == 1.5
    assert folder.fit_seconds("20260101T000200Z") is None
    assert folder.reports() == [] and folder.reported() == set()


def test_spelling_a_default_out_is_no_other_setting(home: Path) -> None:
    open_run(output="o")
    spelt = {"source": "people", "every": "60", "latency": "1m", "refreshes": 12}
    assert open_run(output="o", resume=True, start="2026-01-01", **spelt).path == "o"


@pytest.mark.parametrize("command", [["report"], ["models"], ["watch"], ["serve"], ["--output"]])
def test_a_folder_on_a_file_system_that_is_not_here_shows_what_to_do(
    command: list[str], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.schemes.find_spec", lambda name: None)
    lead = f"{command[0]} " if command[0].startswith("-") else ""
    for path, message in {
        "https://example.org/run": "is not on a file system: must be a local path, gs://",
        "s3://bucket/run": "-m pip install 'apache-beam[aws]'",
        "az://container/run": "is written azfs://ACCOUNT/CONTAINER/PATH here",
        "what://run": "what:// is not known: must be a local path, gs://, s3://,",
    }.items():
        reason_given = job.refused(*command, path)
        assert reason_given.startswith(f"{lead}{path}: ") and message in reason_given


def test_a_file_address_is_a_local_folder() -> None:
    assert RunFolder("file:///tmp/a%20b").path == "/tmp/a b"
    assert RunFolder("file://localhost/tmp/a").metrics == "/tmp/a/metrics"
