"""Quantiles of errors beside numpy's, within the bound that the docs state."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quantiles import Bins

errors = st.lists(st.just(0.0) | st.floats(1e-12, 1e12), min_size=1, max_size=60)


@given(errors, st.floats(0.01, 1), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_a_quantile_is_no_less_than_numpys_and_at_most_a_64th_more_for_any_cut(
    drawn: list[float], share: float, cut: int
) -> None:
    numbers = np.array(drawn)
    merged = Bins.of(numbers[:cut]).merge(Bins.of(numbers[cut:]))
    assert merged == Bins.of(numbers) == Bins.of_pairs(merged.pairs())
    found = merged.quantile(share)
    exact = np.quantile(numbers, share, method="inverted_cdf")
    # a share times a count may round to the next whole number
    low = np.sort(numbers)[max(0, int(np.ceil(share * len(numbers) - 1e-9)) - 1)]
    assert found is not None
    assert low <= found <= max(exact, low) * (1 + 1 / 64)


def test_without_an_error_there_is_no_quantile() -> None:
    assert Bins().quantile(0.5) is None
    assert Bins.of(np.zeros(3)).quantile(0.9) == 0.0
