from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from model.batch import SECOND
from model.training import Normalized
from tests.kit.streams import (
    EACH_MINUTE,
    MINUTE,
    SCHEMA,
    labelled,
    row,
    shuffle,
    stream,
    values,
)
from transforms.normalize import Normalize
from transforms.statistics import CollectWindows
from transforms.testing import FromBatches, Gather, accepted, batches, embedded


def normalize_rows(
    rows: list[Any], batch_rows: int = 1000, seed: int = 0, **options: Any
) -> dict[int, Normalized]:
    """Normalised windows by their end in seconds."""
    source = shuffle(accepted(batches(rows, SCHEMA, MINUTE, batch_rows), SCHEMA), seed)
    with embedded() as pipeline:
        windows = pipeline | FromBatches(source) | CollectWindows(SCHEMA, EACH_MINUTE, **options)
        seen = windows | Normalize(SCHEMA) | Gather()
    return {one.value.window.end // SECOND: one.value for one in seen}


def by_hand(rows: list[Any], ids: list[int]) -> Any:
    """The matrix of some rows: scikit-learn's scaler, nulls the mean; then 0/1 columns."""
    numeric = np.column_stack([values(rows, ids, name) for name in ("x", "z")])
    scaled = np.nan_to_num(StandardScaler().fit_transform(numeric))
    here = sorted({rows[i]["c"] for i in ids} - {None})
    one_hot = [[float(rows[i]["c"] == value) for value in here] for i in ids]
    other = [[float(rows[i]["c"] is None)] for i in ids]
    return np.column_stack([scaled, np.array(one_hot).reshape(len(ids), len(here)), other])


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_each_window_is_what_scikit_learn_makes_of_its_rows_in_order_of_time(
    batch_rows: int,
) -> None:
    rows = stream(150, 300, shuffled=True)
    found = normalize_rows(rows, batch_rows, seed=batch_rows)
    assert sorted(found) == [60, 120, 180, 240, 300]
    for end, data in found.items():
        ids = labelled(rows, end - 60, end)
        assert data.window == ((end - 60) * SECOND, end * SECOND)
        assert data.rows == len(ids)
        assert data.matrix.flags.c_contiguous
        np.testing.assert_allclose(data.matrix, by_hand(rows, ids), rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(data.target, values(rows, ids, "y"))


def test_the_order_of_arrival_changes_no_digit_and_no_fingerprint() -> None:
    rows = stream(100, 300, shuffled=True)
    first, again = normalize_rows(rows, 7, seed=1), normalize_rows(rows, 7, seed=2)
    for end, data in first.items():
        assert data.fingerprint == again[end].fingerprint
        np.testing.assert_array_equal(data.matrix, again[end].matrix)
    assert len({data.fingerprint for data in first.values()}) == len(first)


def test_another_value_gives_another_fingerprint() -> None:
    rows = [row(t, x=t) for t in range(9)]
    first = normalize_rows(rows)[60].fingerprint
    for change in ({"y": 2.0}, {"x": 99.0}, {"c": "b"}, {"t": 0.5}):
        rows[0] = {**row(0, x=0), **change}
        assert normalize_rows(rows)[60].fingerprint != first


def test_a_sample_is_normalised_by_the_statistics_of_all_rows() -> None:
    rows = [row(t, x=t) for t in range(60)]
    [data] = normalize_rows(rows, sample_rows=5).values()
    everyone = np.arange(60.0)
    assert (data.rows, data.matrix.shape[0], len(data.target)) == (60, 5, 5)
    scores = (everyone - everyone.mean()) / everyone.std()
    assert set(np.round(data.matrix[:, 0], 9)) <= set(np.round(scores, 9))


def test_one_row_constants_and_nulls_alone_are_defined() -> None:
    [data] = normalize_rows([row(0, y=5, x=None, c=None)]).values()
    assert data.matrix.tolist() == [[0.0, 0.0, 1.0]]
    assert data.target.tolist() == [5.0]
    assert normalize_rows([]) == {}
