"""Pictures over event time: a step a refresh (or window), a gap where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from model.display import PSI_LARGE, PSI_MODERATE
from model.metrics import Metrics
from model.pooling import FEW, find_margin
from monitor.report.pictures.canvas import NAMED, TEXT, legend, plain, sheet, svg
from monitor.report.pictures.palette import CARD, DASHES, LINES, SHADE, SOFT
from monitor.report.pictures.texts import count, range_of
from monitor.report.series import Period, count_days

Values = npt.NDArray[np.float64]
DENSE = 150
"""Lines of more steps than these are thin."""
APART = 60
"""Bars are drawn apart if there are no more than these."""
EARLIEST, LATEST = -719_162.0, 2_932_896.999999
"""Days since the epoch: the first of year 1, and the last tenth of a second of 9999, which
matplotlib rounds up."""
ACROSS = 300
"""Width of the axes, about, in the picture's units."""
LEAST, MARKED = 2.5, 6.0
"""What is filled is at least so wide, and a line of steps that is no wider has dots, so that
something is seen of a window of minutes in a picture of months; in the picture's units."""
DRIFTING = 4
"""Maximum number of features in the picture of drift: those that have drifted most."""


def spans(reports: Sequence[Metrics]) -> list[Period]:
    """The refreshes of reports."""
    return [Period(report.refresh_start, report.refresh_end) for report in reports]


def error(reports: Sequence[Metrics]) -> str:
    """The mean absolute error of each refresh, beside that of the baseline.

    Args:
        reports: in the order of time. A refresh without a figure is a shaded gap; one that
            held late rows has a tick below, and one of few rows its 95 % interval.
    """
    mae, baseline = floats(r.mae for r in reports), floats(r.baseline_mae for r in reports)
    description = (
        f"Model: {range_of(mae)}. Predicting the mean of the window: {range_of(baseline)}."
    )
    title = "Mean absolute error of each refresh, beside the baseline"
    few = floats(_find_few(report) for report in reports)
    return _error(reports, mae, baseline, title, description, few)


def _find_few(report: Metrics) -> float | None:
    """Half of the 95 % interval of a refresh's error, if it has few rows."""
    rows = report.labelled or 0
    return find_margin(report.mae, report.rmse, rows) if rows < FEW else None


def log_loss(reports: Sequence[Metrics]) -> str:
    """The log loss of each refresh, beside that of the baseline, drawn as ``error`` is."""
    loss = floats(report.log_loss for report in reports)
    baseline = floats(report.baseline_log_loss for report in reports)
    description = (
        f"Model: {range_of(loss)}. Predicting the window's class shares: {range_of(baseline)}."
    )
    title = "Log loss of each refresh, beside the baseline"
    return _error(reports, loss, baseline, title, description)


def _error(
    reports: Sequence[Metrics],
    mae: Values,
    baseline: Values,
    title: str,
    description: str,
    few: Values | None = None,
) -> str:
    """Draws an error beside its baseline; ``few``: half of the interval where rows are few."""
    drawing, axes = sheet()
    refreshes = spans(reports)
    shade(axes, refreshes, np.isnan(mae), "not scored")
    if few is not None and np.isfinite(few).any():
        edges, low, high = steps(refreshes, np.maximum(mae - few, 0), mae + few)
        band: dict[str, Any] = {"fill": True, "color": LINES[0], "alpha": 0.2, "linewidth": 0}
        axes.stairs(high, edges, baseline=low, label=NAMED + "95 %, few rows", **band)
        description += (
            f" Refreshes with an interval: {np.isfinite(few).sum()} of fewer than {FEW} rows."
        )
    step(axes, refreshes, baseline, 1, "baseline")
    step(axes, refreshes, mae, 0, "model")
    _tick(axes, refreshes, np.array([r.late > 0 for r in reports]), "late rows")
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    return svg(drawing, "error", title, description)


def skill(reports: Sequence[Metrics]) -> str:
    """The skill of each refresh: 1 is exact, 0 no better than the baseline, below 0 worse."""
    drawing, axes = sheet(legend_rows=0)
    refreshes, values = spans(reports), floats(r.skill for r in reports)
    shade(axes, refreshes, np.isnan(values), "")
    step(axes, refreshes, values, 0, "skill")
    axes.axhline(0, color=SOFT, linewidth=1)
    axes.set_ylim(top=1, bottom=min(0, axes.get_ylim()[0]))
    over_time(axes, refreshes)
    return svg(drawing, "skill", "Skill of each refresh", f"Skill: {range_of(values)}.")


def rows(reports: Sequence[Metrics]) -> str:
    """How many rows each refresh held, in bars: in time, late, rejected."""
    late, rejected = floats(r.late for r in reports), floats(r.rejected for r in reports)
    stack = {"in time": floats(r.rows for r in reports) - late, "late": late, "rejected": rejected}
    title = "Rows of each refresh: in time, late, rejected"
    return bars("rows", title, spans(reports), stack, (0, 3, 1))


def bars(
    picture: str,
    title: str,
    refreshes: Sequence[Period],
    stack: Mapping[str, Values],
    lines: tuple[int, ...],
) -> str:
    """Counts of each refresh in bars, one upon the other.

    Args:
        picture: its name.
        title: what it shows.
        refreshes: in the order of time.
        stack: by name, from below; shape (refreshes,). The first is drawn even if all are 0.
        lines: the colours.
    """
    drawing, axes = sheet()
    base = np.zeros(len(refreshes))
    for place, (name, line) in enumerate(zip(stack, lines, strict=True)):
        top = base + stack[name]
        edges, low, high = steps(refreshes, base, top)
        look: dict[str, Any] = {"fill": True, "color": LINES[line], "label": NAMED + name}
        if stack[name].any() or not place:
            axes.stairs(high, edges, baseline=low, **look)
        base = top
    wide = np.diff(edges).min() > 2 * LEAST * (edges[-1] - edges[0]) / ACROSS
    if len(refreshes) <= APART and wide:
        axes.vlines(edges, 0, np.nanmax(base), color=CARD, linewidth=1.5)
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    totals = ", ".join(f"{count(int(values.sum()))} {name}" for name, values in stack.items())
    return svg(drawing, picture, title, f"{totals}.")


def unlabelled(reports: Sequence[Metrics]) -> str:
    """Which share of each refresh's rows has no target, percent.

    Args:
        reports: in the order of time, at least one.
    """
    drawing, axes = sheet(legend_rows=0)
    refreshes = spans(reports)
    values = floats(100 * r.unlabelled / r.rows if r.rows else None for r in reports)
    step(axes, refreshes, values, 0, "unlabelled")
    axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    over_time(axes, refreshes)
    total = count(sum(report.unlabelled for report in reports))
    message = f"{total} rows without a target. Percent of rows: {range_of(values)}."
    return svg(drawing, "unlabelled", "Rows without a target, percent of each refresh", message)


def nulls(places: Sequence[Period], shares: Mapping[str, Values]) -> str:
    """Which share of each column's values is null, percent, of the columns that have most.

    Args:
        places: in the order of time.
        shares: by column, shape (places,); NaN where nothing is known.
    """
    most = sorted(shares, key=lambda name: -np.nanmax(shares[name], initial=0))[:DRIFTING]
    drawing, axes = sheet(legend_rows=2)
    for line, name in enumerate(most):
        step(axes, places, shares[name] * 100, line, plain(name, 20))
    axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    over_time(axes, places)
    legend(axes, columns=2)
    message = "; ".join(f"{plain(name)}: {range_of(shares[name] * 100)}" for name in most)
    return svg(drawing, "nulls", "Nulls, percent of each column's values", message)


def drift(refreshes: Sequence[Period], indices: Mapping[str, Values]) -> str:
    """The population stability index of the features that drifted most.

    Args:
        refreshes: in the order of time.
        indices: by feature, shape (refreshes,); NaN where there is none.
    """
    most = sorted(indices, key=lambda name: -np.nanmax(indices[name], initial=0))[:DRIFTING]
    drawing, axes = sheet(legend_rows=2)
    for line, name in enumerate(most):
        step(axes, refreshes, indices[name], line, plain(name, 20))
    for bound, label in ((PSI_MODERATE, "moderate"), (PSI_LARGE, "large")):
        axes.axhline(bound, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        place: dict[str, Any] = {"xy": (1, bound), "xycoords": axes.get_yaxis_transform()}
        axes.annotate(label, ha="right", va="bottom", fontsize=TEXT, color=SOFT, **place)
    axes.set_ylim(bottom=0, top=max(0.3, axes.get_ylim()[1]))
    over_time(axes, refreshes)
    legend(axes, columns=2)
    description = "; ".join(f"{plain(name)}: {range_of(indices[name])}" for name in most)
    return svg(drawing, "drift", "Drift of the features (population stability index)", description)


def timeline(name: str, title: str, windows: Sequence[Period], values: Values) -> str:
    """One figure a window, from 0 up, as what a fit took or what a model holds.

    Args:
        name: of the picture.
        title: what the figure is, with its unit.
        windows: in the order of time.
        values: shape (windows,).
    """
    drawing, axes = sheet(legend_rows=0)
    step(axes, windows, values, 0, title)
    axes.set_ylim(bottom=0)
    over_time(axes, windows)
    return svg(drawing, name, title, f"{range_of(values)}.")


def floats(values: Iterable[float | None]) -> Values:
    """Figures as an array; NaN for None."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def step(axes: Axes, places: Sequence[Period], values: Values, line: int, name: str) -> None:
    """Draws a value a span as a line of steps."""
    edges, high = steps(places, values)
    width = 1.8 if len(places) <= DENSE else 1
    look: dict[str, Any] = {"color": LINES[line], "linestyle": DASHES[line], "linewidth": width}
    axes.stairs(high, edges, baseline=None, label=NAMED + name, **look)
    at, height = dots(edges, high)
    if len(at):
        axes.plot(at, height, "o", color=LINES[line], markersize=3.5, markeredgewidth=0)


def steps(places: Sequence[Period], *values: Values) -> tuple[Values, ...]:
    """Edges and values for ``Axes.stairs``: a NaN fills each gap between two spans.

    Args:
        places: in the order of time, not overlapping.
        values: each of shape (spans,).

    Returns:
        The edges, of shape (n + 1,), then each of the values, of shape (n,).
    """
    starts, ends = widen(
        np.array([count_days(place.start) for place in places]),
        np.array([count_days(place.end) for place in places]),
    )
    gaps = np.flatnonzero(starts[1:] != ends[:-1]) + 1
    edges = np.insert(np.append(starts, ends[-1:]), gaps, ends[gaps - 1])
    return edges, *(np.insert(each, gaps, np.nan) for each in values)


def widen(starts: Values, ends: Values) -> tuple[Values, Values]:
    """Spans that are wide enough to be seen: each group of them without a gap is at least LEAST.

    A group grows to both sides, and no further than the middle of the gap to the next one.

    Example:
        >>> widen(np.array([0.0, 100.0]), np.array([0.5, 300.0]))
        (array([ -1., 100.]), array([  1.5, 300. ]))
    """
    if not len(starts):
        return starts, ends
    least = LEAST * (ends[-1] - starts[0]) / ACROSS
    gaps = np.flatnonzero(starts[1:] != ends[:-1])
    first, last = np.append(0, gaps + 1), np.append(gaps, len(starts) - 1)
    room = np.concatenate(([np.inf], starts[gaps + 1] - ends[gaps], [np.inf])) / 2
    lacks = np.maximum(0.0, least - (ends[last] - starts[first])) / 2
    starts, ends = starts.copy(), ends.copy()
    starts[first] -= np.minimum(lacks, room[:-1])
    ends[last] += np.minimum(lacks, room[1:])
    return np.maximum(starts, EARLIEST), np.minimum(ends, LATEST)


def dots(edges: Values, values: Values) -> tuple[Values, Values]:
    """Where a line of steps needs dots to be seen: places, and values.

    Args:
        edges: shape (n + 1,).
        values: shape (n,); NaN where there is no line.
    """
    there = np.concatenate(([False], ~np.isnan(values), [False]))
    first = np.flatnonzero(there[1:] & ~there[:-1])
    last = np.flatnonzero(there[:-1] & ~there[1:])
    narrow = edges[last] - edges[first] <= MARKED * (edges[-1] - edges[0]) / ACROSS
    steps = [n for a, b in zip(first[narrow], last[narrow], strict=True) for n in range(a, b)]
    return (edges[steps] + edges[np.array(steps, dtype=int) + 1]) / 2, values[steps]


def over_time(axes: Axes, places: Sequence[Period]) -> None:
    """Sets the horizontal axis to the time that the spans cover, in UTC."""
    locator = AutoDateLocator(minticks=3, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set(color=SOFT, fontsize=TEXT)
    starts = np.array([count_days(places[0].start), count_days(places[-1].start)])
    ends = np.array([count_days(places[0].end), count_days(places[-1].end)])
    left, right = widen(starts, ends) if len(places) > 1 else (starts, ends)
    axes.set_xlim(left[0], right[-1])


def shade(axes: Axes, places: Sequence[Period], where: npt.NDArray[np.bool_], name: str) -> None:
    """Shades the spans where something holds, from below to above."""
    edges, shaded = steps(places, np.where(where, 1.0, np.nan))
    if where.any():
        look: dict[str, Any] = {"fill": True, "color": SHADE, "linewidth": 0, "label": NAMED + name}
        axes.stairs(shaded, edges, transform=axes.get_xaxis_transform(), zorder=0, **look)


def _tick(axes: Axes, places: Sequence[Period], where: npt.NDArray[np.bool_], name: str) -> None:
    """Marks the spans where something holds by a bar at the lower edge."""
    edges, marked = steps(places, np.where(where, 0.04, np.nan))
    if where.any():
        look: dict[str, Any] = {
            "fill": True,
            "color": LINES[3],
            "linewidth": 0,
            "label": NAMED + name,
        }
        axes.stairs(marked, edges, transform=axes.get_xaxis_transform(), zorder=3, **look)
