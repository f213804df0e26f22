"""Figures of regression: errors of predicted numbers, beside those of the baselines.

They come from sums over scored rows that have a target. The sums merge in the order of batches,
means and squared deviations by the formulae of Chan, Golub and LeVeque (1979, "Updating formulae
and a pairwise algorithm for computing sample variances").
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from model.arrays import Matrix
from model.baselines import (
    BASELINES,
    Link,
    Past,
    RefreshSummary,
    Tally,
    join_links,
    load_links,
)
from model.groups import Groups, GroupSums, Named, largest, merge_groups, sum_groups
from model.quantiles import Bins


class Signed(NamedTuple):
    """Sums from which the mean error and the slope of the target on its prediction follow.

    Attributes:
        error: of prediction - target.
        level: of the predictions' distances from the mean target of the model's window.
        squares: of these squared.
        product: of these times the targets' own distances from that mean.
    """

    error: float = 0.0
    level: float = 0.0
    squares: float = 0.0
    product: float = 0.0

    @classmethod
    def of(cls, target: Matrix, prediction: Matrix, mean: float) -> Signed:
        """The sums of rows.

        Example:
            >>> Signed.of(np.array([1.0, 3.0]), np.array([2.0, 2.5]), 2.0)
            Signed(error=0.5, level=0.5, squares=0.25, product=0.5)
        """
        far = prediction - mean
        return cls(
            float((prediction - target).sum()),
            float(far.sum()),
            float(np.square(far).sum()),
            float((far * (target - mean)).sum()),
        )

    def merge(self, other: Signed) -> Signed:
        """The sums of both."""
        return Signed(*(a + b for a, b in zip(self, other, strict=True)))

    def figures(self, rows: int) -> dict[str, float | None]:
        """``bias`` and ``slope``: null where there is nothing to divide by."""
        if not rows:
            return {"bias": None, "slope": None}
        error, level, squares, product = (total / rows for total in self)
        spread = squares - level * level
        slope = (product - level * (level - error)) / spread if spread > 1e-12 * squares else None
        return {"bias": error, "slope": slope}


class RegressionSums(NamedTuple):
    """Sums over scored rows that have a target.

    Attributes:
        labelled: how many these are.
        absolute, squares: sums of |error| and of error squared.
        mean, m2: the targets' mean, and their sum of squared deviations from it.
        low, high: the least and the greatest target.
        baseline: sum of |target - the mean target of the model's window|.
        bins: counts of |error|.
        season: the error of the baseline of that name; None if it is not asked for.
        links: of each batch, what the baseline ``last`` needs, of its unscored rows too.
        groups: errors by the values of a column; None if they are not asked for.
        signed: sums of errors with their sign; None in those of older versions.
    """

    labelled: int = 0
    absolute: float = 0.0
    squares: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    baseline: float = 0.0
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
        """The sums of both parts, ``m2`` by Chan's formula."""
        labelled = self.labelled + other.labelled
        mean, between = self.mean if self.labelled else other.mean, 0.0
        if self.labelled and other.labelled:
            delta = other.mean - self.mean
            mean = self.mean + delta * other.labelled / labelled
            between = delta * delta * (self.labelled * other.labelled / labelled)
        season = self.season or other.season
        if self.season is not None and other.season is not None:
            season = self.season.add(other.season)
        groups = other.groups if self.groups is None else self.groups
        if self.groups is not None and other.groups is not None:
            groups = merge_groups(self.groups, other.groups)
        return RegressionSums(
            labelled=labelled,
            absolute=self.absolute + other.absolute,
            squares=self.squares + other.squares,
            mean=mean,
            m2=self.m2 + other.m2 + between,
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
        mae = self.absolute / n if n else None
        baseline = self.baseline / n if n else None
        return {
            "mae": mae,
            "rmse": float(np.sqrt(self.squares / n)) if n else None,
            "r2": 1 - self.squares / self.m2 if self.low < self.high and self.m2 else None,
            "baseline_mae": baseline,
            "skill": 1 - mae / baseline if mae is not None and baseline else None,
        }

    def summary(self) -> RefreshSummary | None:
        """What later refreshes need of these, the sums of a whole refresh; None if nothing."""
        if not self.labelled and not self.links:
            return None
        tallies = {"mean": Tally(self.labelled, self.baseline)}
        if self.season is not None:
            tallies["season"] = self.season
        return RefreshSummary(self.labelled, tallies, join_links(self.links))

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
            "target_mean": self.mean if n else None,
            "target_squares": self.m2 if n else None,
            "absolute_error": {"p50": self.bins.quantile(0.5), "p90": self.bins.quantile(0.9)},
            "baselines": errors,
            "baseline_rows": {name: tallies.get(name, Tally()).rows for name in BASELINES},
            "best_baseline": best,
            "skill_best": 1 - found["mae"] / least if n and least else None,
            **({} if self.groups is None else {"groups": largest(self.groups)}),
        }

    def fields(self) -> list[Any]:
        """The sums as JSON has them, to the last digit."""
        *plain, bins, season, links, groups, signed = self
        linked = [[place, [inner, firsts, lasts]] for place, (inner, firsts, lasts) in links]
        grouped = None if groups is None else [[name, *sums] for name, sums in groups.items()]
        return [*plain, bins.pairs(), season, linked, grouped, signed]

    @classmethod
    def of_fields(cls, fields: list[Any]) -> RegressionSums:
        """The sums of their fields; those that were added later may be absent."""
        made = cls(*fields[:8])
        if len(fields) == 8:
            return made._replace(signed=None)
        bins, season, links, *later = fields[8:]
        groups, signed = (*later, None, None)[:2]
        return made._replace(
            bins=Bins.of_pairs(bins),
            season=None if season is None else Tally(*season),
            links=load_links(links),
            groups=None if groups is None else {name: GroupSums(*sums) for name, *sums in groups},
            signed=None if signed is None else Signed(*signed),
        )


def sum_errors(
    target: Matrix,
    prediction: Matrix,
    baseline: float,
    season: Matrix | None = None,
    named: Named | None = None,
) -> RegressionSums:
    """The sums of predictions.

    Args:
        target: shape (rows,), without NaN.
        prediction: shape (rows,).
        baseline: what the baseline ``mean`` predicts for each row.
        season: what the baseline ``season`` predicts, shape (rows,), NaN where it does not; None
            if it is not asked for.
        named: the value of each row by which errors are split, if that is asked for.
    """
    count = len(target)
    errors = np.abs(prediction - target)
    by_mean = np.abs(target - baseline)
    mean = float(target.mean()) if count else 0.0
    return RegressionSums(
        labelled=count,
        absolute=float(errors.sum()),
        squares=float(np.square(errors).sum()),
        mean=mean,
        m2=float(np.square(target - mean).sum()),
        low=float(target.min(initial=np.inf)),
        high=float(target.max(initial=-np.inf)),
        baseline=float(by_mean.sum()),
        bins=Bins.of(errors),
        season=None if season is None else _tally(target, season),
        groups=None if named is None else sum_groups(named, errors, by_mean),
        signed=Signed.of(target, prediction, baseline),
    )


def _tally(target: Matrix, prediction: Matrix) -> Tally:
    """The error of predictions, without those that are NaN."""
    errors = np.abs(target - prediction)
    there = ~np.isnan(errors)
    return Tally(int(np.count_nonzero(there)), float(errors[there].sum()))
