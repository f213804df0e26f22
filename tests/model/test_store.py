"""The store: an artefact is there whole or not at all, and no file is opened unchecked."""

from __future__ import annotations

import errno
import json
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from model.artefact import Artefact
from model.asof import format_name
from model.batch import SECOND
from model.manifest import Reference
from model.store import DamagedArtefact, ModelCache, Store, is_name
from tests.kit.rows import NOON, RIDGE, InMemory, rides, train_model

MINUTE = 60 * SECOND
NAMES = [format_name(NOON + i * MINUTE) for i in range(1, 13)]


OLD, NEW = train_model(RIDGE, rides(30, 0)), train_model(RIDGE, rides(30, 1))


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    InMemory.files.clear()
    yield Store(str(tmp_path / "models") if request.param == "local" else "in-memory://b/models")
    InMemory.files.clear()


@pytest.fixture
def local(tmp_path: Path) -> Store:
    """A local store with one artefact, the old one."""
    store = Store(str(tmp_path / "models"))
    store.commit(NAMES[0], *OLD)
    return store


def file(store: Store, name: str) -> Path:
    return Path(store.path, NAMES[0], name)


def content(artefact: Artefact) -> bytes:
    return artefact.predict(rides(5)).tobytes()


def test_an_artefact_that_was_committed_is_there_and_predicts(store: Store) -> None:
    assert (store.names(), store.newest(NOON * 2)) == ([], None)
    store.commit(NAMES[1], *NEW)
    store.commit(NAMES[0], *OLD)
    assert store.names() == NAMES[:2]
    assert store.manifest(NAMES[1]) == NEW[1]
    assert store.reference(NAMES[1]) == Reference(NAMES[1], NEW[1].sha256)
    assert store.read_verified(NAMES[0]) == OLD[0]
    for name in NAMES[:2]:
        loaded = store.load(name, store.reference(name).sha256)
        assert content(loaded) == content(store.load(name))
    assert content(store.load(NAMES[0])) != content(store.load(NAMES[1]))


def test_a_retry_writes_the_same_bytes(local: Store) -> None:
    before = [file(local, name).read_bytes() for name in ("manifest.json", "model.joblib")]
    local.commit(NAMES[0], *train_model(RIDGE, rides(30, 0)))
    assert before == [file(local, n).read_bytes() for n in ("manifest.json", "model.joblib")]
    assert sha256(before[1]).hexdigest() == json.loads(before[0])["sha256"]


def test_the_newest_is_that_of_the_latest_window_that_had_ended_by_then(store: Store) -> None:
    for name in NAMES[2:5]:
        store.commit(name, *OLD)
    ends = {m: store.newest(NOON + m * MINUTE) for m in (2, 3, 4, 5, 99)}
    assert ends == {2: None, 3: NAMES[2], 4: NAMES[3], 5: NAMES[4], 99: NAMES[4]}
    assert store.newest(NOON + 4 * MINUTE - SECOND) == NAMES[2]


def test_a_folder_without_a_manifest_does_not_exist(local: Store) -> None:
    file(local, "manifest.json").unlink()
    assert (local.names(), local.newest(NOON * 2)) == ([], None)
    for ask in (local.manifest, local.reference, local.load, local.read_verified):
        with pytest.raises(FileNotFoundError):
            ask(NAMES[0])


def test_folders_that_are_no_artefacts_are_left_alone(local: Store) -> None:
    for name in ("latest", "20261123", NAMES[1].lower()):
        Path(local.path, name).mkdir()
        Path(local.path, name, "manifest.json").write_bytes(OLD[1].as_json())
    assert local.names() == NAMES[:1]
    assert list(local.prune(NOON * 2, 1)) == []


@dataclass
class Planted:
    """What would run code when it is unpickled: it makes a file."""

    marker: str

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.marker, "w")


def test_a_planted_pickle_is_never_opened(local: Store, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    planted = pickle.dumps(Planted(str(marker)))
    pickle.loads(planted).close()
    assert marker.exists()  # so the trap works
    marker.unlink()
    reference = local.reference(NAMES[0])
    file(local, "model.joblib").write_bytes(planted)
    with pytest.raises(DamagedArtefact, match="it is not opened"):
        local.load(NAMES[0])
    changed = OLD[1].model_copy(update={"sha256": sha256(planted).hexdigest()})
    file(local, "manifest.json").write_bytes(changed.as_json())
    with pytest.raises(DamagedArtefact, match="changed since it was referred to"):
        ModelCache(local).get(reference)
    assert not marker.exists()


@pytest.mark.parametrize("place", [0, 1, len(OLD[0]) // 2, len(OLD[0]) - 1])
def test_one_changed_byte_is_found(local: Store, place: int) -> None:
    data = bytearray(OLD[0])
    data[place] ^= 1
    file(local, "model.joblib").write_bytes(data)
    for ask in (local.load, local.read_verified):
        with pytest.raises(DamagedArtefact, match=rf"{NAMES[0]}: model\.joblib has SHA-256 "):
            ask(NAMES[0])


def test_a_model_file_that_is_cut_off_or_missing_is_found(local: Store) -> None:
    file(local, "model.joblib").write_bytes(OLD[0][:-1])
    with pytest.raises(DamagedArtefact, match="has SHA-256"):
        local.load(NAMES[0])
    file(local, "model.joblib").unlink()
    with pytest.raises(DamagedArtefact, match=r"model\.joblib is missing"):
        local.load(NAMES[0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (OLD[1].as_json()[:-20], "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"not json", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b"{}", "window_start Field required"),
        (OLD[1].as_json().replace(b'"format": 1', b'"format": 2'), "format Input should be 1"),
        (OLD[1].as_json().replace(b'"rows": 30', b'"rows": "many"'), "rows Input should be"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_reported_with_its_name(
    local: Store, data: bytes, message: str
) -> None:
    file(local, "manifest.json").write_bytes(data)
    for ask in (local.manifest, local.reference, local.load, local.read_verified):
        with pytest.raises(DamagedArtefact, match=rf"{NAMES[0]}: manifest\.json: {message}"):
            ask(NAMES[0])


def test_a_manifest_with_another_hash_is_refused(local: Store) -> None:
    other = OLD[1].model_copy(update={"sha256": NEW[1].sha256})
    file(local, "manifest.json").write_bytes(other.as_json())
    with pytest.raises(DamagedArtefact, match="its manifest says " + NEW[1].sha256[:12]):
        local.load(NAMES[0])


@pytest.mark.parametrize("name", ["../x", "..", "", "/etc", "a/b", NAMES[0] + "/..", "x\\..\\y"])
def test_a_name_that_is_a_path_out_of_the_store_is_refused(local: Store, name: str) -> None:
    outside = Path(local.path).parent / "x"
    outside.mkdir()
    (outside / "manifest.json").write_bytes(OLD[1].as_json())
    assert not is_name(name)
    for ask in (local.load, local.manifest, local.read_verified, local.reference, local.remove):
        with pytest.raises(ValueError, match="is not an artefact's name"):
            ask(name)
    with pytest.raises(ValueError, match="is not an artefact's name"):
        local.commit(name, *OLD)
    assert (outside / "manifest.json").exists()


def read_first(store: Store) -> str:
    """What a reader sees of the first artefact."""
    try:
        data = store.read_verified(NAMES[0])
    except (FileNotFoundError, DamagedArtefact):
        return "refused"
    return {OLD[0]: "old", NEW[0]: "new"}[data]


def test_a_commit_over_an_older_artefact_is_never_seen_half_done(
    local: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [read_first(local)]

    def watched(honest: Callable[..., Any]) -> Callable[..., Any]:
        def step(path: Path, *given: Any, **named: Any) -> Any:
            result = honest(path, *given, **named)
            steps.append(read_first(local) if NAMES[0] in local.names() else "absent")
            return result

        return step

    for name in ("write_bytes", "replace", "unlink"):
        monkeypatch.setattr(Path, name, watched(getattr(Path, name)))
    local.commit(NAMES[0], *NEW)
    assert steps == ["old", "absent", "absent", "absent", "absent", "new"]


@pytest.mark.parametrize("broken", ["model.joblib", "manifest.json"])
def test_a_disk_that_fills_in_the_middle_leaves_no_artefact_of_that_name(
    local: Store, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    honest = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if broken not in path.name:
            return honest(path, data)
        honest(path, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            local.commit(NAMES[0], *NEW)
    assert local.names() == []
    assert [p.name for p in Path(local.path, NAMES[0]).iterdir()] == ["model.joblib"]
    local.commit(NAMES[0], *NEW)
    assert read_first(local) == "new"


def test_a_folder_in_the_model_files_place_leaves_no_artefact(local: Store) -> None:
    file(local, "model.joblib").unlink()
    file(local, "model.joblib").mkdir()
    with pytest.raises(OSError):
        local.commit(NAMES[0], *NEW)
    assert local.names() == []


def test_a_removed_artefact_is_gone_with_its_folder_and_a_retry_is_no_error(store: Store) -> None:
    store.commit(NAMES[0], *OLD)
    store.remove(NAMES[0])
    store.remove(NAMES[0])
    assert store.names() == []
    assert not Path(store.path, NAMES[0]).exists()
    assert InMemory.files == {}


def test_of_12_windows_with_keep_3_four_are_left_when_the_last_refresh_is_reported(
    store: Store,
) -> None:
    gone: list[str] = []
    for i, name in enumerate(NAMES):
        store.commit(name, *OLD)
        # The refresh that this window's model will not serve: it ends with the window.
        gone += store.prune(end=NOON + i * MINUTE, keep=3)
    assert store.names() == NAMES[-4:]
    assert gone == NAMES[:-4]
    assert list(store.prune(end=NOON + 11 * MINUTE, keep=3)) == []


def test_keep_0_keeps_all(store: Store) -> None:
    for name in NAMES:
        store.commit(name, *OLD)
    assert list(store.prune(end=NOON * 2, keep=0)) == []
    assert store.names() == NAMES


def test_pruning_late_refreshes_first_leaves_the_models_of_later_windows(store: Store) -> None:
    for name in NAMES[:6]:
        store.commit(name, *OLD)
    assert list(store.prune(end=NOON + 2 * MINUTE, keep=1)) == NAMES[:1]
    assert store.names() == NAMES[1:6]
