"""Figures of regression: errors of predicted numbers, beside those of the baselines.

They come from sums over scored rows that have a target. Sums of blocks of rows are rounded
(``model.blocks``), and added without rounding (``model.exact``): so no cut into batches, and no
order of them, changes a digit. Squared deviations are taken from the mean of each block, and
brought together as Chan, Golub and LeVeque have it (1979, "Updating formulae and a pairwise
algorithm for computing sample variances").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.arrays import Matrix
from model.baselines import (
    BASELINES,
    Link,
    Past,
    RefreshSummary,
    Tally,
    dump_links,
    join_links,
    load_links,
)
from model.blocks import count_rows, find_starts, sum_blocks
from model.exact import (
    LEAST,
    Exact,
    add_each,
    read_units,
    sum_multiples,
    write_units,
)
from model.groups import Groups, GroupSums, Named, largest, merge_groups, sum_groups
from model.quantiles import Bins

Ints = npt.NDArray[np.int64]


class Signed(NamedTuple):
    """Sums from which the mean error and the slope of the target on its prediction follow.

    Attributes:
        error: of prediction - target.
        level: of the predictions' distances from the mean target of the model's window.
        squares: of these squared.
        product: of these times the targets' own distances from that mean.
    """

    error: Exact = Exact()
    level: Exact = Exact()
    squares: Exact = Exact()
    product: Exact = Exact()

    def merge(self, other: Signed) -> Signed:
        """The sums of both."""
        return Signed(*(a + b for a, b in zip(self, other, strict=True)))

    def figures(self, rows: int) -> dict[str, float | None]:
        """``bias`` and ``slope``: null where there is nothing to divide by."""
        if not rows:
            return {"bias": None, "slope": None}
        error, level, squares, product = (float(total) / rows for total in self)
        spread = squares - level * level
        slope = (product - level * (level - error)) / spread if spread > 1e-12 * squares else None
        return {"bias": error, "slope": slope}


class Spread(NamedTuple):
    """Sums from which the mean of numbers and their squared deviations from it follow.

    Attributes:
        total: of the means of blocks, each times the block's rows.
        squares: of the squares of these means, times the rows, in units of 2**-2148.
        within: of the squared deviations from the mean of the block.
    """

    total: Exact = Exact()
    squares: int = 0
    within: Exact = Exact()

    @classmethod
    def of(cls, means: Matrix, counts: Ints, within: Exact) -> Spread:
        """That of blocks.

        Args:
            means: shape (blocks,).
            counts: rows, shape (blocks,).
            within: the sum of all squared deviations.
        """
        if not np.isfinite(means).all():
            return cls(Exact.of(float("nan")), 0, within)
        total, squares = sum_multiples(means, counts)
        return cls(Exact(total), squares, within)

    def merge(self, other: Spread) -> Spread:
        """That of both parts."""
        return Spread(
            self.total + other.total, self.squares + other.squares, self.within + other.within
        )

    def mean(self, rows: int) -> float:
        """The mean of so many numbers, one at least."""
        return float(self.total) / rows

    def deviations(self, rows: int) -> float:
        """The sum of squared deviations from the mean of so many numbers; 0 without one."""
        if self.within.rest or self.total.rest:
            return float(self.within + self.total.rest)
        if not rows:
            return 0.0
        between = rows * ((self.within.units << LEAST) + self.squares) - self.total.units**2
        try:
            return max(0, between) / (rows << 2 * LEAST)
        except OverflowError:
            return float("inf")


class RegressionSums(NamedTuple):
    """Sums over scored rows that have a target.

    Attributes:
        labelled: how many these are.
        absolute, squares: sums of |error| and of error squared.
        spread: of the targets.
        low, high: the least and the greatest target.
        baseline: sum of |target - the mean target of the model's window|.
        bins: counts of |error|.
        season: the error of the baseline of that name; None if it is not asked for.
        links: of each batch, what the baseline ``last`` needs, of its unscored rows too.
        groups: errors by the values of a column; None if they are not asked for.
        signed: sums of errors with their sign; None in those of older versions.
    """

    labelled: int = 0
    absolute: Exact = Exact()
    squares: Exact = Exact()
    spread: Spread = Spread()
    low: float = float("inf")
    high: float = float("-inf")
    baseline: Exact = Exact()
    bins: Bins = Bins()
    season: Tally | None = None
    links: tuple[Link, ...] = ()
    groups: Groups | None = None
    signed: Signed | None = Signed()

    @property
    def task(self) -> str:
        """The task's name."""
        return "regression"

    def merge(self, other: RegressionSums) -> RegressionSums:
        """The sums of both parts."""
        season = self.season or other.season
        if self.season is not None and other.season is not None:
            season = self.season.add(other.season)
        groups = other.groups if self.groups is None else self.groups
        if self.groups is not None and other.groups is not None:
            groups = merge_groups(self.groups, other.groups)
        return RegressionSums(
            labelled=self.labelled + other.labelled,
            absolute=self.absolute + other.absolute,
            squares=self.squares + other.squares,
            spread=self.spread.merge(other.spread),
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            baseline=self.baseline + other.baseline,
            bins=self.bins.merge(other.bins),
            season=season,
            links=self.links + other.links,
            groups=groups,
            signed=self.signed.merge(other.signed) if self.signed and other.signed else None,
        )

    def errors(self) -> dict[str, Any]:
        """``mae``, ``rmse``, ``r2``, ``baseline_mae`` and ``skill``."""
        n = self.labelled
        mae = float(self.absolute) / n if n else None
        baseline = float(self.baseline) / n if n else None
        squares, deviations = float(self.squares), self.spread.deviations(n)
        return {
            "mae": mae,
            "rmse": float(np.sqrt(squares / n)) if n else None,
            "r2": 1 - squares / deviations if self.low < self.high and deviations else None,
            "baseline_mae": baseline,
            "skill": 1 - mae / baseline if mae is not None and baseline else None,
        }

    def summary(self) -> RefreshSummary | None:
        """What later refreshes need of these, the sums of a whole refresh; None if nothing."""
        if not self.labelled and not self.links:
            return None
        tallies = {"mean": Tally(self.labelled, float(self.baseline))}
        if self.season is not None:
            tallies["season"] = self.season.rounded()
        return RefreshSummary(self.labelled, tallies, join_links(self.links).rounded())

    def figures(self, past: Past) -> dict[str, Any]:
        """The figures of a refresh.

        Args:
            past: what is known of the refreshes before.
        """
        found, n = self.errors(), self.labelled
        summary = self.summary()
        tallies = past.tally(summary) if n and summary is not None else {}
        errors = {name: tallies.get(name, Tally()).mae for name in BASELINES}
        best = past.best()
        least = None if best is None else errors[best]
        return {
            **found,
            "labelled": n,
            **({"bias": None, "slope": None} if self.signed is None else self.signed.figures(n)),
            "target_mean": self.spread.mean(n) if n else None,
            "target_squares": self.spread.deviations(n) if n else None,
            "absolute_error": {"p50": self.bins.quantile(0.5), "p90": self.bins.quantile(0.9)},
            "baselines": errors,
            "baseline_rows": {name: tallies.get(name, Tally()).rows for name in BASELINES},
            "best_baseline": best,
            "skill_best": 1 - found["mae"] / least if n and least else None,
            **({} if self.groups is None else {"groups": largest(self.groups)}),
        }

    def fields(self) -> list[Any]:
        """The sums as JSON has them, to the last digit."""
        total, between, within = self.spread
        spread = [total.field(), write_units(between, 2 * LEAST), within.field()]
        errors = self.absolute.field(), self.squares.field(), spread
        plain = [self.labelled, *errors, self.low, self.high, self.baseline.field()]
        linked = dump_links(self.links)
        grouped, signed = None, None
        if self.groups is not None:
            grouped = [
                [name, rows, mine.field(), theirs.field()]
                for name, (rows, mine, theirs) in self.groups.items()
            ]
        if self.signed is not None:
            signed = [one.field() for one in self.signed]
        season = None if self.season is None else self.season.field()
        return [*plain, self.bins.pairs(), season, linked, grouped, signed]

    @classmethod
    def of_fields(cls, fields: list[Any]) -> RegressionSums:
        """The sums of their fields."""
        labelled, absolute, squares, (total, between, within), low, high, baseline = fields[:7]
        bins, season, links, groups, signed = fields[7:]
        return cls(
            labelled,
            Exact.of_field(absolute),
            Exact.of_field(squares),
            Spread(
                Exact.of_field(total),
                read_units(between, 2 * LEAST),
                Exact.of_field(within),
            ),
            low,
            high,
            Exact.of_field(baseline),
            *_read_parts(bins, season, links, groups, signed),
        )

    @classmethod
    def of_older_fields(cls, fields: list[Any]) -> RegressionSums:
        """The sums of the fields that earlier versions had; what came later may be absent."""
        labelled, absolute, squares, mean, m2, low, high, baseline = fields[:8]
        spread = Spread.of(np.array([mean]), np.array([labelled]), Exact.of(m2))
        made = cls(
            labelled,
            Exact.of(absolute),
            Exact.of(squares),
            spread,
            low,
            high,
            Exact.of(baseline),
        )
        if len(fields) == 8:
            return made._replace(signed=None)
        bins, season, links, *later = fields[8:]
        groups, signed = (*later, None, None)[:2]
        return cls(*made[:7], *_read_parts(bins, season, links, groups, signed))


def _read_parts(
    bins: Any, season: Any, links: Any, groups: Any, signed: Any
) -> tuple[Bins, Tally | None, tuple[Link, ...], Groups | None, Signed | None]:
    read = Exact.of_field
    return (
        Bins.of_pairs(bins),
        None if season is None else Tally.of_field(season),
        load_links(links),
        None
        if groups is None
        else {name: GroupSums(n, read(mine), read(theirs)) for name, n, mine, theirs in groups},
        None if signed is None else Signed(*map(read, signed)),
    )


def sum_errors(
    target: Matrix,
    prediction: Matrix,
    baseline: float,
    season: Matrix | None = None,
    named: Named | None = None,
    ids: Ints | None = None,
) -> RegressionSums:
    """The sums of predictions.

    Args:
        target: shape (rows,), without NaN.
        prediction: shape (rows,).
        baseline: what the baseline ``mean`` predicts for each row.
        season: what the baseline ``season`` predicts, shape (rows,), NaN where it does not; None
            if it is not asked for.
        named: the value of each row by which errors are split, if that is asked for.
        ids: of the rows, by which they lie in blocks; None: they are one block.
    """
    count = len(target)
    starts = find_starts(ids, count)
    counts = count_rows(starts, count)
    errors, by_mean, room = prediction - target, target - baseline, np.empty(count)
    far, means, found = prediction - baseline, np.empty(len(starts)), np.empty((8, len(starts)))
    if count:
        # One by one: what is summed stays in the processor's cache.
        with np.errstate(over="ignore", invalid="ignore"):
            add = np.add.reduceat
            np.divide(add(target, starts, out=means), counts, out=means)
            within = np.subtract(target, means.repeat(counts))
            add(errors, starts, out=found[0])
            add(np.square(errors, out=room), starts, out=found[1])
            add(np.abs(errors, out=errors), starts, out=found[2])
            add(far, starts, out=found[3])
            add(np.multiply(far, by_mean, out=room), starts, out=found[4])
            add(np.square(far, out=far), starts, out=found[5])
            add(np.abs(by_mean, out=by_mean), starts, out=found[6])
            add(np.square(within, out=within), starts, out=found[7])
    error, squares, absolute, level, product, levels, distance, inner = add_each(found)
    return RegressionSums(
        labelled=count,
        absolute=absolute,
        squares=squares,
        spread=Spread.of(means, counts, inner),
        low=float(target.min(initial=np.inf)),
        high=float(target.max(initial=-np.inf)),
        baseline=distance,
        bins=Bins.of(errors),
        season=None if season is None else _tally(target, season, ids),
        groups=None if named is None else sum_groups(named, errors, by_mean, starts),
        signed=Signed(error, level, levels, product),
    )


def _tally(target: Matrix, prediction: Matrix, ids: Ints | None) -> Tally:
    """The error of predictions, without those that are NaN."""
    errors = np.abs(target - prediction)
    there = ~np.isnan(errors)
    errors, ids = errors[there], None if ids is None else ids[there]
    return Tally(len(errors), sum_blocks(errors, find_starts(ids, len(errors))))
