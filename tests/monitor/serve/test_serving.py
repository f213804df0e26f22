"""Which model serves: the newest whole one of the store, and none that is damaged."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from model.store import Store
from monitor.serve.serving import Change, Models
from tests.kit.rows import InMemory
from tests.kit.serve import (
    NAMES,
    client,
    commit,
    constant,
    flip,
    iso_of,
    problem_of,
    rows,
    until,
)

NEWER = "20260101T000900Z"


@pytest.fixture
def models(mine: Path) -> Models:
    """The models of a run that can be changed; the newest serves."""
    made = Models(Store(str(mine / "models")), poll=0.0)
    assert made.look() == [Change(NAMES[2])]
    return made


def serving(models: Models) -> str:
    assert models.current is not None
    return models.current.reference.name


def put(mine: Path, model: bytes, manifest: str, name: str = NEWER) -> Path:
    """Writes a model's files as they are given."""
    folder = mine / "models" / name
    folder.mkdir(exist_ok=True)
    (folder / "model.joblib").write_bytes(model)
    (folder / "manifest.json").write_text(manifest)
    return folder


def at(name: str) -> tuple[bytes, str]:
    """A good model file and manifest for a name."""
    data, manifest = constant(9, 500.0)
    return data, manifest.model_copy(update={"window_end": iso_of(name)}).model_dump_json()


def test_a_newer_model_takes_over_and_a_second_look_changes_nothing(models: Models) -> None:
    data, manifest = at(NEWER)
    put(Path(models.store.path).parent, data, manifest)
    assert models.look() == [Change(NEWER)]
    assert models.current is not None
    assert models.current.artefact.predict_columns(
        {"idade": [1], "idh": [1], "estado": ["x"], "cargo": ["x"]}
    ) == pytest.approx([500.0])
    assert models.look() == []


def test_a_snapshot_that_was_taken_stays_what_it_was(models: Models, mine: Path) -> None:
    before = models.take("newest")
    put(mine, *at(NEWER))
    models.look()
    assert before is not None and before.reference.name == NAMES[2]
    assert serving(models) == NEWER


def cut(folder: Path) -> None:
    file = folder / "model.joblib"
    file.write_bytes(file.read_bytes()[:-10])


def change(folder: Path) -> None:
    flip(folder / "model.joblib")


def remove(folder: Path) -> None:
    (folder / "model.joblib").unlink()


def empty(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"")


def old(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"format": 2}')


def foreign(folder: Path) -> None:
    output = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(
        json.dumps({**output, "window_end": "../../../etc/passwd"})
    )


def another(folder: Path) -> None:
    shutil.copy(folder.parent / NAMES[0] / "model.joblib", folder)


def link(folder: Path) -> None:
    outside = folder.parents[1] / "outside.joblib"
    (folder / "model.joblib").rename(outside)
    (folder / "model.joblib").symlink_to(outside)


DAMAGES = {
    cut: "model.joblib has SHA-256",
    change: "model.joblib has SHA-256",
    another: "model.joblib has SHA-256",
    remove: "model.joblib is missing",
    empty: "manifest.json: ",
    old: "manifest.json: ",
    foreign: "its manifest is of a window that ends at another time",
    link: "model.joblib leads out of the store",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused_once_and_the_old_one_goes_on(
    damage: Any, models: Models, mine: Path
) -> None:
    damage(put(mine, *at(NEWER)))
    [refusal] = models.look()
    assert refusal.name == NEWER and refusal.refused is not None
    assert DAMAGES[damage] in refusal.refused
    assert models.look() == [] and serving(models) == NAMES[2]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_model_that_serves_goes_on_though_its_files_are_damaged(
    damage: Any, models: Models, mine: Path
) -> None:
    damage(mine / "models" / NAMES[2])
    models.look()
    assert serving(models) == NAMES[2]


def test_a_model_that_cannot_predict_is_refused(models: Models, mine: Path) -> None:
    class Broken:
        def __reduce__(self) -> tuple[type, tuple[str]]:
            return ValueError, ("no model",)

    data = pickle.dumps(Broken())
    body = json.loads(at(NEWER)[1]) | {"sha256": hashlib.sha256(data).hexdigest()}
    put(mine, data, json.dumps(body))
    [refusal] = models.look()
    assert refusal.refused == "holds a ValueError, not an artefact"
    assert serving(models) == NAMES[2]


def test_a_path_in_a_manifest_is_not_followed(models: Models, mine: Path) -> None:
    data, manifest = at(NEWER)
    put(mine, data, json.dumps({**json.loads(manifest), "path": "../../outside", "model": "/x"}))
    assert models.look() == [Change(NEWER)]


def test_a_model_that_is_mended_is_taken_up(models: Models, mine: Path) -> None:
    data, manifest = at(NEWER)
    put(mine, data[:-1], manifest)
    assert [change.name for change in models.look()] == [NEWER]
    put(mine, data, manifest)
    assert models.look() == [Change(NEWER)]


def test_a_refused_model_is_not_read_again_at_every_look(mine: Path) -> None:
    models = Models(Store(str(mine / "models")), poll=60.0)
    data, manifest = at(NEWER)
    put(mine, data[:-1], manifest)
    assert [change.name for change in models.look()] == [NEWER, NAMES[2]]
    put(mine, data, manifest)  # mended, but it is too early to look again
    assert models.look() == []


def test_behind_a_damaged_model_the_next_older_one_serves(mine: Path) -> None:
    change(mine / "models" / NAMES[2])
    models = Models(Store(str(mine / "models")))
    assert [(found.name, found.refused is None) for found in models.look()] == [
        (NAMES[2], False),
        (NAMES[1], True),
    ]


def test_removing_the_newest_model_brings_the_one_before_back(models: Models) -> None:
    models.store.remove(NAMES[2])
    assert models.look() == [Change(NAMES[1])]


def test_a_model_that_serves_goes_on_when_the_store_is_empty(models: Models) -> None:
    for name in NAMES:
        models.store.remove(name)
    assert models.look() == [] and serving(models) == NAMES[2]


def test_a_model_that_was_replaced_whole_is_taken_up_by_its_new_hash(
    models: Models, mine: Path
) -> None:
    put(mine, *at(NAMES[2]), name=NAMES[2])
    assert models.look() == [Change(NAMES[2])]
    assert models.current is not None
    assert models.current.manifest.rows == 4


def test_a_store_on_another_file_system_serves_too(mine: Path) -> None:
    InMemory.files.clear()
    for path in (mine / "models").glob("*/*"):
        InMemory.files[f"in-memory://b/run/models/{path.relative_to(mine / 'models')}"] = (
            path.read_bytes()
        )
    models = Models(Store("in-memory://b/run/models"))
    assert models.look() == [Change(NAMES[2])]
    InMemory.files.clear()


def test_a_folder_that_cannot_be_read_is_reported_once_and_read_again(
    mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(mine) as api:
        (mine / "status.json").unlink()
        (mine / "status.json").mkdir()
        until(lambda: any(r.getMessage() == "cannot read the run" for r in caplog.records))
        (mine / "status.json").rmdir()
        name = commit(mine, 9, 500.0)
        until(lambda: api.get("/health").json()["model"] == name)
    warned = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert [record.getMessage() for record in warned] == ["cannot read the run"]


def test_while_it_runs_a_server_takes_models_up_and_refuses_damaged_ones(
    mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with client(mine) as api:
        name = commit(mine, 9, 500.0)
        until(lambda: api.get("/health").json()["model"] == name)
        answer = api.post("/predict", json=rows()).json()
        assert answer["model"] == name and answer["predictions"] == pytest.approx([500.0] * 4)
        data, manifest = constant(10, 600.0)
        put(mine, data[: len(data) // 2], manifest.model_dump_json(), "20260101T001000Z")
        until(lambda: any(r.getMessage() == "model refused" for r in caplog.records))
        assert api.post("/predict", json=rows()[0]).json()["model"] == name
        listed = api.get("/models").json()
        assert [one["serving"] for one in listed[:2]] == [False, True]
        damaged = {"model": "20260101T001000Z"}
        problem_of(api.post("/predict", params=damaged, json=rows()), 409, "model_damaged")
