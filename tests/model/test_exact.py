"""Sums without rounding: they are those of fractions, whatever the order and the grouping."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.exact import ONE, Exact, add_each, add_exactly, sum_exactly, sum_multiples

numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), max_size=30)


@given(numbers, st.sampled_from([1, 40]), st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_a_sum_is_that_of_fractions_and_is_rounded_once(
    values: list[float], times: int, cut: int
) -> None:
    many = np.array(values * times)
    found = add_exactly(many)
    wanted = sum(map(Fraction, many.tolist()), Fraction(0))
    assert Fraction(found.units, ONE) == wanted
    parts = [add_exactly(many[cut:]), *map(Exact.of, many[:cut].tolist())]
    assert sum_exactly(parts) == found and sum(parts, 0.0) == found
    try:
        assert float(found) == float(wanted)
    except OverflowError:
        assert math.isinf(float(found))
    assert add_each(np.stack([many, -many])) == [found, Exact(-found.units)]
    assert Exact.of_field(found.field()) == found


@pytest.mark.parametrize("values", [[math.inf, 1.0], [-math.inf, 2.0], [math.nan], [math.inf] * 3])
def test_what_is_not_finite_stays_so_in_any_order(values: list[float]) -> None:
    assert repr(float(add_exactly(np.array(values)))) == repr(sum(values))
    assert add_exactly(np.array(values)) == sum_exactly(map(Exact.of, values[::-1]))
    assert math.isnan(float(add_exactly(np.array([math.inf, -math.inf, 1.0]))))


@given(numbers, st.booleans())
@settings(max_examples=50, deadline=None)
def test_multiples_are_those_of_fractions_few_or_many(values: list[float], alone: bool) -> None:
    many = np.array(values * (40 if alone else 1))
    counts = np.ones(len(many), np.int64) if alone else np.arange(len(many)) + 1
    pairs = [(Fraction(v), int(n)) for v, n in zip(many.tolist(), counts, strict=True)]
    total, squares = sum_multiples(many, counts)
    assert Fraction(total, ONE) == sum(v * n for v, n in pairs)
    assert Fraction(squares, ONE * ONE) == sum(v * v * n for v, n in pairs)
