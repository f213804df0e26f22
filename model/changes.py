"""Changes: what of a refresh's figures is news, beside their own past.

The error and the mean error (*bias*) are looked at, and each column's drift, nulls and new values;
how, stands in ``model.surprise``. Columns that follow the calendar never change
(``model.calendar_columns``). Of a column one change is left, with what explains the most: a change
of unit (``model.units``), nulls, new values, then the shift of its mean, the share of a predicted
class (``model.predicted_shares``), then its distribution.

A figure of drift also has to be over its threshold, and over what chance exceeds once in a million
for so few rows (``model.drift``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

import numpy as np

from model.arrays import Matrix
from model.calendar_columns import follows_calendar
from model.memory import PSI_CHANCE, Memory, remembered_refreshes
from model.predicted_shares import ShareChange, find_predicted, find_share_change, name_share
from model.surprise import DAY, GAP, READY, Times, find_surprises
from model.units import Unit, find_unit

What = Literal[
    "psi",
    "mean_shift",
    "unit",
    "nulls",
    "new_values",
    "share",
    "error",
    "bias",
    "flipped",
    "coverage",
]
RUN_LENGTH = 1_000.0
"""Default number of refreshes from one false alarm to the next, in the mean."""
SHARE = 0.02
"""Minimum rise of a share of nulls, or of new values."""
WORSE = 1.1
"""Minimum error of an alert, in the usual one."""
BIASED = 0.25
"""Minimum change of the mean error, in the usual mean absolute error."""
UNIT_SIZE = 1.0
"""The least size by which a change of unit is ranked."""
FEW_ROWS = 5.0
"""By how much the error, or the mean error, of n rows may change by chance: this over sqrt(n), in
the usual error. It is four standard deviations, each of 1.25 errors, of a normal variable."""
TURNED = -0.1
"""A slope of the target on its prediction that is under this has turned its sign."""
DOUBTED = 0.05
"""The probability that any column alerts falsely in a refresh in or right after which the error
does: some column is likely to be why, so less of a column is news, and at once."""
EXPLAINED = 24
"""Number of refreshes over which it is found out what explains the error."""
KEPT = 256
"""Maximum number of refreshes whose changes are kept, for those after them, which look back."""
Found = TypeVar("Found")
Given = ParamSpec("Given")


class Thresholds(NamedTuple):
    """The limits of drift; None: no limit.

    Attributes:
        psi: a population stability index.
        mean_shift: how far a mean may move either way, in training standard deviations.
    """

    psi: float | None
    mean_shift: float | None


class AlertRules(NamedTuple):
    """What is an alert.

    Attributes:
        thresholds: what drift may be, however surprising it is.
        target: the target's name: the column of alerts of the error.
        every: a refresh, microseconds.
        run_length: the mean number of refreshes from one false alarm to the next; None: there are
            no alerts.
    """

    thresholds: Thresholds
    target: str
    every: int
    run_length: float | None = RUN_LENGTH

    @property
    def looked_at(self) -> int:
        """How many refreshes before one its figures are compared with."""
        return remembered_refreshes(self.every)

    @property
    def remembered(self) -> int:
        """How many refreshes before have to be known; 0 if there are no alerts.

        What has changed in a refresh depends on the errors of the ``GAP`` before it, and an alert
        on what had changed in the one before.
        """
        return 0 if self.run_length is None else self.looked_at + GAP + 1


class Change(NamedTuple):
    """What has changed in a column in one refresh; of a share of predictions, of which class."""

    what: What
    value: float
    threshold: float
    usual: float
    explains: float | None
    size: float
    predicted: str | None = None


FIGURES: dict[str, tuple[str, str]] = {
    "psi": ("column", "psi"),
    "mean_shift": ("column", "mean_shift"),
    "nulls": ("column", "nulls"),
    "new_values": ("column", "new"),
    "error": ("", "mae"),
    "flipped": ("", "slope"),
    "bias": ("", "bias"),
}


def find_figure(change: Change) -> tuple[str, str] | None:
    """As ``FIGURES``; None of a change that is of several figures."""
    if change.predicted is not None:
        return "column", name_share(change.predicted)
    return FIGURES.get(change.what)


def keep_found(
    find: Callable[Concatenate[Memory, Given], Found],
) -> Callable[Concatenate[Memory, Given], Found]:
    """Keeps what a pure function has found: each refresh is looked at again by those after it."""
    kept: OrderedDict[object, Found] = OrderedDict()

    @wraps(find)
    def look(memory: Memory, /, *args: Given.args, **kwargs: Given.kwargs) -> Found:
        key = memory.names, memory.digest(), args, tuple(kwargs.items())
        if key in kept:
            return kept[key]
        found = kept[key] = find(memory, *args, **kwargs)
        if len(kept) > KEPT:
            kept.popitem(last=False)
        return found

    return look


def find_changes(memory: Memory, place: int, rules: AlertRules) -> dict[str, Change]:
    """What had changed in the refresh at a place of the memory, by column.

    A pure function of that refresh and of a fixed number before it: it is the same, from wherever
    one looks back.
    """
    if place < READY:
        return {}
    seen = [
        memory.until(at, rules.looked_at, rules.every) for at in range(place, -1, -1)[: GAP + 1]
    ]
    error = find_error(seen[0], rules)
    doubted = any(find_error(known, rules) is not None for known in seen)
    changes = {} if error is None else {rules.target: error}
    return changes | find_drift(seen[0], rules, doubted)


def _probability(rules: AlertRules, figures: int) -> float:
    """Of a false alarm by one figure in a refresh: the error and the columns have half each."""
    assert rules.run_length is not None
    return 1 / (2 * rules.run_length * max(1, figures))


@keep_found
def find_error(memory: Memory, rules: AlertRules) -> Change | None:
    """A change of the error."""
    mae = memory.of("", "mae")
    known = np.isfinite(mae) & (mae > 0)
    if not known[-1] or known.sum() <= READY + GAP:
        return None
    times, mae = memory.starts[known], mae[known]
    bias, slope = memory.of("", "bias")[known], memory.of("", "slope")[known]
    usual = float(np.median(mae[: -GAP - 1]))
    # What so few rows show by chance alone, where those before had more.
    room = FEW_ROWS / float(np.sqrt(max(1.0, memory.of("", "labelled")[-1])))
    found: Change | None = None
    chance = _probability(rules, 3)
    sizes = np.log(mae)[:, None]
    for one in find_surprises(times, sizes, rules.every, chance, (1,), wanders=True):
        bound = float(np.exp(one.bound))
        if mae[-1] > max(WORSE, 1 + room) * usual:
            size = float(np.log(mae[-1] / usual))
            found = Change("error", float(mae[-1]), bound, usual, None, size)
    if np.isfinite(bias).all():
        for one in find_surprises(times, bias[:, None], rules.every, chance):
            centre = float(np.median(bias[: -GAP - 1]))
            if abs(bias[-1] - centre) > max(BIASED, room) * usual:
                size = abs(float(bias[-1]) - centre) / usual
                moved = Change("bias", float(bias[-1]), one.bound, centre, None, size)
                # where the mean error is most of the error, the target has shifted
                if found is None or abs(bias[-1] - centre) > 0.5 * mae[-1]:
                    found = moved
    if np.isfinite(slope[-1]) and np.isfinite(slope[: -GAP - 1]).any():
        before = float(np.nanmedian(slope[: -GAP - 1]))
        if before > -TURNED and slope[-1] < TURNED:
            # An error that is large at times hides it; the slope is as far from its past.
            turned = found is not None or _has_turned(times, slope, rules.every, chance)
            size = float(np.log(mae[-1] / usual)) if found is None else found.size
            if turned:
                found = Change("flipped", float(slope[-1]), TURNED, before, None, size)
    return found


def _has_turned(times: Times, slope: Matrix, every: int, chance: float) -> bool:
    known = np.isfinite(slope)
    return bool(find_surprises(times[known], slope[known, None], every, chance, (-1,)))


@keep_found
def find_drift(memory: Memory, rules: AlertRules, doubted: bool = False) -> dict[str, Change]:
    """The columns whose values have changed, with what explains it.

    Args:
        memory: of the refresh, which is the last one in it, and those before.
        rules: what is an alert.
        doubted: whether the error has just changed, so that less of a column is news.
    """
    thresholds = rules.thresholds
    if thresholds.psi is None and thresholds.mean_shift is None:
        return {}
    chance = memory.of("", "chance")
    known = np.isfinite(chance)
    day = DAY // rules.every if rules.every < DAY else 0
    ready = max(READY, day + 4 if day < rules.looked_at // 2 else 0)
    if not known[-1] or known.sum() <= ready + GAP:
        return {}
    memory = Memory(memory.names, memory.starts[known], memory.values[known])
    series = _drift_series(memory, chance[known], thresholds)
    groups: dict[bytes, list[_Series]] = {}
    for one in series:
        groups.setdefault(np.isfinite(one.values).tobytes(), []).append(one)
    found: dict[str, list[Change]] = {}
    predicted = None if thresholds.psi is None else find_predicted(memory)
    figures = len(series) + (predicted is not None)
    probability = _probability(rules, figures)
    if doubted:
        probability = max(probability, DOUBTED / max(1, figures))
    if predicted is not None:
        share = find_share_change(memory, predicted, rules.every, probability)
        if share is not None:
            found[predicted] = [_describe_share(share)]
    for mask, group in groups.items():
        there = np.frombuffer(mask, bool)
        if not there[-1]:
            continue
        values = np.stack([one.values[there] for one in group], axis=1)
        for look in {one.look for one in group}:
            mine = [i for i, one in enumerate(group) if one.look == look]
            starts = memory.starts[there]
            for each in find_surprises(
                starts,
                values[:, mine],
                rules.every,
                probability,
                look.sides,
                look.at_once or doubted,
            ):
                one = group[mine[each.figure]]
                change = _describe(memory, one, each.bound, chance[known][-1], thresholds)
                if change is not None:
                    found.setdefault(one.column, []).append(change)
    return {
        column: _explain(memory, column, changes)
        for column, changes in found.items()
        if not follows_calendar(memory.starts, memory.of(column, "mean"))
    }


class _Series(NamedTuple):
    """A figure's series as it is looked at."""

    column: str
    what: What
    values: Matrix
    look: _Look


class _Look(NamedTuple):
    """How a figure is looked at: see ``find_surprises``."""

    sides: tuple[int, ...]
    at_once: bool = False


SHIFTS, AT_ONCE = _Look((1, -1)), _Look((1,), at_once=True)
WIDTHS = _Look((1, -1), at_once=True)
"""How means are looked at; and indices and shares. A model that is trained on new rows no longer
sees what is new in them: these figures may rise for one refresh alone."""


PSI_ROOM = 0.01
"""What is added to an index before its logarithm is taken."""


def _drift_series(memory: Memory, chance: Matrix, thresholds: Thresholds) -> list[_Series]:
    by_chance = PSI_CHANCE * np.square(chance)
    series = []
    for column in memory.columns():
        if thresholds.psi is not None:
            index = memory.of(column, "psi")
            relative = np.log((index + PSI_ROOM) / (by_chance + PSI_ROOM))
            series.append(_Series(column, "psi", relative, AT_ONCE))
        shift, new, nulls = (memory.of(column, what) for what in ("mean_shift", "new", "nulls"))
        if thresholds.mean_shift is not None and np.isfinite(shift).any():
            # The mean itself, where it is known: its shift is from a model that follows it.
            mean = memory.of(column, "mean")
            centre = mean if np.isfinite(mean[-1]) else shift
            series.append(_Series(column, "mean_shift", centre, SHIFTS))
            widths = memory.of(column, "deviation")
            if np.isfinite(widths[-1]) and widths[-1] > 0:
                logarithms = np.log(widths, where=widths > 0, out=np.full(len(widths), np.nan))
                series.append(_Series(column, "unit", logarithms, WIDTHS))
        if np.isfinite(nulls).any():
            series.append(_Series(column, "nulls", nulls, AT_ONCE))
        if np.isfinite(new).any():
            series.append(_Series(column, "new_values", new, AT_ONCE))
    return series


def _describe(
    memory: Memory, one: _Series, bound: float, chance: float, thresholds: Thresholds
) -> Change | None:
    """A surprising figure as a change, if it is large enough to be of any interest."""
    if one.what == "unit":
        return _find_unit_change(memory, one.column, twice=True)
    figure = memory.of(one.column, FIGURES[one.what][1])
    value, usual = float(figure[-1]), float(np.nanmedian(figure[: -GAP - 1]))
    if one.what == "psi":
        by_chance = PSI_CHANCE * chance * chance
        limit = float(np.exp(bound)) * (by_chance + PSI_ROOM) - PSI_ROOM
        least = max(thresholds.psi or 0.0, by_chance)
        if value <= least:
            return None
        return Change("psi", value, max(limit, least), usual, None, value / least)
    if one.what == "mean_shift":
        least = max(thresholds.mean_shift or 0.0, chance)
        # A model that is trained on the shifted rows no longer sees the shift.
        value = max(figure[-GAP - 1 :].tolist(), key=abs)
        if not abs(value) > least:
            return None
        return Change("mean_shift", value, least, usual, None, abs(value) / least)
    rows = max(1.0, float(memory.of("", "rows")[-1]))
    if value - usual <= SHARE + 3 / rows:
        return None
    return Change(one.what, value, bound, usual, None, (value - usual) / SHARE)


def _find_unit_change(memory: Memory, column: str, twice: bool = False) -> Change | None:
    """The change of unit of a column's newest refresh; with ``twice`` also of the one before.

    Rows of before and after a shift, in one refresh, are as wide as another unit; and a shift may
    end where a turned sign would.
    """
    means, deviations = memory.of(column, "mean"), memory.of(column, "deviation")
    past = slice(None, -GAP - 1)

    def find(place: int) -> Unit | None:
        newest = float(means[place]), float(deviations[place])
        return find_unit(means[past], deviations[past], *newest)

    unit = find(-1)
    if unit is None or ((twice or unit.factor == -1) and find(-2) != unit):
        return None
    return Change("unit", unit.factor, 1.0, 1.0, None, UNIT_SIZE)


def _describe_share(found: ShareChange) -> Change:
    figures = found.value, found.bound, found.usual
    return Change("share", *figures, None, found.size, found.predicted)


ORDER: tuple[What, ...] = ("nulls", "new_values", "unit", "mean_shift", "share", "psi")


def _explain(memory: Memory, column: str, changes: list[Change]) -> Change:
    """Of the changes of a column the one that names it best, with what it explains."""
    best = min(changes, key=lambda change: ORDER.index(change.what))
    new = memory.of(column, "new")
    if best.what == "psi" and np.isfinite(new).any():
        # A model that was trained meanwhile knows a value of which the refresh before had few rows.
        newest, before = float(np.nanmax(new[-GAP - 1 :])), float(np.nanmax(new[: -GAP - 1]))
        if newest > before:
            usual = float(np.nanmedian(new[: -GAP - 1]))
            best = Change("new_values", newest, before, usual, None, best.size)
    if best.what in ("mean_shift", "psi"):
        best = _find_unit_change(memory, column) or best
    if best.what == "unit":
        best = best._replace(size=max(one.size for one in changes))
    figure = memory.of(column, (find_figure(best) or ("", "mean_shift"))[1])
    return best._replace(explains=_explained(memory.of("", "mae"), figure))


def _explained(mae: Matrix, figure: Matrix) -> float | None:
    """The squared correlation of the error with a figure's distance from its usual value."""
    mae, figure = mae[-EXPLAINED:], figure[-EXPLAINED:]
    known = np.isfinite(mae) & np.isfinite(figure) & (mae > 0)
    if known.sum() < EXPLAINED // 3:
        return None
    error, far = np.log(mae[known]), np.abs(figure[known] - np.median(figure[known]))
    if np.ptp(error) <= 0 or np.ptp(far) <= 0:
        return None
    return float(np.corrcoef(error, far)[0, 1] ** 2)
