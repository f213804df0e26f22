"""Memory: the figures of refreshes before, from which alerts follow.

Of each report a few numbers are remembered: a row of a table that has a column for each figure.
They lie in ``summaries/`` of the run's folder; of refreshes that an older version reported, in
``metrics/``. So a resumed run decides the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np

from model.arrays import Matrix
from model.asof import from_datetime, parse_iso
from model.drift import Drift, name_prediction
from model.metrics import Metrics
from model.surprise import DAY, Times

MOST = 360
"""Maximum number of refreshes that are remembered: a fortnight of hours, and a day more."""
LEAST = 160
"""Minimum number of them."""
OF_REFRESH = ("rows", "labelled", "mae", "bias", "slope", "chance")
"""The figures that are no column's. ``chance`` is what a mean may shift by chance."""
PSI_CHANCE = 2.35
"""An index of 17 bins, by what chance exceeds once in a million, in squares of what a mean may
shift by such chance: chdtri(16, 1e-6) / DEVIATIONS ** 2."""
OF_COLUMN = ("psi", "mean_shift", "mean", "deviation", "nulls", "new")
SHARE = "share "
"""What the names of the figures of predicted shares begin with; the class follows."""


def remembered_refreshes(every: int) -> int:
    """How many refreshes before are remembered: two weeks of them or two days, if not too many.

    Args:
        every: a refresh, microseconds.

    Example:
        >>> hour = DAY // 24
        >>> [remembered_refreshes(each) for each in (hour // 60, hour // 4, hour, 24 * hour)]
        [160, 216, 360, 160]
    """
    for season in (7 * DAY, DAY):
        if 2 * season // every < MOST:
            return max(LEAST, min(MOST, 2 * season // every + 24))
    return LEAST


class Memory(NamedTuple):
    """The figures of some refreshes.

    Attributes:
        names: of the figures, each a column of the schema ("" for those of the refresh) and what
            it is.
        starts: of the refreshes, ascending, microseconds.
        values: shape (refreshes, figures); NaN where a report lacks one.
    """

    names: tuple[tuple[str, str], ...]
    starts: Times
    values: Matrix

    def as_fields(self) -> dict[str, dict[str, float | None]]:
        """The newest refresh's figures by column, for JSON, which keeps every digit."""
        fields: dict[str, dict[str, float | None]] = {}
        for (column, what), value in zip(self.names, self.values[-1].tolist(), strict=True):
            fields.setdefault(column, {})[what] = value if isfinite(value) else None
        return fields

    def of(self, column: str, what: str) -> Matrix:
        """One figure, shape (refreshes,)."""
        place = self.names.index((column, what)) if (column, what) in self.names else None
        missing = np.full(len(self.starts), np.nan)
        return missing if place is None else self.values[:, place]

    def digest(self) -> bytes:
        """Equal for equal figures, in order, of equal refreshes."""
        content = hashlib.blake2b(self.starts.tobytes(), digest_size=16)
        content.update(self.values.tobytes())
        return content.digest()

    def columns(self) -> list[str]:
        """The schema's columns whose drift is remembered, and the prediction, in order."""
        return list(dict.fromkeys(column for column, _ in self.names if column))

    def until(self, place: int, refreshes: int, every: int) -> Memory:
        """What there is of the refresh at a place, and of so many before it."""
        first = self.starts[place] - refreshes * every
        rows = slice(int(np.searchsorted(self.starts, first)), place + 1)
        return Memory(self.names, self.starts[rows], self.values[rows])


def memory_of_fields(start: int, fields: Mapping[str, Mapping[str, float | None]]) -> Memory:
    """The memory of a refresh, of what ``Memory.as_fields`` has made.

    Example:
        >>> memory = memory_of_fields(60, {"x": {"psi": 0.5, "mean": None}})
        >>> memory.values.tolist(), memory.as_fields()
        ([[0.5, nan]], {'x': {'psi': 0.5, 'mean': None}})
    """
    figures = {(name, what): v for name, found in fields.items() for what, v in found.items()}
    values = np.array([[_number(value) for value in figures.values()]])
    return Memory(tuple(figures), np.array([start], np.int64), values)


NOTHING = Memory((), np.empty(0, np.int64), np.empty((0, 0)))
"""The memory of no refresh."""


def remember(metrics: Metrics) -> Memory:
    """What is remembered of a refresh's report."""
    figures = {("", what): _number(getattr(metrics, what, None)) for what in OF_REFRESH}
    figures["", "rows"] = float(metrics.scored)
    if metrics.mae is None:  # of classes
        figures["", "mae"] = _number(metrics.log_loss)
    if metrics.labelled is None:
        figures["", "labelled"] = float(metrics.scored)
    if metrics.drift is not None:
        figures["", "chance"] = _chance_of(metrics.drift)
        columns = {**metrics.drift.features}
        predicted = name_prediction(metrics.drift.features)
        columns[predicted] = metrics.drift.prediction
        for name, shift in columns.items():
            for what in OF_COLUMN:
                value = getattr(shift, what)
                if value is not None:
                    figures[name, what] = float(value)
        for each, share in (metrics.drift.shares or {}).items():
            figures[predicted, SHARE + each] = share
    start = from_datetime(parse_iso(metrics.refresh_start))
    return Memory(tuple(figures), np.array([start], np.int64), np.array([[*figures.values()]]))


def _chance_of(drift: Drift) -> float:
    """What a mean may shift by chance: the same for all columns of a refresh."""
    shifts = [drift.prediction, *drift.features.values()]
    known = [one.mean_shift_by_chance for one in shifts if one.mean_shift_by_chance is not None]
    # by the index alone if nothing is a number
    return known[0] if known else (drift.prediction.psi_by_chance / PSI_CHANCE) ** 0.5


def join(memories: Iterable[Memory]) -> Memory:
    """All memories in one, in the order of time; of two of one refresh the last one stays."""
    parts = [memory for memory in memories if len(memory.starts)]
    if not parts:
        return NOTHING
    names = max((part.names for part in parts), key=len)
    if any(part.names != names for part in parts):
        names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    starts = np.concatenate([part.starts for part in parts])
    values = np.concatenate([_arrange(part, names) for part in parts])
    # np.unique takes the first of equal ones
    _, places = np.unique(starts[::-1], return_index=True)
    order = len(starts) - 1 - places
    return Memory(names, starts[order], values[order])


def _arrange(memory: Memory, names: Sequence[tuple[str, str]]) -> Matrix:
    """The values in the order of other names; NaN for those that it lacks."""
    if memory.names == names:
        return memory.values
    place = {name: number for number, name in enumerate(names)}
    values = np.full((len(memory.starts), len(names)), np.nan)
    values[:, [place[name] for name in memory.names]] = memory.values
    return values


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
