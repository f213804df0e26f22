"""Pictures over event time: a step a refresh (or window), a gap where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from model.metrics import Metrics
from pipeline.report.pictures.canvas import NAMED, TEXT, legend, plain, sheet, svg
from pipeline.report.pictures.palette import CARD, DASHES, LINES, SHADE, SOFT
from pipeline.report.pictures.words import count, range_of

Values = npt.NDArray[np.float64]
MODERATE, LARGE = 0.1, 0.25
"""From these population stability indices on a shift is taken as moderate, and as large."""
DENSE = 150
"""Lines of more steps than these are thin."""
APART = 60
"""Bars are drawn apart if there are no more than these."""
LATEST = 2_932_896.999999
"""Days since the epoch: the last tenth of a second of 9999, which matplotlib rounds up."""
DRIFTING = 4
"""So many features are drawn, those that have drifted most."""


class Span(NamedTuple):
    """A stretch of event time as ISO 8601 in UTC: the start is in it, the end is not."""

    start: str
    end: str


def spans(reports: Sequence[Metrics]) -> list[Span]:
    """The refreshes of reports."""
    return [Span(report.refresh_start, report.refresh_end) for report in reports]


def moment(time: str) -> float:
    """ISO 8601 in UTC as matplotlib takes it: days since the epoch.

    Raises:
        ValueError: if it is none.

    Example:
        >>> moment("1970-01-02T12:00:00Z")
        1.5
    """
    return min(LATEST, float(date2num(datetime.fromisoformat(time.replace("Z", "+00:00")))))


def error(reports: Sequence[Metrics]) -> str:
    """The mean absolute error of each refresh, beside that of the baseline.

    Args:
        reports: in the order of time. A refresh without a figure is a shaded gap; one that
            held late rows has a tick below.
    """
    drawing, axes = sheet()
    refreshes = spans(reports)
    mae, baseline = floats(r.mae for r in reports), floats(r.baseline_mae for r in reports)
    _shade(axes, refreshes, np.isnan(mae), "not scored")
    step(axes, refreshes, baseline, 1, "baseline")
    step(axes, refreshes, mae, 0, "model")
    _tick(axes, refreshes, np.array([r.late > 0 for r in reports]), "late rows")
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    told = f"Model: {range_of(mae)}. Predicting the mean of the window: {range_of(baseline)}."
    return svg(drawing, "error", "Mean absolute error of each refresh, beside the baseline", told)


def skill(reports: Sequence[Metrics]) -> str:
    """The skill of each refresh: 1 is exact, 0 no better than the baseline, below 0 worse."""
    drawing, axes = sheet(legend_rows=0)
    refreshes, values = spans(reports), floats(r.skill for r in reports)
    _shade(axes, refreshes, np.isnan(values), "")
    step(axes, refreshes, values, 0, "skill")
    axes.axhline(0, color=SOFT, linewidth=1)
    axes.set_ylim(top=1, bottom=min(0, axes.get_ylim()[0]))
    over_time(axes, refreshes)
    return svg(drawing, "skill", "Skill of each refresh", f"Skill: {range_of(values)}.")


def rows(reports: Sequence[Metrics]) -> str:
    """How many rows each refresh held, in bars: in time, late, rejected."""
    drawing, axes = sheet()
    refreshes = spans(reports)
    late, rejected = floats(r.late for r in reports), floats(r.rejected for r in reports)
    base = np.zeros(len(reports))
    stack = {"in time": floats(r.rows for r in reports) - late, "late": late, "rejected": rejected}
    for name, line in zip(stack, (0, 3, 1), strict=True):
        top = base + stack[name]
        edges, low, high = steps(refreshes, base, top)
        look: dict[str, Any] = {"fill": True, "color": LINES[line], "label": NAMED + name}
        if stack[name].any() or name == "in time":
            axes.stairs(high, edges, baseline=low, **look)
        base = top
    if len(reports) <= APART:
        axes.vlines(edges, 0, np.nanmax(base), color=CARD, linewidth=1.5)
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    totals = ", ".join(f"{count(int(values.sum()))} {name}" for name, values in stack.items())
    return svg(drawing, "rows", "Rows of each refresh: in time, late, rejected", f"{totals}.")


def drift(refreshes: Sequence[Span], indices: Mapping[str, Values]) -> str:
    """The population stability index of the features that drifted most.

    Args:
        refreshes: in the order of time.
        indices: by feature, shape (refreshes,); NaN where there is none.
    """
    most = sorted(indices, key=lambda name: -np.nanmax(indices[name], initial=0))[:DRIFTING]
    drawing, axes = sheet(legend_rows=2)
    for line, name in enumerate(most):
        step(axes, refreshes, indices[name], line, plain(name, 20))
    for bound, told in ((MODERATE, "moderate"), (LARGE, "large")):
        axes.axhline(bound, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
        place: dict[str, Any] = {"xy": (1, bound), "xycoords": axes.get_yaxis_transform()}
        axes.annotate(told, ha="right", va="bottom", fontsize=TEXT, color=SOFT, **place)
    axes.set_ylim(bottom=0, top=max(0.3, axes.get_ylim()[1]))
    over_time(axes, refreshes)
    legend(axes, columns=2)
    told = "; ".join(f"{plain(name)}: {range_of(indices[name])}" for name in most)
    return svg(drawing, "drift", "Drift of the features (population stability index)", told)


def timeline(name: str, title: str, windows: Sequence[Span], values: Values) -> str:
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


def step(axes: Axes, places: Sequence[Span], values: Values, line: int, name: str) -> None:
    """Draws a value a span as a line of steps."""
    edges, high = steps(places, values)
    width = 1.8 if len(places) <= DENSE else 1
    look: dict[str, Any] = {"color": LINES[line], "linestyle": DASHES[line], "linewidth": width}
    axes.stairs(high, edges, baseline=None, label=NAMED + name, **look)


def steps(places: Sequence[Span], *values: Values) -> tuple[Values, ...]:
    """Edges and values for ``Axes.stairs``: a NaN fills each gap between two spans.

    Args:
        places: in the order of time, not overlapping.
        values: each of shape (spans,).

    Returns:
        The edges, of shape (n + 1,), then each of the values, of shape (n,).
    """
    starts = np.array([moment(place.start) for place in places])
    ends = np.array([moment(place.end) for place in places])
    gaps = np.flatnonzero(starts[1:] != ends[:-1]) + 1
    edges = np.insert(np.append(starts, ends[-1:]), gaps, ends[gaps - 1])
    return edges, *(np.insert(each, gaps, np.nan) for each in values)


def over_time(axes: Axes, places: Sequence[Span]) -> None:
    """Sets the horizontal axis to the time that the spans cover, in UTC."""
    locator = AutoDateLocator(minticks=3, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.xaxis.get_offset_text().set(color=SOFT, fontsize=TEXT)
    axes.set_xlim(moment(places[0].start), moment(places[-1].end))


def _shade(axes: Axes, places: Sequence[Span], where: npt.NDArray[np.bool_], name: str) -> None:
    """Shades the spans where something holds, from below to above."""
    edges, shaded = steps(places, np.where(where, 1.0, np.nan))
    if where.any():
        look: dict[str, Any] = {"fill": True, "color": SHADE, "linewidth": 0, "label": NAMED + name}
        axes.stairs(shaded, edges, transform=axes.get_xaxis_transform(), zorder=0, **look)


def _tick(axes: Axes, places: Sequence[Span], where: npt.NDArray[np.bool_], name: str) -> None:
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
