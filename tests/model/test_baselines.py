"""Baselines against plain pandas on the same rows, for any cut into batches and refreshes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.baselines import (
    REMEMBERED,
    Before,
    Chain,
    Link,
    Past,
    RefreshSummary,
    Tally,
    join_links,
    make_chain,
    make_chains,
)
from model.batch import Key
from model.groups import Named, name_rows
from model.remembered import ASKED, Remembered, as_json, file_name

numbers = st.integers(-8_000, 8_000).map(lambda value: value / 8)
rows = st.lists(st.tuples(st.sampled_from("abc"), st.none() | numbers), min_size=1, max_size=40)
MINUTE = 60_000_000


def named(values: list[str | None]) -> Named:
    """The entities of rows."""
    return name_rows(pa.record_batch({"e": pa.array(values, pa.string())}), ["e"])


def links(frame: pd.DataFrame, cuts: list[int], scored: list[bool], by: bool) -> list[Link]:
    """The links of rows that are cut at some places, each piece a batch."""
    found: list[Link] = []
    places = [0, *cuts, len(frame)]
    for number, (low, high) in enumerate(pairwise(places)):
        piece = frame.iloc[low:high]
        before = Before(0, Key(7, low, 0), named(list(piece["e"])) if by else None)
        there = piece["y"].notna().to_numpy()
        found += before.links(piece["y"].to_numpy()[there], there, scored[number])
    return found


@pytest.mark.parametrize("by", [False, True])
@given(rows, st.lists(st.integers(0, 40), max_size=6), st.data())
@settings(deadline=None, max_examples=60)
def test_the_last_value_is_pandas_shift_for_any_cut_and_order_of_batches(
    by: bool, drawn: list[tuple[str, float | None]], cuts: list[int], data: st.DataObject
) -> None:
    frame = pd.DataFrame(drawn, columns=["e", "y"]).astype({"y": float})
    cuts = sorted(min(cut, len(frame)) for cut in cuts)
    scored = data.draw(st.lists(st.booleans(), min_size=len(cuts) + 1, max_size=len(cuts) + 1))
    parts = data.draw(st.permutations(links(frame, cuts, scored, by)))
    sizes = np.diff([0, *cuts, len(frame)])
    frame["scored"] = np.repeat(scored, sizes)
    known = frame.dropna(subset="y")
    before = known.groupby("e")["y"].shift(1) if by else known["y"].shift(1)
    errors = (known["y"] - before).abs()[known["scored"]]
    found = join_links(parts).inner.rounded()
    assert found.rows == errors.count()
    assert found.absolute == pytest.approx(errors.sum(), rel=1e-12)


@given(rows, st.lists(st.integers(0, 40), max_size=4))
@settings(deadline=None, max_examples=40)
def test_refreshes_follow_each_other_as_batches_do(
    drawn: list[tuple[str, float | None]], cuts: list[int]
) -> None:
    frame = pd.DataFrame(drawn, columns=["e", "y"]).astype({"y": float})
    cuts = sorted(min(cut, len(frame)) for cut in cuts)
    parts = links(frame, cuts, [True] * (len(cuts) + 1), True)
    past, total = Past(), Tally()
    for part in parts:
        summary = RefreshSummary(1, {}, part.chain.rounded())
        total = total.add(past.tally(summary)["last"])
        past.add(RefreshSummary.of_fields(summary.as_fields()))
    whole = join_links(parts).inner.rounded()
    assert (total.rows, total.absolute) == (whole.rows, pytest.approx(whole.absolute, rel=1e-12))


def test_a_row_without_an_entity_has_no_row_before_it_and_is_none() -> None:
    chain = make_chains(np.array([1.0, 9.0, 2.0]), True, named(["a", None, "a"]))
    assert chain == Chain(Tally(1, 1.0), {"a": 1.0}, {"a": 2.0})


def test_unscored_rows_are_in_no_error_but_known_to_the_rows_behind_them() -> None:
    unscored = make_chain(np.array([1.0, 4.0]), False, "0")
    scored = make_chain(np.array([6.0, 7.0]), True, "0")
    assert unscored.merge(scored).inner == Tally(2, 3.0)
    assert scored.merge(unscored).inner == Tally(1, 1.0)


def summary(mean: float, last: float, rows: int = 10, last_rows: int = 10) -> RefreshSummary:
    """What a refresh leaves whose baselines have these mean errors."""
    chain = Chain(Tally(last_rows, last * last_rows))
    return RefreshSummary(rows, {"mean": Tally(rows, mean * rows)}, chain)


def test_the_best_baseline_is_the_one_of_least_error_over_twenty_refreshes() -> None:
    past = Past()
    assert past.best() is None
    past.add(summary(1.0, 500.0))
    assert past.best() == "mean"
    for _ in range(REMEMBERED - 1):
        past.add(summary(9.0, 8.0))
    assert past.best() == "mean"  # the first one still counts
    past.add(summary(9.0, 8.0))
    assert past.best() == "last"


def test_a_baseline_that_predicts_few_rows_is_not_the_best() -> None:
    past = Past()
    past.add(summary(9.0, 1.0, rows=10, last_rows=4))
    assert past.best() == "mean"
    past.add(summary(9.0, 1.0, rows=10, last_rows=6))
    assert past.best() == "last"


def test_what_refreshes_left_is_found_again_after_gaps_of_any_length(tmp_path: Path) -> None:
    starts = [0, 1, 5, 5 + 3 * ASKED, 10**6]
    for number in starts:
        left = RefreshSummary(2, {}, Chain(Tally(), {}, {str(number % 2): float(number)}))
        path = tmp_path / file_name(number * MINUTE)
        path.write_bytes(as_json(left, number * MINUTE))
    remembered = Remembered(str(tmp_path), MINUTE)
    for at, newest in [(1, {"0": 0.0}), (2, {"0": 0.0, "1": 1.0}), (7, {"0": 0.0, "1": 5.0})]:
        assert remembered.before(at * MINUTE).lasts == newest
    end = (10**6 + 1) * MINUTE
    assert remembered.before(end).lasts == Remembered(str(tmp_path), MINUTE).before(end).lasts
    assert remembered.before(end).lasts == {"0": 10.0**6, "1": 101.0}
    assert remembered.before(MINUTE).lasts == {"0": 0.0}  # an older one is asked for again
