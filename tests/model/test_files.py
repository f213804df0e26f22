"""Files appear whole or not at all, on a local disk and in an object store alike."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from model.files import (
    flush,
    is_local,
    join,
    list_files,
    read_whole,
    remove,
    remove_folder_if_empty,
    version,
    write_whole,
)
from tests.kit.rows import InMemory


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder that does not exist yet, on each kind of file system."""
    InMemory.files.clear()
    yield str(tmp_path / "run") if request.param == "local" else "in-memory://bucket/run"
    InMemory.files.clear()


def everything(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.mark.parametrize("name", ["a.json", "deep/er/b.parquet", "packed.gz", "ação [1].csv"])
def test_bytes_come_back_as_they_were_written(folder: str, name: str) -> None:
    path = join(folder, *name.split("/"))
    for data in (b"", b"first\r\n\x00\xff", bytes(range(256)) * 5_000):
        write_whole(path, data)
        assert read_whole(path) == data


def test_a_name_that_ends_in_gz_is_not_packed_on_the_way(tmp_path: Path) -> None:
    write_whole("in-memory://bucket/rows.gz", b"plain")
    assert InMemory.files.pop("in-memory://bucket/rows.gz") == b"plain"


def test_a_version_changes_with_a_file_and_a_missing_one_has_none(folder: str) -> None:
    path = join(folder, "a[1].json")
    with pytest.raises(FileNotFoundError):
        version(path)
    write_whole(path, b"{}")
    before = version(path)
    assert version(path) == before
    write_whole(path, b"{ }")
    assert version(path) != before


def test_a_file_that_is_not_there_is_reported(folder: str) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read_whole(join(folder, "absent"))


def test_files_are_listed_sorted_by_a_glob_and_a_missing_folder_has_none(folder: str) -> None:
    assert list_files(folder) == []
    for name in ("b/x.json", "a/x.json", "a/y.json", "top.json", "a/deep/x.json"):
        write_whole(join(folder, *name.split("/")), b"")
    assert list_files(folder) == [join(folder, "top.json")]
    assert list_files(folder, "*/x.json") == [join(folder, n, "x.json") for n in ("a", "b")]


def test_a_removed_file_is_gone_and_a_retry_removes_it_again(folder: str) -> None:
    path = join(folder, "x")
    write_whole(path, b"x")
    remove(path)
    remove(path)
    assert list_files(folder) == []


def test_a_folder_is_removed_only_if_nothing_is_left_in_it(folder: str) -> None:
    write_whole(join(folder, "x"), b"x")
    remove_folder_if_empty(folder)
    assert read_whole(join(folder, "x")) == b"x"
    remove(join(folder, "x"))
    remove_folder_if_empty(folder)
    remove_folder_if_empty(folder)
    assert not Path(folder).exists()


def test_a_path_is_local_without_a_scheme() -> None:
    assert is_local("/tmp/x") and is_local("runs/x") and is_local("C:/x")
    assert not is_local("gs://bucket/x") and not is_local("in-memory://b/x")


def test_a_full_disk_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.json"
    write_whole(str(path), b"old")
    honest = Path.write_bytes

    def full(part: Path, data: bytes) -> int:
        honest(part, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(part))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(str(path), b"new and longer")
    assert (everything(tmp_path), path.read_bytes()) == (["figures.json"], b"old")


def test_a_folder_in_a_files_place_stays_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError):
        write_whole(str(tmp_path / "x"), b"data")
    assert everything(tmp_path) == ["x"]


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(part: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(str(tmp_path / "x"), b"data")
    assert everything(tmp_path) == []


def test_a_file_that_is_being_written_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    honest = Path.replace

    def watched(part: Path, target: Path) -> Path:
        seen.append((everything(tmp_path), list_files(str(tmp_path))))
        return honest(part, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_whole(str(tmp_path / "x"), b"data")
    [(there, listed)] = seen
    assert (len(there), listed) == (1, [])
    assert there[0].startswith(".x.") and there[0].endswith(".part")


def test_a_reader_sees_the_old_bytes_or_the_new_ones_and_never_a_part(folder: str) -> None:
    path, size = join(folder, "x"), 300_000
    write_whole(path, b"0" * size)
    done, seen = threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            data = read_whole(path)
            seen.add((len(data), len(set(data))))

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        for i in range(60):
            write_whole(path, b"%d" % (i % 10) * size)
        done.set()
        reader.result()
    assert seen == {(size, 1)}


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path, both = str(tmp_path / "x"), threading.Barrier(2)

    def write(letter: bytes) -> None:
        both.wait()
        for _ in range(40):
            write_whole(path, letter * 100_000)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, (b"a", b"b")))
    assert Path(path).read_bytes() in (b"a" * 100_000, b"b" * 100_000)
    assert everything(tmp_path) == ["x"]


def test_a_file_system_that_syncs_no_folders_is_written_to_and_one_that_fails_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, number: int, folders: bool) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}") is folders:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", lambda descriptor: refuse(descriptor, errno.EINVAL, True))
    write_whole(str(tmp_path / "a"), b"a")
    flush()
    for number, folders in ((errno.EINVAL, False), (errno.EIO, True)):
        monkeypatch.setattr(os, "fsync", lambda fd, n=number, f=folders: refuse(fd, n, f))
        write_whole(str(tmp_path / "a"), b"b")
        with pytest.raises(OSError, match=os.strerror(number)):
            flush()
