"""Finding files: as a shell and Python's glob do, without what tools leave beside data."""

from __future__ import annotations

import glob
import os
import subprocess
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from model.errors import UserError
from model.schemes import check_scheme, local_path
from reading import plan
from reading.finding import expand_braces, match
from tests.kit.reading import SCHEMA
from tests.reading.test_plan import Bucket

ROW = "t,y,x,k\n1,2,3,a\n"
CLUTTER = (
    *("_SUCCESS", "_committed_123", "_metadata", ".part-0.csv.crc", "._a.csv", ".a.csv.swp.csv"),
    *("~$a.csv", "a.csv~", ".DS_Store", ".ipynb_checkpoints/a-checkpoint.csv", "_delta_log/0.json"),
    *("#a.csv#", "_temporary/0/part.csv", ".git/b.csv", "a.csv._COPYING_"),
)


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ROW)


def find_names(pattern: str) -> list[str]:
    return list(match(pattern).files)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


names = st.sampled_from(["a.csv", "b.csv", "ab.csv", "a.json", ".a.csv", "_b.csv", "d", "a[1].csv"])
folders = st.sampled_from(["", "d/", "d/e/", ".h/", "d/_t/", "e/d/e/"])
parts = st.sampled_from(["**", "*", "d", "e", "?", "[de]", "d*"])
ends = st.sampled_from(["*.csv", "a.csv", "?.csv", "[!a]*", "*", "**", "*b.*", "_b.csv", ".*"])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(folders, names), max_size=8), st.lists(parts, max_size=3), ends)
@example(files=[("", "a.csv"), ("d/", "b.csv")], middle=["**"], end="*.csv")
def test_a_glob_finds_what_pythons_does_without_hidden_names(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[str, str]],
    middle: list[str],
    end: str,
) -> None:
    top = tmp_path_factory.mktemp("glob")
    for folder, name in files:
        if not (top / folder / name).is_dir():
            make(top, folder + name + (".csv" if name == "d" else ""))
    pattern = "/".join([*middle, end])
    want = glob.glob(pattern, root_dir=top, recursive=True)
    want = [path for path in want if (top / path).is_file()]
    asked = end.startswith(("_", "."))  # Python, as a shell, finds such names if asked for them
    hidden = [
        [part.startswith((".", "_")) for part in Path(path).parts][: -1 if asked else None]
        for path in want
    ]
    want = [path for path, marks in zip(want, hidden, strict=True) if not any(marks)]
    assert find_names(f"{top}/{pattern}") == sorted({f"{top}/{path}" for path in want})


def test_files_in_the_folder_itself_match_any_depth(here: Path) -> None:
    make(here, "data/a.csv", "data/2024/b.csv", "data/2024/01/c.csv", "data/c.json")
    want = ["data/2024/01/c.csv", "data/2024/b.csv", "data/a.csv"]
    assert find_names("data/**/*.csv") == want
    assert find_names("data/**.csv") == want  # what Beam's own globs allow
    bash = subprocess.run(
        ["bash", "-O", "globstar", "-c", "echo data/**/*.csv"], capture_output=True, text=True
    )
    assert sorted(bash.stdout.split()) == want
    assert find_names("**/b.csv") == ["data/2024/b.csv"]


def test_what_tools_leave_beside_data_is_left_out_and_counted(here: Path) -> None:
    make(here, "d/a.csv", "d/z=1/b.csv", *(f"d/{name}" for name in CLUTTER))
    for pattern in ("d", "d/", "d/**", "d/**/*"):
        matches = match(pattern)
        assert [os.path.normpath(path) for path in matches.files] == ["d/a.csv", "d/z=1/b.csv"]
        assert {os.path.normpath(path) for path in matches.left_out} == {
            f"d/{name}" for name in CLUTTER
        }
    second, third = plan("d/**/*", SCHEMA).notes
    assert second.startswith(
        "15 left out (hidden files and copies of editors and systems): d/#a.csv#, "
    )
    assert second.endswith(" and 12 more")
    assert third == "the same rows are read twice: d/z=1/b.csv and d/a.csv"


def test_a_hidden_file_is_read_if_the_pattern_names_it(here: Path) -> None:
    make(here, "_a.csv", ".b.csv", "a.csv", "_d/a.csv", "_d/_c.csv")
    assert find_names("_a.csv") == ["_a.csv"]
    assert find_names("_*.csv") == ["_a.csv"]
    assert find_names(".*.csv") == [".b.csv"]
    assert find_names("_d/*.csv") == [
        "_d/a.csv"
    ]  # hidden above the first mark is the user's choice
    assert find_names("*.csv") == ["a.csv"]
    assert find_names("_d") == ["_d/a.csv"]


@pytest.mark.parametrize("name", ["data[1].csv", "a*.csv", "what?.csv", "{a,b}.csv", "a b.csv"])
def test_a_path_that_exists_is_read_whatever_its_name(here: Path, name: str) -> None:
    make(here, name, "data1.csv", "ab.csv", "a.csv")
    assert find_names(name) == [name]
    assert find_names(f"{here}/{name}") == [f"{here}/{name}"]
    assert [file.path for file in plan(name, SCHEMA).files] == [name]
    assert plan(name, SCHEMA).notes == ()


@pytest.mark.parametrize(
    "pattern",
    [
        "{a,b}.csv",
        "{d/,}a.csv",
        "x{1,{2,3}}.csv",
        "{a}.csv",
        "{a,b",
        "}{",
        "d/{a,b}{1,2}.csv",
        "{}",
    ],
)
def test_braces_are_expanded_as_bash_does(pattern: str) -> None:
    bash = subprocess.run(["bash", "-c", f"echo {pattern}"], capture_output=True, text=True)
    assert expand_braces(pattern) == bash.stdout.split()


def test_braces_find_each_file_once(here: Path) -> None:
    make(here, "a.csv", "b.csv", "d/c.csv")
    assert find_names("{a,b,a}.csv") == ["a.csv", "b.csv"]
    assert find_names("{*.csv,d,a.csv}") == ["a.csv", "b.csv", "d/c.csv"]


def test_a_folder_stands_for_all_data_below_it(here: Path) -> None:
    make(here, "d/a.csv", "d/e/b.csv.gz", "d/README.md", "d/e/c.parquet")
    assert find_names("d") == ["d/README.md", "d/a.csv", "d/e/b.csv.gz", "d/e/c.parquet"]
    (here / "d/e/b.csv.gz").unlink()
    (here / "d/e/c.parquet").unlink()
    planned = plan("d", SCHEMA)
    assert [file.path for file in planned.files] == ["d/a.csv"]
    assert planned.notes == ("1 left out (files of no known format): d/README.md",)


def test_a_glob_that_matches_a_folder_named_as_data_reads_what_is_in_it(here: Path) -> None:
    make(here, "out.csv/part-0.csv", "out.csv/_SUCCESS", "other/a.csv")
    assert find_names("*.csv") == ["out.csv/part-0.csv"]
    assert find_names("o*") == ["out.csv/part-0.csv"]


def test_the_home_folder_is_expanded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    make(here, "d/a.csv")
    for pattern in ("~/d/a.csv", "~/d/*.csv", "~/d", "{~/d/a.csv,~/d}"):
        assert find_names(pattern) == [f"{here}/d/a.csv"]


def test_links_are_followed_once_and_broken_ones_are_counted(here: Path) -> None:
    make(here, "real/a.csv")
    (here / "d").mkdir()
    (here / "d/linked").symlink_to(here / "real")
    (here / "d/loop").symlink_to(here / "d")
    (here / "d/lost.csv").symlink_to(here / "nowhere")
    matches = match("d/**/*.csv")
    assert list(matches.files) == ["d/linked/a.csv"]
    assert matches.left_out == ["d/lost.csv"]


def test_empty_files_are_left_out_and_all_empty_is_refused(here: Path) -> None:
    make(here, "d/part-0.csv")
    for name in ("d/part-1.csv", "e/part-0.csv", "e/part-1.csv"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    planned = plan("d", SCHEMA)
    assert [file.path for file in planned.files] == ["d/part-0.csv"]
    assert planned.notes[0] == "1 left out (empty files (0 bytes)): d/part-1.csv"
    with pytest.raises(UserError, match="--input e: all of its 2 files are empty"):
        plan("e", SCHEMA)
    with pytest.raises(UserError, match=r"^e/part-0.csv: is empty \(0 bytes\)$"):
        plan("e/part-0.csv", SCHEMA)


def test_a_file_and_its_compressed_copy_are_both_read_and_noted(here: Path) -> None:
    make(here, "a.csv")
    subprocess.run(["gzip", "-k", "a.csv"], check=True)
    assert plan("a.csv*", SCHEMA).notes == (
        "read beside the uncompressed file of the same name: a.csv.gz",
        "the same rows are read twice: a.csv.gz and a.csv",
    )


def test_folders_that_a_glob_matches_are_named_where_they_are_not_read(here: Path) -> None:
    make(here, "a.csv", "d/b.csv", "p=1/c.csv", ".git/d.csv", "e.csv/f.csv")
    what = "left out (folders: ** in the glob reads what is below them)"
    planned = plan("*", SCHEMA)
    assert [file.path for file in planned.files] == ["a.csv", "e.csv/f.csv"]
    assert f"2 {what}: d, p=1" in planned.notes
    with pytest.raises(UserError) as caught:
        plan("p=*", SCHEMA)
    assert str(caught.value) == f"--input p=*: no file matches but p=1, {what}"
    assert [file.path for file in plan("p=*/**", SCHEMA).files] == ["p=1/c.csv"]
    assert not any("folders" in note for note in plan("**/*", SCHEMA).notes)


def test_only_hidden_matches_are_refused_by_name(here: Path) -> None:
    make(here, "_a.csv")
    with pytest.raises(UserError) as caught:
        plan("*.csv", SCHEMA)
    assert str(caught.value) == (
        "--input *.csv: no file matches but _a.csv, left out by name (name one exactly to read it)"
    )


def test_file_addresses_are_local_paths(here: Path) -> None:
    make(here, "d/a b.csv")
    path = f"{here}/d/a b.csv"
    quoted = path.replace(" ", "%20")
    assert find_names(f"file://{quoted}") == [path]
    assert find_names(f"file://localhost{quoted}") == find_names(f"file:{quoted}") == [path]
    assert find_names(f"file://{here}/d/*.csv") == [path]
    assert local_path("a.csv") == "a.csv"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://u:secret@example.org/a.csv?token=secret", "download it first (curl "),
        ("HTTP://example.org/a.csv", "download it first (curl "),
        ("sftp://example.org/a.csv", "download it first (sftp)"),
        ("s3://bucket/a.csv", "-m pip install 'apache-beam[aws]'"),
        ("s3a://bucket/a.csv", "is written s3://bucket/a.csv here"),
        ("gcs://bucket/a.csv", "is written gs://bucket/a.csv here"),
        ("abfss://c@account.dfs.core.windows.net/a", "is written azfs://ACCOUNT/CONTAINER/PATH"),
        ("az://container/a.csv", "-m pip install 'apache-beam[azure]'"),
        ("hdfs://host/a.csv", "-m pip install 'apache-beam[hadoop]'"),
        ("foo://a.csv", "foo:// is not known: must be a local path, gs://, s3://, azfs:// or"),
    ],
)
def test_a_scheme_that_cannot_be_read_shows_what_to_do(
    path: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.schemes.find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        plan(path, SCHEMA)
    assert str(caught.value).startswith("--input ") and message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_local_paths_and_known_file_systems_pass() -> None:
    for path in ("a.csv", "/a/b", "C:/a", "bucket://a"):
        check_scheme(path, "--input")
    assert Bucket.scheme() == "bucket"


def test_all_of_it_holds_on_other_file_systems(here: Path) -> None:
    make(here, "d/a.csv", "d/e/b.csv", "d/_c.csv", "d/data[1].csv", "d/k=1/x.csv")
    top = f"bucket:/{here}"
    every = ["a.csv", "data[1].csv", "e/b.csv", "k=1/x.csv"]
    assert find_names(f"{top}/d/**/*.csv") == [f"{top}/d/{name}" for name in every]
    assert find_names(f"{top}/d") == [f"{top}/d/{name}" for name in every]
    assert match(f"{top}/d/*.csv").left_out == [f"{top}/d/_c.csv"]
    assert find_names(f"{top}/d/data[1].csv") == [f"{top}/d/data[1].csv"]
    assert find_names(f"{top}/d/{{a,e/b}}.csv") == [f"{top}/d/a.csv", f"{top}/d/e/b.csv"]
    assert find_names(f"{top}/d/a.csv") == [f"{top}/d/a.csv"]
    with pytest.raises(UserError, match="no file matches"):
        plan(f"{top}/d/none.csv", SCHEMA)


def test_a_file_system_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    def fail(self: object, patterns: list[str], limits: object = None) -> list[FileMetadata]:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(Bucket, "match", fail)
    with pytest.raises(UserError, match=r"^--input bucket:///a/\*.csv: cannot be listed: no$"):
        plan("bucket:///a/*.csv", SCHEMA)
