from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.metrics.metric import MetricsFilter
from sklearn.linear_model import Ridge

from model.manifest import Reference
from model.store import DamagedArtefact, Store, model_cache
from tests.kit.streams import SCHEMA, labelled, stream, values
from tests.transforms.test_normalize import by_hand
from tests.transforms.test_train import RIDGE, commit_rows, flip
from transforms.coders import estimate_bytes
from transforms.elements import AcceptedBatch, ScoringBatch, ScoringTask
from transforms.predict import ArtefactHandler, Predict
from transforms.testing import Gather, accepted, batches, embedded

ROWS = stream(200, 240)
NAMES = [f"19700101T000{minute}00Z" for minute in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four windows' models."""
    path = tmp_path_factory.mktemp("store")
    assert sorted(commit_rows(ROWS, path, RIDGE)) == NAMES
    return path / "models"


def reference(folder: Path, name: str) -> Reference:
    return Store(str(folder)).reference(name)


def make_batches(batch_rows: int = 50) -> list[AcceptedBatch]:
    return accepted(batches(ROWS, SCHEMA, 240_000_000, batch_rows), SCHEMA)


def by_scikit_learn(name: str, ids: list[int]) -> Any:
    """What a ridge fitted to a window's rows says of some rows, encoded by that window."""
    minute = NAMES.index(name)
    train = labelled(ROWS, minute * 60, minute * 60 + 60)
    fitted = Ridge(alpha=0.5).fit(by_hand(ROWS, train), values(ROWS, train, "y"))
    numeric = np.column_stack([values(ROWS, train, c) for c in ("x", "z")])
    mean, scale = np.nanmean(numeric, axis=0), np.nanstd(numeric, axis=0)
    scale[scale == 0] = 1
    wanted = np.column_stack([values(ROWS, ids, c) for c in ("x", "z")])
    scaled = np.nan_to_num((wanted - mean) / scale)
    known = sorted({ROWS[i]["c"] for i in train} - {None})
    hot = [[*(float(ROWS[i]["c"] == v) for v in known)] for i in ids]
    other = [[float(ROWS[i]["c"] not in known)] for i in ids]
    return fitted.predict(np.column_stack([scaled, np.array(hot), other]))


def test_interleaved_windows_are_each_scored_by_their_own_model(folder: Path) -> None:
    requests = [
        ScoringTask(reference(folder, NAMES[(i + j) % 4]), batch)
        for i, batch in enumerate(make_batches(50))
        for j in range(4)
    ]
    handler = ArtefactHandler(str(folder))
    results: list[Any] = list(handler.run_inference(requests, handler.load_model()))
    assert len(results) == 16
    for (asked, batch), result in zip(requests, results, strict=True):
        assert asked is not None and result.inference is not None
        wanted = by_scikit_learn(asked.name, result.batch.rows["__id"].to_pylist())
        assert result.batch is batch
        assert result.model == asked.name
        assert result.inference.reference == asked
        np.testing.assert_allclose(result.inference.prediction, wanted, rtol=1e-9)
        minute = NAMES.index(asked.name)
        train = labelled(ROWS, minute * 60, minute * 60 + 60)
        assert result.inference.baseline == pytest.approx(values(ROWS, train, "y").mean())


def test_a_batch_without_a_reference_passes_unscored(folder: Path) -> None:
    [batch] = make_batches(1000)
    handler = ArtefactHandler(str(folder))
    [result] = handler.run_inference([ScoringTask(None, batch)], handler.load_model())
    assert result.batch is batch
    assert (result.inference, result.model) == (None, None)


def test_a_rows_prediction_does_not_depend_on_its_neighbours(folder: Path) -> None:
    handler = ArtefactHandler(str(folder))
    ask = reference(folder, NAMES[0])

    def predicted(batch_rows: int) -> Any:
        requests = [ScoringTask(ask, batch) for batch in make_batches(batch_rows)]
        results = handler.run_inference(requests, handler.load_model())
        return np.concatenate([one.inference.prediction for one in results if one.inference])

    np.testing.assert_allclose(predicted(1), predicted(1000), rtol=1e-12)


def test_beams_run_inference_scores_lists_of_requests_and_counts_in_our_namespace(
    folder: Path,
) -> None:
    [one, two, *_] = make_batches(50)
    lists = [
        ScoringBatch([ScoringTask(reference(folder, NAMES[0]), one), ScoringTask(None, two)]),
        ScoringBatch([ScoringTask(reference(folder, NAMES[1]), two)]),
    ]
    pipeline = embedded()
    scored = pipeline | beam.Create(lists) | Predict(str(folder))
    seen = scored | Gather()
    result = pipeline.run()
    found = {(r.value.model, r.value.batch.rows["__id"][0].as_py()): r.value for r in seen}
    assert set(found) == {(NAMES[0], 0), (None, 50), (NAMES[1], 50)}
    wanted = by_scikit_learn(NAMES[1], list(range(50, 100)))
    mine = found[NAMES[1], 50].inference.prediction
    np.testing.assert_allclose(mine, wanted, rtol=1e-9)
    counters = result.metrics().query(MetricsFilter().with_namespace("correnteza"))["counters"]
    assert {c.key.metric.name: c.committed for c in counters}["num_inferences"] == 3


def test_the_handler_batches_nothing_more_and_counts_bytes_without_pickling(folder: Path) -> None:
    handler = ArtefactHandler(str(folder))
    [one, two, *_] = make_batches(50)
    assert handler.should_skip_batching()
    assert handler.get_metrics_namespace() == "correnteza"
    assert handler.get_num_bytes([ScoringTask(None, one), ScoringTask(None, two)]) == (
        estimate_bytes(one.rows) + estimate_bytes(two.rows)
    )
    assert handler.get_num_bytes([]) == 0
    assert handler.load_model() is model_cache(str(folder))


def test_a_model_of_which_a_byte_has_changed_is_not_opened(tmp_path: Path) -> None:
    commit_rows(ROWS, tmp_path, RIDGE)
    store = tmp_path / "models"
    ask = reference(store, NAMES[0])
    flip(store / NAMES[0] / "model.joblib")
    model_cache.cache_clear()  # as in another process: this one has made it
    handler = ArtefactHandler(str(store))
    with pytest.raises(DamagedArtefact, match="is not opened"):
        list(handler.run_inference([ScoringTask(ask, make_batches()[0])], handler.load_model()))


def test_a_reference_to_other_content_of_that_name_is_refused(folder: Path) -> None:
    handler = ArtefactHandler(str(folder))
    with pytest.raises(DamagedArtefact, match="changed since"):
        request = ScoringTask(Reference(NAMES[0], "0" * 64), make_batches()[0])
        list(handler.run_inference([request], handler.load_model()))
