"""Sums of training rows by blocks: what statistics and second moments are made of.

Each batch sums its blocks (``model.blocks``), column by column; when a window fires, the blocks of
all its batches are put into the order of their rows' ids and added. So neither the cut into
batches nor their order changes a digit of a window's statistics, moments, or model.

Deviations are taken from the means of blocks, and brought to the window's by the updating formulae
of Chan, Golub and LeVeque (1979), or digits would be lost where a mean is large beside its
standard deviation. A block of one row has no deviations: its means are the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Floats
from model.batch import column, row_ids
from model.blocks import Places, add_blocks, count_rows, find_starts, repeat_each
from model.exact import Exact
from model.moments import Moments
from model.sample import in_half, splitmix64
from model.schema import Schema
from model.seasons import ExactSlots, merge_seasons, sum_season
from model.statistics import (
    GREATEST,
    Categorical,
    Numeric,
    Statistics,
    count_values,
    merge_categorical,
)
from model.threads import limit_blas

Ints = npt.NDArray[np.int64]


class Products(NamedTuple):
    """Sums of products of the n blocks of two rows or more, about the means of their blocks.

    Attributes:
        products: of two columns, over the rows that have both, shape (n, p, p).
        rests: of each column, what rounding its mean leaves, shape (p, n).
        sizes: numbers of rows, shape (n,).
        firsts: of the g blocks with a null, the sums of the first column over the rows that have
            both, shape (g, p, p).
        pairs: of these, how many rows have both, shape (g, p, p).
    """

    products: Floats
    rests: Floats
    sizes: Floats
    firsts: Floats
    pairs: Floats


class BlockSums(NamedTuple):
    """Sums of the k blocks of a batch, over p numeric columns, the target first.

    Attributes:
        ids: of each block's first row, shape (k,).
        sizes: numbers of rows, shape (k,).
        means: shape (p, k); 0 where a block has no value.
        counts: numbers of values that are not null, shape (p, k), or (0, k) if none is null.
        many: the n blocks of two rows or more, as places among the k.
        squares: sums of squared deviations of these, shape (p, n).
        lows, highs: the least and the greatest value of all blocks, shape (p,); NaN without one.
        gaps: the blocks of ``many`` with a null, as places among the n.
        products: of all rows, where a learner is fitted by them.
        half: of a half of the rows (``model.sample.in_half``), where a trial needs it.
        categories: counts of the values of each categorical column.
        season: sums by slot; None unless the schema names a season.
    """

    ids: Ints
    sizes: Floats
    means: Floats
    counts: Floats
    many: Places
    squares: Floats
    lows: Floats
    highs: Floats
    gaps: Places
    products: Products | None = None
    half: Products | None = None
    categories: Mapping[str, Categorical] = {}
    season: ExactSlots | None = None

    def categorical(self, name: str) -> Categorical:
        """The counts of a categorical column.

        Raises:
            KeyError: if there is no categorical column of that name.
        """
        return self.categories[name]


def numeric_columns(schema: Schema) -> tuple[str, ...]:
    """The columns of numbers, the target first unless it is a class."""
    return schema.numeric if schema.classifies else (schema.target, *schema.numeric)


def sum_by_blocks(
    rows: pa.RecordBatch, schema: Schema, products: bool = False, halves: bool = False
) -> BlockSums:
    """The sums of a batch's labelled rows.

    Args:
        rows: one at least.
        schema: what their columns mean.
        products: whether moments are summed, too.
        halves: whether those of a half are.
    """
    names, total = numeric_columns(schema), rows.num_rows
    ids = row_ids(rows)
    starts = find_starts(ids, total)
    lengths = count_rows(starts, total)
    sizes = lengths.astype(np.float64)
    columns = [column(rows, name) for name in names]
    sums, lows, highs = np.empty((3, len(names), len(starts)))
    with np.errstate(over="ignore", invalid="ignore"):
        for place, values in enumerate(columns):  # one by one: each stays in the processor's cache
            np.add.reduceat(values, starts, out=sums[place])
            np.minimum.reduceat(values, starts, out=lows[place])
            np.maximum.reduceat(values, starts, out=highs[place])
    counts, present = np.empty((0, len(starts))), None
    if not np.isfinite(sums).all():  # there is a null, or a sum is too great
        here = [~np.isnan(values) for values in columns]
        if not all(each.all() for each in here):
            present, counts = np.array(here), np.empty_like(sums)
            for place, values in enumerate(columns):
                np.fmin.reduceat(values, starts, out=lows[place])
                np.fmax.reduceat(values, starts, out=highs[place])
                columns[place] = np.where(here[place], values, 0.0)
                counts[place] = add_blocks(here[place].astype(np.float64), starts)
                sums[place] = add_blocks(columns[place], starts)
    means = _means(columns, sums, counts if present is not None else sizes, starts)
    # Rounding may put the mean of equal values an ulp beyond them; without a value it is 0.
    np.fmax(lows, np.fmin(highs, means, out=means), out=means)
    means += 0.0  # so that no zero has a sign
    many = (lengths > 1).nonzero()[0]
    centred = np.empty((len(names), total)) if products else None
    squares = _square(columns, means, present, starts, centred)
    found = BlockSums(
        ids[starts],
        sizes,
        means,
        counts,
        many,
        squares if len(many) == len(starts) else squares[:, many],
        np.fmin.reduce(lows, axis=1) + 0.0,
        np.fmax.reduce(highs, axis=1) + 0.0,
        _find_gaps(counts, sizes, many),
        categories=_count_categories(rows, schema),
        season=sum_season(rows, schema),
    )
    if centred is None:
        return found
    half = in_half(splitmix64(ids)) if halves else None
    whole, some = _multiply(centred, present, starts, found, half)
    return found._replace(products=whole, half=some)


def _find_gaps(counts: Floats, sizes: Floats, many: Places) -> Places:
    if not len(counts):
        return np.empty(0, np.intp)
    return np.flatnonzero((counts[:, many] < sizes[many]).any(axis=0))


def _means(columns: list[Floats], sums: Floats, counts: Floats, starts: Places) -> Floats:
    means: Floats = sums / np.maximum(counts, 1)
    finite = np.isfinite(sums)
    if not finite.all():  # where a sum is too great, that of the quotients is not
        shares = np.broadcast_to(np.maximum(counts, 1), sums.shape)
        for place, values in enumerate(columns):
            lot = add_blocks(values / repeat_each(shares[place], starts, len(values)), starts)
            means[place] = np.where(finite[place], means[place], lot)
    return means


def _square(
    columns: list[Floats],
    means: Floats,
    present: npt.NDArray[np.bool_] | None,
    starts: Places,
    centred: Floats | None,
) -> Floats:
    """The sums of squared deviations from the means of blocks, shape (p, k).

    Args:
        columns: of values, each of shape (rows,); what is null is 0.
        means: shape (p, k).
        present: which values are not null, shape (p, rows); None if all are.
        starts: where blocks begin.
        centred: takes the deviations, shape (p, rows), if they are asked for.
    """
    squares, total = np.zeros_like(means), len(columns[0]) if columns else 0
    if len(starts) == total and centred is None:
        return squares  # each row is a block
    lengths, room = count_rows(starts, total), np.empty(total)
    with np.errstate(over="ignore"):
        for place, values in enumerate(columns):
            rest = room if centred is None else centred[place]
            np.subtract(values, means[place].repeat(lengths), out=rest)
            if present is not None:
                rest[~present[place]] = 0.0
            np.add.reduceat(np.square(rest, out=room), starts, out=squares[place])
    return squares


def _multiply(
    centred: Floats,
    present: npt.NDArray[np.bool_] | None,
    starts: Places,
    found: BlockSums,
    half: npt.NDArray[np.bool_] | None,
) -> tuple[Products, Products | None]:
    limit_blas()
    p, many, gaps = len(centred), found.many, {*found.gaps.tolist()}
    ends = np.append(starts[1:], centred.shape[1])
    whole, some = _Room(p, len(many), len(gaps)), _Room(p, len(many), len(gaps))
    rests = add_blocks(centred, starts)
    for place, block in enumerate(many.tolist()):
        rows = slice(starts[block], ends[block])
        # In memory of its own: the digits of a product must not depend on its place.
        values = np.ascontiguousarray(centred[:, rows])
        here = None
        if place in gaps:
            assert present is not None
            here = present[:, rows].astype(np.float64)
        whole.add(place, values, values, here, here, rests[:, block])
        if half is not None:
            mine = half[rows]
            there = None if here is None else here * mine
            left = values * mine
            some.add(place, left, values, there, here, left.sum(axis=1))
            some.of.sizes[place] = np.count_nonzero(mine)
    return whole.of, None if half is None else some.of


class _Room:
    """Room for the products of blocks."""

    def __init__(self, p: int, blocks: int, gaps: int) -> None:
        self.of = Products(
            np.empty((blocks, p, p)),
            np.empty((p, blocks)),
            np.empty(blocks),
            np.empty((gaps, p, p)),
            np.empty((gaps, p, p)),
        )
        self.gap = 0

    def add(
        self,
        place: int,
        left: Floats,
        right: Floats,
        mine: Floats | None,
        theirs: Floats | None,
        rests: Floats,
    ) -> None:
        np.matmul(left, right.T, out=self.of.products[place])
        self.of.rests[:, place] = rests
        self.of.sizes[place] = left.shape[1]
        if mine is not None and theirs is not None:
            np.matmul(left, theirs.T, out=self.of.firsts[self.gap])
            np.matmul(mine, theirs.T, out=self.of.pairs[self.gap])
            self.gap += 1


def _count_categories(rows: pa.RecordBatch, schema: Schema) -> dict[str, Categorical]:
    names = (*([schema.target] if schema.classifies else []), *schema.categorical)
    return {name: count_values(rows.column(name)) for name in names}


class _Blocks(NamedTuple):
    """All blocks of a window, in the order of their ids, about the window's means.

    Attributes:
        shifts: each block's mean - the window's, shape (p, k); 0 without a value.
        counts: shape (p, k).
        many: as of ``BlockSums``.
        gaps: as of ``BlockSums``.
    """

    shifts: Floats
    counts: Floats
    many: Places
    gaps: Places


def finish(parts: Sequence[BlockSums], schema: Schema) -> tuple[Statistics, Moments | None]:
    """The statistics, and the moments about the means, of all parts' rows.

    Args:
        parts: one at least, in any order.
        schema: of their rows.
    """
    whole = join(parts)
    rows = float(whole.sizes.sum())
    counts = whole.counts if len(whole.counts) else np.broadcast_to(whole.sizes, whole.means.shape)
    present = counts.sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = (whole.means * counts).sum(axis=1)
        means = sums / np.maximum(present, 1)
        if not np.isfinite(means).all():
            shares = counts / np.maximum(present, 1)[:, None]
            means = np.where(np.isfinite(means), means, (whole.means * shares).sum(axis=1))
        means = np.where(present > 0, np.maximum(whole.lows, np.minimum(whole.highs, means)), 0.0)
        shifts = np.where(counts > 0, whole.means - means[:, None], 0.0)
        squares = whole.squares.sum(axis=1) + (np.square(shifts) * counts).sum(axis=1)
    names = numeric_columns(schema)
    figures: dict[str, Numeric | Categorical] = {
        name: _numeric(int(n), int(rows - n), mean, square, low, high)
        for name, n, mean, square, low, high in zip(
            names,
            present.tolist(),
            means.tolist(),
            squares.tolist(),
            whole.lows.tolist(),
            whole.highs.tolist(),
            strict=True,
        )
    }
    figures |= whole.categories
    order = (schema.target, *schema.numeric, *schema.categorical)
    season = None
    if whole.season is not None:
        season = tuple((count, float(total)) for count, total in whole.season)
    statistics = Statistics(columns={name: figures[name] for name in order}, season=season)
    if whole.products is None:
        return statistics, None
    blocks = _Blocks(shifts, counts, whole.many, whole.gaps)
    moments = _moments(means, whole.sizes, blocks, whole.products, len(whole.counts) > 0)
    if whole.half is None:
        return statistics, moments
    mine = np.zeros_like(whole.sizes)
    mine[whole.many] = whole.half.sizes
    single = np.setdiff1d(np.arange(len(mine)), whole.many)
    mine[single] = in_half(splitmix64(whole.ids[single]))
    half = _moments(means, mine, blocks, whole.half, len(whole.counts) > 0)
    return statistics, moments._replace(half=half)


def _numeric(
    count: int, nulls: int, mean: float, squares: float, low: float, high: float
) -> Numeric:
    if not count:
        return Numeric(count=0, nulls=nulls, mean=None, variance=None, min=None, max=None)
    variance = max(0.0, squares) / count if isfinite(squares) else GREATEST
    return Numeric(
        count=count, nulls=nulls, mean=mean, variance=min(variance, GREATEST), min=low, max=high
    )


def _moments(means: Floats, sizes: Floats, blocks: _Blocks, sums: Products, nulls: bool) -> Moments:
    """The moments about the window's means.

    Args:
        means: of the window, shape (p,).
        sizes: of each block, how many of its rows count, shape (k,).
        blocks: all of them.
        sums: of those of two rows or more.
        nulls: whether there is any.
    """
    limit_blas()
    p = len(means)
    shifts, many, gaps = blocks.shifts, blocks.many, blocks.many[blocks.gaps]
    crossed = sums.rests @ shifts[:, many].T
    products = sums.products.sum(axis=0)
    weights = sizes.copy()
    # Blocks with a null have other rows for each pair of columns, and so have rows with one.
    weights[gaps] = 0.0
    firsts = np.empty((p, p))
    if nulls:
        single = np.ones(len(sizes), np.bool_)
        single[many] = False
        here = (blocks.counts[:, single] > 0) * weights[single]
        there = (blocks.counts[:, single] > 0).astype(np.float64)
        weights[single] = 0.0
        moved = shifts[:, single]
        products += (moved * here) @ (moved * there).T
        first, counts = (moved * here) @ there.T, here @ there.T
    else:
        first, counts = np.zeros((p, p)), np.zeros((p, p))
    crossed_gaps = sums.firsts * shifts[:, gaps].T[:, None, :]
    rests = sums.rests.copy()
    if len(gaps):
        moved = shifts[:, gaps].T
        outer = moved[:, :, None] * moved[:, None, :] * sums.pairs
        products += (crossed_gaps + crossed_gaps.transpose(0, 2, 1) + outer).sum(axis=0)
        first += (sums.firsts + moved[:, :, None] * sums.pairs).sum(axis=0)
        counts += sums.pairs.sum(axis=0)
        rests[:, blocks.gaps] = 0.0
        crossed = rests @ shifts[:, many].T
    products += crossed + crossed.T + (shifts * weights) @ shifts.T
    firsts = first + (rests.sum(axis=1) + (shifts * weights).sum(axis=1))[:, None]
    return Moments(means, products, firsts, counts + weights.sum())


def join(parts: Sequence[BlockSums]) -> BlockSums:
    """All parts' blocks, in the order of their ids."""
    ids = np.concatenate([part.ids for part in parts])
    order = np.argsort(ids, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    edges = np.cumsum([0, *(len(part.ids) for part in parts)]).tolist()
    found = np.concatenate([places[part.many + at] for part, at in zip(parts, edges, strict=False)])
    some = np.argsort(found, kind="stable")
    inner = np.empty_like(some)
    inner[some] = np.arange(len(some))
    edges = np.cumsum([0, *(len(part.many) for part in parts)]).tolist()
    holes = np.concatenate([inner[part.gaps + at] for part, at in zip(parts, edges, strict=False)])
    last = np.argsort(holes, kind="stable")
    counts = np.empty((0, len(ids)))
    if any(len(part.counts) for part in parts):
        full = [
            part.counts if len(part.counts) else np.broadcast_to(part.sizes, part.means.shape)
            for part in parts
        ]
        counts = np.concatenate(full, axis=1)[:, order]
    categories: dict[str, Categorical] = dict(parts[0].categories)
    for part in parts[1:]:
        for name, mine in categories.items():
            categories[name] = merge_categorical(mine, part.categories[name])
    return BlockSums(
        ids[order],
        np.concatenate([part.sizes for part in parts])[order],
        np.concatenate([part.means for part in parts], axis=1)[:, order],
        counts,
        found[some],
        np.concatenate([part.squares for part in parts], axis=1)[:, some],
        np.fmin.reduce([part.lows for part in parts]),
        np.fmax.reduce([part.highs for part in parts]),
        holes[last],
        _join_products([part.products for part in parts], some, last),
        _join_products([part.half for part in parts], some, last),
        categories,
        merge_seasons([part.season for part in parts]),
    )


def _join_products(parts: Sequence[Products | None], some: Places, last: Places) -> Products | None:
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    return Products(
        np.concatenate([part.products for part in found])[some],
        np.concatenate([part.rests for part in found], axis=1)[:, some],
        np.concatenate([part.sizes for part in found])[some],
        np.concatenate([part.firsts for part in found])[last],
        np.concatenate([part.pairs for part in found])[last],
    )


ARRAYS = 9
"""Number of fields of ``BlockSums`` that are arrays, which come first."""


def as_bytes(sums: BlockSums) -> bytes:
    """The sums as bytes: a line of JSON with all that is no number, then the numbers."""
    products = [one for one in (sums.products, sums.half) if one is not None]
    plain: Any = sums[:ARRAYS]
    arrays = [*plain, *(array for one in products for array in one)]
    season = None
    if sums.season is not None:
        season = [[count, total.field()] for count, total in sums.season]
    head = {
        "arrays": [[array.dtype.str, array.shape] for array in arrays],
        "categories": {name: one.model_dump() for name, one in sums.categories.items()},
        "season": season,
    }
    body = (np.ascontiguousarray(array).tobytes() for array in arrays)
    return b"".join([json.dumps(head).encode(), b"\n", *body])


def from_bytes(data: bytes) -> BlockSums:
    """The sums that ``as_bytes`` wrote."""
    line, _, body = data.partition(b"\n")
    head = json.loads(line)
    arrays = [*_read_arrays(head["arrays"], body)]
    products = [Products(*arrays[at : at + 5]) for at in range(ARRAYS, len(arrays), 5)]
    season = head["season"]
    whole, half, *_ = *products, None, None
    categories = {name: Categorical(**one) for name, one in head["categories"].items()}
    if season is not None:
        season = tuple((n, Exact.of_field(total)) for n, total in season)
    rest: Any = whole, half, categories, season
    return BlockSums(*arrays[:ARRAYS], *rest)


def _read_arrays(layout: list[Any], body: bytes) -> Iterator[Any]:
    at = 0
    for kind, shape in layout:
        count = int(np.prod(shape))
        yield np.frombuffer(body, kind, count, at).reshape(shape)
        at += count * np.dtype(kind).itemsize
