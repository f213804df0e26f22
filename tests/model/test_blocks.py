"""Sums by blocks: however rows are cut into batches, and in whatever order these come."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.baselines import Before, Past
from model.batch import ID, Key, column, row_ids, slice_batch
from model.block_sums import as_bytes, finish, from_bytes, join, sum_by_blocks
from model.blocks import BLOCK, add_blocks, find_starts, round_up
from model.drift import make_histogram
from model.groups import Named
from model.metrics import Sums, merge_two, sum_batch
from model.regression import RegressionSums
from model.sample import in_half, splitmix64
from model.schema import Schema
from tests.kit.rows import accept

SCHEMA = Schema.model_validate(
    {
        "name": "s",
        "time": "t",
        "target": "y",
        "features": {"numeric": ["a", "b"], "categorical": ["c"]},
        "baseline": {"season": "1d"},
    }
)
NUMBERS = SCHEMA.model_copy(
    update={"features": SCHEMA.features.model_copy(update={"categorical": ()})}
)


TOPIC = 1 << 62 | 3 << 48 | 77
"""The id of a topic's row (docs/design.md, "Row ids")."""


def rows(count: int, first: int, seed: int, step: int = 1) -> pa.RecordBatch:
    """Rows of columns of different sizes, some null, whose ids follow each other but for gaps."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, count)) * [[1.0], [1e-3], [1e4]] + [[0.0], [0.0], [1e6]]
    values[1:][rng.random((2, count)) < rng.choice([0.0, 0.001, 0.4])] = np.nan
    names = rng.choice(["p", "q", "r"], count).tolist()
    made = accept(SCHEMA, dict(zip("yab", values, strict=True)) | {"c": names})
    made = made.set_column(0, made.schema.field(0), pa.array(np.arange(count) * step + first))
    return made.filter(pa.array(rng.random(count) < 0.95))


def cut(batch: pa.RecordBatch, rng: np.random.Generator) -> list[pa.RecordBatch]:
    """The batch in pieces, cut where blocks end."""
    starts = find_starts(row_ids(batch), batch.num_rows)
    edges = starts[rng.integers(0, len(starts), 4)]
    places = np.unique([0, *edges, batch.num_rows]).tolist()
    return [batch.slice(a, b - a) for a, b in pairwise(places)]


def sum_all(batch: pa.RecordBatch, place: int) -> Sums:
    """The sums of predictions of a batch, with all that a schema may ask for."""
    target = column(batch, "y")
    codes = batch.column("c").indices.to_numpy()
    named = Named(codes.astype(np.int64), batch.column("c").dictionary.to_pylist())
    prediction = target * 1.1 + 1 / 3
    starts = find_starts(row_ids(batch), batch.num_rows)
    hot = np.zeros((batch.num_rows, 0))
    found = make_histogram(target[None], hot, prediction, [0], starts)
    return sum_batch(
        *(target, 0, prediction, 0.1, "m", found),
        season=target * 0.7,
        before=Before(0, Key(0, 0, place), named),
        named=named,
        ids=row_ids(batch),
    )


def tree(parts: list[Any], merge: Any, rng: np.random.Generator) -> Any:
    """All parts merged in a random order, two at a time."""
    while len(parts) > 1:
        a, b = rng.choice(len(parts), 2, replace=False).tolist()
        merged = merge(parts[a], parts[b])
        parts = [part for i, part in enumerate(parts) if i not in (a, b)] + [merged]
    return parts[0]


def figures_of(sums: Sums) -> str:
    """All figures of sums, as their digits."""
    assert isinstance(sums.figures, RegressionSums)
    summary = sums.figures.summary()
    assert summary is not None
    return repr([sums.bins, sums.sums, summary.as_fields(), sums.figures.figures(Past())])


@given(
    st.integers(2, 9_000),
    st.sampled_from([0, 1_000, 5 * BLOCK, TOPIC]),
    st.integers(0, 2**32),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_no_cut_and_no_order_changes_a_byte_of_a_sum_or_figure(
    count: int, first: int, seed: int, apart: bool
) -> None:
    rng = np.random.default_rng(seed)
    # Far apart, as hashes are, each row is a block of its own.
    batch = rows(min(count, 1_500), first, seed, BLOCK) if apart else rows(count, first, seed)
    if batch.num_rows < 2:
        return
    whole, wanted = finish([sum_by_blocks(batch, NUMBERS, True, True)], NUMBERS)
    assert wanted is not None and wanted.half is not None
    pieces = cut(batch, rng)
    parts = [sum_by_blocks(piece, NUMBERS, True, True) for piece in pieces]
    parts = [from_bytes(as_bytes(part)) for part in parts]
    rng.shuffle(parts)  # type: ignore[arg-type]
    for some in ([tree(parts, lambda a, b: join([a, b]), rng)], parts):
        statistics, moments = finish(some, NUMBERS)
        assert statistics.model_dump_json() == whole.model_dump_json()
        assert moments is not None and moments.half is not None
        assert moments.as_bytes() == wanted.as_bytes()
        assert moments.half.as_bytes() == wanted.half.as_bytes()
    one = figures_of(sum_all(batch, 0))
    sums = [sum_all(piece, place) for place, piece in enumerate(pieces)]
    assert figures_of(tree(sums, merge_two, rng)) == one
    mixed = finish([sum_by_blocks(piece, SCHEMA) for piece in pieces[::-1]], SCHEMA)[0]
    alone = finish([sum_by_blocks(batch, SCHEMA)], SCHEMA)[0]
    assert mixed.model_dump_json() == alone.model_dump_json()


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1_000, 1), (TOPIC, 1), (5, BLOCK)])
def test_sums_are_those_of_numpy(first: int, step: int) -> None:
    batch = rows(5_000, first, 3, step)
    statistics, moments = finish(
        [sum_by_blocks(p, NUMBERS, True, True) for p in cut(batch, np.random.default_rng(0))],
        NUMBERS,
    )
    assert moments is not None and moments.half is not None
    values = np.stack([column(batch, name) for name in "yab"])
    here = ~np.isnan(values)
    for name, mine in zip("yab", values, strict=True):
        found = statistics.numeric(name)
        assert found.mean == pytest.approx(np.nanmean(mine), rel=1e-12)
        assert found.variance == pytest.approx(np.nanvar(mine), rel=1e-9)
    centred = np.where(here, values - moments.centre[:, None], 0.0)
    half = in_half(splitmix64(row_ids(batch)))
    for sums, mask in ((moments, np.ones_like(half)), (moments.half, half)):
        scale = np.sqrt(np.outer(*[np.square(centred).sum(axis=1)] * 2))
        assert np.abs(sums.products - (centred * mask) @ centred.T).max() < 1e-9 * scale.max()
        np.testing.assert_allclose(
            sums.products / scale, (centred * mask) @ centred.T / scale, atol=1e-9
        )
        assert (sums.counts == (here * mask).astype(float) @ here.T).all()
    assert statistics.season is not None
    assert sum(count for count, _ in statistics.season) == batch.num_rows
    total = sum(total for _, total in statistics.season)
    assert total == pytest.approx(values[0].sum(), rel=1e-9)


@given(st.integers(1, 5_000), st.integers(0, 3_000), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_batches_of_whole_blocks_are_cut_at_the_edges_of_blocks_alone(
    count: int, first: int, blocks: int
) -> None:
    batch = pa.record_batch({ID: pa.array(np.arange(first, first + count))})
    pieces = [*slice_batch(batch, blocks * BLOCK)]
    assert pa.Table.from_batches(pieces).column(ID).to_pylist() == [*range(first, first + count)]
    assert all(piece.column(ID)[0].as_py() % BLOCK == 0 for piece in pieces[1:])
    assert max(piece.num_rows for piece in pieces) <= blocks * BLOCK


def test_a_blocks_sum_does_not_depend_on_what_is_beside_it_or_on_its_place_in_memory() -> None:
    values = np.random.default_rng(0).normal(size=3 * BLOCK)
    middle = values[BLOCK : 2 * BLOCK]
    seen = set()
    for place in range(9):
        room = np.empty(len(values) + 9)
        room[place : place + len(values)] = values
        whole = room[place : place + len(values)]
        seen.add(float(add_blocks(whole, np.array([0, BLOCK, 2 * BLOCK]))[1]))
        seen.add(float(add_blocks(whole[BLOCK - place : 2 * BLOCK], np.unique([0, place]))[-1]))
    assert seen == {float(middle.sum())} or len(seen) == 1


def test_rows_of_a_batch_are_whole_blocks() -> None:
    assert [round_up(rows) for rows in (1, 1_024, 1_025, 10_000)] == [1_024, 1_024, 2_048, 10_240]
