"""What a sweep has found: combinations side by side, and whether retraining pays."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.asof import Cadence
from model.batch import TIME_TYPE
from model.errors import UserError
from model.wording import format_count
from pipeline.frames.combinations import Combination

FEWEST_PERIODS = 5
"""With fewer periods than these no difference between two models is clear."""
CLEAR = 2.0
"""Standard errors by which two mean errors must differ to be called different."""


class Verdict(NamedTuple):
    """Whether retraining pays.

    Attributes:
        pays: True, False, or None if no difference is clear.
        text: that in a sentence.
    """

    pays: bool | None
    text: str


RESULTS = pa.schema(
    [
        *((name, pa.string()) for name in ("learner", "window", "every")),
        ("rows", pa.int64()),
        *((name, pa.float64()) for name in ("mae", "rmse", "skill_best", "gain", "least")),
        ("models", pa.int64()),
        ("skipped", pa.int64()),
        ("seconds", pa.float64()),
    ]
)


class Sweep:
    """What a sweep has found.

    Attributes:
        combinations: those that were compared, the one of least error first.
        without: those that made no model in time, and are not compared.
        rows: how many rows all of them have predicted.
        longest: the length of the window that the static models were trained on.
        messages: lines on what was read.
    """

    def __init__(
        self,
        combinations: list[Combination],
        times: npt.NDArray[np.int64],
        target: Matrix,
        shortest: Cadence,
        longest: str,
        messages: tuple[str, ...],
    ) -> None:
        labelled = np.isfinite(target)
        able = [c for c in combinations if np.isfinite(c.predictions[labelled]).any()]
        self.without = [combination for combination in combinations if combination not in able]
        self.longest = longest
        self.messages = messages
        self._times, self._target = times, target
        if not able:
            raise UserError(
                "no combination has predicted any row with a target: the windows are too long for "
                "these rows, or hold fewer than min_rows"
            )
        common = labelled & np.all([np.isfinite(c.predictions) for c in able], axis=0)
        self.rows = int(common.sum())
        if not self.rows:
            raise UserError(
                "no row was predicted by all combinations: leave out those that predict late, as "
                f"the longest window ({longest})"
            )
        self._common = common
        errors = {id(c): np.abs(c.predictions[common] - target[common]) for c in able}
        self.combinations = sorted(able, key=lambda c: errors[id(c)].mean())
        self.errors = np.stack([errors[id(c)] for c in self.combinations])
        """Absolute errors of the compared rows, shape (combinations, rows)."""
        every, offset = shortest.every, shortest.offset
        starts = (times[common] - offset) // every * every + offset
        self.periods, self._place = np.unique(starts, return_inverse=True)
        """The starts of the periods, of the shortest cadence, that hold compared rows."""

    @cached_property
    def by_period(self) -> Matrix:
        """The mean absolute error of each period, shape (combinations, periods)."""
        counts = np.bincount(self._place)
        return np.stack([np.bincount(self._place, weights=row) / counts for row in self.errors])

    @cached_property
    def table(self) -> pa.Table:
        """A row a combination, the one of least error first.

        ``mae`` and ``rmse`` are over the rows that all have predicted; ``skill_best`` is 1 - its
        error / that of the best simple baseline (``Combination``); ``gain`` is how much less
        error it has than the static model of the same learner, as a share; ``least`` the share of
        the periods in which it had the least error of all; ``seconds`` those of its fits and
        predictions. Those that made no model in time are at the end, without figures.
        """
        best = self.by_period == self.by_period.min(axis=0)
        least = best.mean(axis=1)
        rows = [
            self._row(combination, errors, share)
            for combination, errors, share in zip(
                self.combinations, self.errors, least, strict=True
            )
        ]
        rows += [self._row(combination, None, None) for combination in self.without]
        return pa.Table.from_pylist(rows, RESULTS)

    def _row(
        self, combination: Combination, errors: Matrix | None, least: float | None
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "learner": combination.learner.title,
            "window": combination.window,
            "every": combination.every,
            "rows": 0 if errors is None else len(errors),
            "models": combination.replay.trained,
            "skipped": len(combination.replay.skipped),
            "seconds": round(combination.seconds, 3),
        }
        if errors is not None:
            row |= {"mae": float(errors.mean()), "rmse": float(np.sqrt(np.square(errors).mean()))}
            row |= {"skill_best": combination.skill_best}
            row |= {"gain": self._gain(combination, errors), "least": least}
        return row

    def _gain(self, combination: Combination, errors: Matrix) -> float | None:
        for other, theirs in zip(self.combinations, self.errors, strict=True):
            same = (other.learner, other.every) == (combination.learner, combination.every)
            if other.is_static and same:
                mean = float(theirs.mean())
                return 1 - float(errors.mean()) / mean if mean else None
        return None

    @property
    def best(self) -> Combination:
        """The combination of least error."""
        return self.combinations[0]

    def title(self, combination: Combination) -> str:
        """What a combination is called, as ``ridge 28d``; with its cadence if there are several."""
        name = f"{combination.learner.title} {combination.window}"
        several = len({one.every for one in (*self.combinations, *self.without)}) > 1
        return f"{name} every {combination.every}" if several else name

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the best that is retrained has clearly less error than the best static one."""
        trained = next((c for c in self.combinations if not c.is_static), None)
        static = next((c for c in self.combinations if c.is_static), None)
        if trained is None or static is None:
            missing = "retrained" if trained is None else "static"
            return Verdict(None, f"no {missing} model predicted these rows: nothing to compare")
        mine, theirs = (self.errors[self.combinations.index(c)] for c in (trained, static))
        ours, other = self.title(trained), f"{self.title(static)} (first {self.longest})"
        if len(self.periods) < FEWEST_PERIODS:
            number = format_count(len(self.periods), "period")
            return Verdict(None, f"{number} of rows are too few to say whether retraining pays")
        difference = theirs - mine
        sums = np.bincount(self._place, weights=difference - difference.mean())
        error = float(np.sqrt(np.square(sums).sum())) / len(difference)
        mean = float(difference.mean())
        if abs(mean) <= CLEAR * error:
            return Verdict(
                None, f"no clear difference between {ours} and {other}, which is never retrained"
            )
        winner, loser = (mine, theirs) if mean > 0 else (theirs, mine)
        share = f"{1 - winner.mean() / loser.mean():.1%}"
        if mean > 0:
            return Verdict(True, f"retraining pays: {ours} has {share} less error than {other}")
        return Verdict(
            False, f"retraining does not pay: {other} has {share} less error than {ours}"
        )

    @cached_property
    def predictions(self) -> pa.Table:
        """All rows in the order of their ids: id, time, target, and a column a combination."""
        seen = self._times > np.iinfo(np.int64).min
        columns = {
            "id": pa.array(np.flatnonzero(seen)),
            "time": pa.array(self._times[seen]).cast(TIME_TYPE),
            "target": pa.array(self._target[seen], from_pandas=True),
        }
        for combination in (*self.combinations, *self.without):
            columns[self.title(combination)] = pa.array(
                combination.predictions[seen], from_pandas=True
            )
        return pa.table(columns)

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON takes them."""
        return {
            "format": 1,
            "rows": self.rows,
            "periods": len(self.periods),
            "static_window": self.longest,
            "retraining_pays": self.verdict.pays,
            "verdict": self.verdict.text,
            "combinations": self.table.to_pylist(),
        }

    def __repr__(self) -> str:
        number = format_count(len(self.combinations) + len(self.without), "combination")
        rows = format_count(self.rows, "row")
        return f"<sweep of {number} on {rows}: {self.title(self.best)} has the least error>"

    def _repr_html_(self) -> str:
        from pipeline.frames.html import sweep_html

        return sweep_html(self)
