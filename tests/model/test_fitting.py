"""Fitted estimators predict each row by itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from model.fitting import predict


@pytest.mark.parametrize("columns", [1, 2, 7, 33])
def test_a_ridges_prediction_of_a_row_does_not_depend_on_the_rows_beside_it(columns: int) -> None:
    rng = np.random.default_rng(columns)
    matrix, target = rng.normal(size=(3_000, columns)), rng.normal(size=3_000)
    model = Ridge().fit(matrix, target)
    whole = predict(model, matrix)
    np.testing.assert_allclose(whole, model.predict(matrix), rtol=1e-9, atol=1e-12)
    assert (predict(model, np.asfortranarray(matrix)) == whole).all()
    for low, high in ((0, 1), (1, 2), (1, 1_000), (7, 2_999), (2_990, 3_000)):
        assert (predict(model, matrix[low:high]) == whole[low:high]).all()
