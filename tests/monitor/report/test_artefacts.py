"""Models in the report: none is opened before its hash has matched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest

from model.runs import RunFolder
from model.store import Store
from monitor.report import artefacts, history
from monitor.report.artefacts import Model
from tests.kit.job import SMALL, Job, metrics, models

NAMES = [f"20260101T000{minute}00Z" for minute in range(1, 5)]
PLANTED = b"cposix\nsystem\n(S'touch planted'\ntR."
"""A pickle that runs a command."""


def read(folder: Path, names: list[str]) -> list[Model]:
    run = RunFolder(str(folder))
    return artefacts.read(Store(run.models), names, history.read(run), lambda line: None)


def test_a_model_is_reported_by_its_manifest_its_fit_and_what_it_served(run: Path) -> None:
    found = read(run, NAMES)
    assert [model.name for model in found] == NAMES
    for model, manifest in zip(found, models(run).values(), strict=True):
        assert model.manifest is not None and model.damage is None
        assert model.manifest.model_dump(mode="json") == manifest
        timing = json.loads((run / "timing" / f"{model.name}.json").read_text())
        assert model.fit_seconds == timing["fit_seconds"]
        served = [r for r in metrics(run) if r["model"] == model.name]
        assert [json.loads(r.as_json()) for r in model.served] == served
        assert model.served_error == (served[0]["mae"] if served else None)
    assert [len(model.served) for model in found] == [1, 1, 1, 0]


def test_a_damaged_model_is_reported_and_not_opened(mine: Path) -> None:
    (mine / "models" / NAMES[0] / "model.joblib").write_bytes(PLANTED)
    (mine / "models" / NAMES[1] / "model.joblib").unlink()
    (mine / "models" / NAMES[2] / "manifest.json").write_text("{}")
    found = {model.name: model for model in read(mine, NAMES)}
    assert "has SHA-256" in str(found[NAMES[0]].damage)
    assert found[NAMES[1]].damage == "model.joblib is missing"
    assert found[NAMES[2]].manifest is None and "manifest.json" in str(found[NAMES[2]].damage)
    assert found[NAMES[3]].damage is None
    assert not Path("planted").exists()


def test_a_model_that_retention_removes_meanwhile_is_left_out(mine: Path) -> None:
    shutil.rmtree(mine / "models" / NAMES[0])
    assert [model.name for model in read(mine, NAMES)] == NAMES[1:]


def test_the_importance_of_a_forest_is_its_own(run: Path) -> None:
    found = artefacts.importance(Store(str(run / "models")), NAMES[-1])
    artefact = joblib.load(run / "models" / NAMES[-1] / "model.joblib")
    names = json.loads((run / "models" / NAMES[-1] / "manifest.json").read_text())["features"]
    assert list(found.weights) == names
    assert list(found.weights.values()) == artefact.estimator.feature_importances_.tolist()


def test_the_importance_of_a_line_is_the_size_of_its_coefficients(hostile: Path) -> None:
    store = Store(str(hostile / "models"))
    found = artefacts.importance(store, store.names()[-1])
    artefact = joblib.load(hostile / "models" / store.names()[-1] / "model.joblib")
    assert list(found.weights.values()) == np.abs(artefact.estimator.coef_).tolist()


def test_boosting_has_no_importance_and_that_is_shown(job: Job) -> None:
    job.ran(*SMALL[:4], "--refreshes", "1", "--learner", "boosting", "--output", "run")
    found = artefacts.importance(Store("run/models"), NAMES[0])
    assert found.weights == {}
    assert found.description == "a HistGradientBoostingRegressor has none"


def test_no_importance_is_read_from_a_damaged_model(mine: Path) -> None:
    (mine / "models" / NAMES[-1] / "model.joblib").write_bytes(PLANTED)
    found = artefacts.importance(Store(str(mine / "models")), NAMES[-1])
    assert found.weights == {} and "it is not opened" in found.description
    assert not Path("planted").exists()


@pytest.mark.parametrize("data", [b"", b"nonsense", PLANTED])
def test_manifests_are_those_that_can_be_read(data: bytes, mine: Path) -> None:
    (mine / "models" / NAMES[1] / "manifest.json").write_bytes(data)
    found = artefacts.manifests(Store(str(mine / "models")))
    assert list(found) == [NAMES[0], *NAMES[2:]]
