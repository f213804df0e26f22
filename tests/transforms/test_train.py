from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from model.batch import SECOND
from model.manifest import Learner
from model.store import MANIFEST, MODEL, DamagedArtefact, Store
from tests.kit.streams import (
    COUNTING,
    EACH_MINUTE,
    MINUTE,
    SCHEMA,
    Counting,
    labelled,
    row,
    shuffle,
    stream,
    values,
)
from tests.transforms.test_normalize import by_hand
from transforms import counters
from transforms.elements import Committed
from transforms.normalize import Normalize
from transforms.statistics import CollectWindows
from transforms.testing import FromBatches, Gather, accepted, batches, embedded
from transforms.train import Commit, Train

MEANS = Learner(COUNTING, {}, 1)
RIDGE = Learner("ridge", {"alpha": 0.5}, 1)


def commit_rows(
    rows: list[Any],
    folder: Path,
    learner: Learner = MEANS,
    batch_rows: int = 1000,
    timing: bool = False,
    seed: int = 0,
) -> dict[str, Committed]:
    """What is committed of rows, by the artefacts' names."""
    source = shuffle(accepted(batches(rows, SCHEMA, MINUTE, batch_rows), SCHEMA), seed)
    store = Store(str(folder / "models"))
    with embedded() as pipeline:
        windows = pipeline | FromBatches(source) | CollectWindows(SCHEMA, EACH_MINUTE)
        models = windows | Normalize(SCHEMA) | Train(SCHEMA, learner, store)
        seen = models | Commit(store, str(folder / "timing") if timing else None) | Gather()
    return {one.value.reference.name: one.value for one in seen}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fits() -> int:
    """How many fits there were since the last call."""
    made, Counting.fits = Counting.fits, 0
    return made


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_a_models_predictions_are_those_of_scikit_learn_fitted_to_the_same_rows(
    tmp_path: Path, batch_rows: int
) -> None:
    rows = stream(150, 240, shuffled=True)
    found = commit_rows(rows, tmp_path, RIDGE, batch_rows)
    assert sorted(found) == [f"19700101T000{m}00Z" for m in range(1, 5)]
    everyone = accepted(batches(rows, SCHEMA, 240 * SECOND), SCHEMA)[0].rows
    for one in found.values():
        start, end = (edge // SECOND for edge in one.window)
        ids = labelled(rows, start, end)
        fitted = Ridge(alpha=0.5).fit(by_hand(rows, ids), values(rows, ids, "y"))
        artefact = Store(str(tmp_path / "models")).load(*one.reference)
        mine = artefact.predict(everyone)[ids]
        np.testing.assert_allclose(mine, fitted.predict(by_hand(rows, ids)), rtol=1e-9)


def test_the_manifest_shows_what_was_trained_on(tmp_path: Path) -> None:
    rows = [row(t, y=None if t % 10 == 0 else t, x=t) for t in range(60)]
    [one] = commit_rows(rows, tmp_path, RIDGE).values()
    manifest = Store(str(tmp_path / "models")).manifest("19700101T000100Z")
    assert (manifest.window_start, manifest.window_end) == (
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:01:00Z",
    )
    assert manifest.rows == 54
    assert manifest.parameters["alpha"] == 0.5
    assert one.reference == ("19700101T000100Z", manifest.sha256)


def test_a_retry_fits_nothing_and_gives_the_same_references_and_bytes(tmp_path: Path) -> None:
    rows = stream(100, 240, shuffled=True)
    fits()
    first, before = commit_rows(rows, tmp_path, batch_rows=7), files_of(tmp_path)
    assert fits() == 4
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert commit_rows(rows, tmp_path, batch_rows=7, seed=9) == first
    assert fits() == 0
    assert files_of(tmp_path) == before
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


@pytest.mark.parametrize("learner", [RIDGE, Learner("forest", {"n_estimators": 5}, 1)])
def test_a_window_that_is_trained_twice_has_the_same_bytes(
    tmp_path: Path, learner: Learner
) -> None:
    rows = stream(200, 120, shuffled=True)
    for name in ("a", "b"):
        commit_rows(rows, tmp_path / name, learner, batch_rows=20, seed=ord(name))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") != {}


def test_other_rows_or_another_learner_are_trained_anew(tmp_path: Path) -> None:
    rows = [row(t, y=t) for t in range(0, 120, 2)]
    first = commit_rows(rows, tmp_path)
    fits()
    changed = commit_rows([row(0, y=77), *rows[1:]], tmp_path)
    assert fits() == 1
    assert changed["19700101T000100Z"] != first["19700101T000100Z"]
    assert changed["19700101T000200Z"] == first["19700101T000200Z"]
    commit_rows([row(0, y=77), *rows[1:]], tmp_path, Learner(COUNTING, {"strategy": "median"}, 1))
    assert fits() == 2


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [(MODEL, flip), (MODEL, cut), (MODEL, Path.unlink), (MANIFEST, cut), (MANIFEST, Path.unlink)],
)
def test_a_damaged_artefact_is_trained_again_to_the_same_bytes(
    tmp_path: Path, name: str, damage: Any
) -> None:
    rows = [row(t, y=t) for t in range(60)]
    first, before = commit_rows(rows, tmp_path), files_of(tmp_path)
    damage(tmp_path / "models" / "19700101T000100Z" / name)
    with pytest.raises((DamagedArtefact, FileNotFoundError)):
        Store(str(tmp_path / "models")).load("19700101T000100Z")
    fits()
    assert commit_rows(rows, tmp_path) == first
    assert fits() == 1
    assert files_of(tmp_path) == before


def test_a_window_without_a_labelled_row_writes_no_model(tmp_path: Path) -> None:
    rows = [row(0), row(61, y=None), row(121)]
    assert sorted(commit_rows(rows, tmp_path)) == ["19700101T000100Z", "19700101T000300Z"]
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == [
        "19700101T000100Z",
        "19700101T000300Z",
    ]
    assert commit_rows([], tmp_path / "none") == {}


def test_timing_is_kept_apart_and_only_for_what_was_fitted(tmp_path: Path) -> None:
    rows = [row(t, y=t) for t in range(0, 120, 2)]
    commit_rows(rows, tmp_path)
    assert not (tmp_path / "timing").exists()
    commit_rows(rows, tmp_path / "kept", timing=True)
    output = json.loads((tmp_path / "kept" / "timing" / "19700101T000200Z.json").read_text())
    assert datetime.fromisoformat(output.pop("committed").replace("Z", "+00:00")).year >= 2024
    assert output.pop("fit_seconds") >= 0 and output.pop("commit_seconds") >= 0
    assert output == {"format": 1, "window_end": "1970-01-01T00:02:00Z", "rows": 30}
    before = files_of(tmp_path / "kept")
    commit_rows(rows, tmp_path / "kept", timing=True)
    assert files_of(tmp_path / "kept") == before


def test_models_are_counted_as_trained_or_found(tmp_path: Path) -> None:
    rows = [row(t) for t in (0, 60, 120)]
    counters.reset()
    commit_rows(rows, tmp_path)
    assert counters.counts() == {"models trained": 3}
    commit_rows(rows, tmp_path)
    assert counters.counts() == {"models trained": 3, "models found": 3}
