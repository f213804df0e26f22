"""What of a figure is news, beside the exact probabilities and plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from model.surprise import (
    DAY,
    READY,
    compute_bound,
    find_surprises,
    median_of_three,
    recent_anchor,
    season_anchor,
    season_lags,
)

HOUR = DAY // 24


@pytest.mark.parametrize(("n", "probability"), [(20, 0.02), (100, 0.01), (300, 0.002)])
def test_exponential_values_exceed_their_bound_with_the_probability(
    n: int, probability: float
) -> None:
    rng = np.random.default_rng(n)
    tries = 20_000
    values = rng.exponential(size=(tries, n + 1))
    beyond = sum(one[-1] > compute_bound(one[:-1], probability) for one in values)
    # An order statistic's own spread adds a little: within a third, and four standard deviations.
    expected = tries * probability
    assert abs(beyond - expected) < expected / 3 + 4 * np.sqrt(expected)


def test_normal_values_exceed_it_less_often() -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 101))
    beyond = sum(one[-1] > compute_bound(one[:-1], 0.001) for one in values)
    assert beyond < 20_000 * 0.001


def test_anchors_are_those_of_a_plain_loop_with_gaps() -> None:
    rng = np.random.default_rng(1)
    hours = np.flatnonzero(rng.uniform(size=250) < 0.8)
    times, values = hours * HOUR, rng.normal(size=(len(hours), 2))
    recent, season = recent_anchor(values), season_anchor(times, values, season_lags(HOUR))
    place = {time: number for number, time in enumerate(times.tolist())}
    for number, time in enumerate(times.tolist()):
        for figure in range(2):
            value = values[number, figure]
            near = [values[number - lag, figure] for lag in range(3, 9) if number >= lag]
            days = [time - lag * DAY for lag in (1, 2, 3, 7)]
            same = [values[place[at], figure] for at in days if at in place]
            for found, others in ((recent, near), (season, same if len(same) > 1 else [])):
                if others:
                    nearest = min(others, key=lambda other: abs(other - value))
                    assert found[number, figure] == nearest
                else:
                    assert np.isnan(found[number, figure])


def test_a_median_of_three_is_numpys() -> None:
    values = np.random.default_rng(2).normal(size=(50, 3))
    found = median_of_three(values)
    assert np.isnan(found[:2]).all()
    for row in range(2, 50):
        assert found[row].tolist() == np.median(values[row - 2 : row + 1], axis=0).tolist()


def test_a_jump_shows_in_a_figure_that_wanders_and_in_one_that_has_days() -> None:
    rng = np.random.default_rng(3)
    times = np.arange(120) * HOUR
    walk = np.cumsum(rng.normal(size=120))
    days = 50 * np.sin(2 * np.pi * times / DAY) + rng.normal(size=120)
    values = np.stack([walk, days], axis=1)
    assert find_surprises(times, values, HOUR, 1e-5) == []
    values[-2:] += 30  # less than the days' own range
    assert {one.figure for one in find_surprises(times, values, HOUR, 1e-5)} == {0, 1}


def test_few_refreshes_and_constant_figures_are_no_news() -> None:
    assert find_surprises(np.arange(READY) * HOUR, np.zeros((READY, 1)), HOUR, 0.5) == []
    assert find_surprises(np.arange(60) * HOUR, np.ones((60, 4)), HOUR, 0.5) == []


def test_excesses_that_follow_each_other_count_as_one_and_widen_the_bound() -> None:
    past = np.random.default_rng(0).exponential(size=200)
    clustered = np.sort(past)  # the same values, and all excesses in one run
    assert compute_bound(clustered, 1e-4) == compute_bound(past, 1e-4)
    assert compute_bound(clustered, 1e-4, wanders=True) > compute_bound(past, 1e-4, wanders=True)
    assert compute_bound(past, 1e-4, wanders=True) > compute_bound(past, 1e-4)
