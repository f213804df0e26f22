"""Fitted estimators predict each row by itself."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from model.fitting import fit, predict


class Careless(RandomForestRegressor):  # type: ignore[misc]
    """Loses all warning filters, as scikit-learn's trees in threads do now and then."""

    def fit(self, matrix: Any, target: Any) -> Careless:
        warnings.resetwarnings()
        warnings.warn("what else there is", UserWarning, stacklevel=1)
        return super().fit(matrix, target)


@pytest.mark.parametrize("columns", [1, 2, 4, 7, 33, 300])
def test_a_ridges_prediction_of_a_row_does_not_depend_on_the_rows_beside_it(columns: int) -> None:
    rng = np.random.default_rng(columns)
    matrix, target = rng.normal(size=(3_000, columns)), rng.normal(size=3_000)
    model = Ridge().fit(matrix, target)
    whole = predict(model, matrix)
    np.testing.assert_allclose(whole, model.predict(matrix), rtol=1e-9, atol=1e-12)
    assert (predict(model, np.asfortranarray(matrix)) == whole).all()
    for low, high in ((0, 1), (1, 2), (1, 1_000), (7, 2_999), (2_990, 3_000)):
        assert (predict(model, matrix[low:high]) == whole[low:high]).all()
        assert (predict(model, matrix[low:high].copy()) == whole[low:high]).all()


def test_a_forests_fit_keeps_the_warning_filters_and_shows_only_what_is_of_use() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(200, 2))
    forest = Careless(n_estimators=20, random_state=1)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = [*warnings.filters]
        fit(forest, matrix, matrix[:, 0], parallel=True)
        predict(forest, matrix)
        assert warnings.filters == before
    assert [str(one.message) for one in shown] == ["what else there is"]
