"""Pictures of features: what they were like over time, and which of them a model goes by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from model.statistics import Categorical, Numeric
from monitor.report.pictures.canvas import TEXT, legend, plain, sheet, svg
from monitor.report.pictures.overtime import Values, floats, over_time, step, steps
from monitor.report.pictures.palette import INK, LINES, SOFT
from monitor.report.pictures.texts import figure, range_of
from monitor.report.series import Period

COMMON, IN_LEGEND = 4, 20
"""Of a categorical feature so many values are drawn, and named in so many characters."""
SHOWN = 8
"""Maximum number of features in the picture of importance: the most important ones."""
ROW = 22


def numeric(name: str, windows: Sequence[Period], columns: Sequence[Numeric]) -> str:
    """A numeric column's mean over time, in a band of one standard deviation to either side.

    Args:
        name: the column's.
        windows: in the order of time.
        columns: its statistics, one a window.
    """
    drawing, axes = sheet(legend_rows=0)
    mean = floats(column.mean for column in columns)
    spread = np.sqrt(floats(column.variance for column in columns))
    edges, low, high = steps(windows, mean - spread, mean + spread)
    axes.stairs(high, edges, baseline=low, fill=True, color=LINES[0], alpha=0.18, linewidth=0)
    step(axes, windows, mean, 0, "mean")
    over_time(axes, windows)
    description = f"Mean: {range_of(mean)}. Standard deviation: {range_of(spread)}."
    return svg(drawing, _id(name), f"Mean and standard deviation of {plain(name)}", description)


def categorical(name: str, windows: Sequence[Period], columns: Sequence[Categorical]) -> str:
    """The shares of a categorical column's commonest values over time.

    Args:
        name: the column's.
        windows: in the order of time.
        columns: its statistics, one a window.
    """
    drawing, axes = sheet(legend_rows=2)
    description = []
    for line, value in enumerate(commonest(columns)):
        shares = floats(c.values.get(value, 0) / c.count if c.count else None for c in columns)
        step(axes, windows, shares * 100, line, plain(value, IN_LEGEND))
        description.append(f"{plain(value)}: {range_of(shares * 100)}")
    axes.set_ylim(bottom=0)
    over_time(axes, windows)
    legend(axes, columns=2)
    title = f"Shares of the commonest values of {plain(name)}, percent"
    return svg(drawing, _id(name), title, "; ".join(description) or "no value")


def predicted(windows: Sequence[Period], shares: Sequence[Mapping[str, float] | None]) -> str:
    """For which share of the rows each of the commonest classes is predicted, over time.

    Args:
        windows: the refreshes, in the order of time.
        shares: by class, a refresh; None without predictions. A class that is not among them was
            not predicted.
    """
    drawing, axes = sheet(legend_rows=2)
    totals: dict[str, float] = {}
    for one in shares:
        for name, share in (one or {}).items():
            totals[name] = totals.get(name, 0) + share
    description = []
    for line, name in enumerate(sorted(totals, key=lambda name: (-totals[name], name))[:COMMON]):
        values = floats(None if one is None else one.get(name, 0) for one in shares)
        step(axes, windows, values * 100, line, plain(name, IN_LEGEND))
        description.append(f"{plain(name)}: {range_of(values * 100)}")
    axes.set_ylim(bottom=0)
    over_time(axes, windows)
    legend(axes, columns=2)
    title = "For which share of the rows each class is predicted, percent"
    return svg(drawing, "predicted", title, "; ".join(description))


def commonest(columns: Sequence[Categorical]) -> list[str]:
    """The values that are most frequent over all windows; ties by name."""
    totals: dict[str, int] = {}
    for column in columns:
        for value, number in column.values.items():
            totals[value] = totals.get(value, 0) + number
    return sorted(totals, key=lambda value: (-totals[value], value))[:COMMON]


def importance(weights: Mapping[str, float], description: str, picture: str = "importance") -> str:
    """How much a model goes by each feature, in bars, the greatest first.

    Args:
        weights: by the name of the feature, or of the column; 0 or more, at least one.
        description: of what the weights are.
        picture: its name.
    """
    most = sorted(weights, key=lambda name: (-weights[name], name))[:SHOWN]
    values: Values = np.array([weights[name] for name in most])
    drawing, axes = sheet(40 + ROW * len(most), legend_rows=0)
    places = -np.arange(len(most))
    axes.barh(places - 0.25, values, height=0.28, color=LINES[0])
    for place, feature, value in zip(places, most, values, strict=True):
        look: dict[str, Any] = {"fontsize": TEXT, "va": "center"}
        axes.text(0, place + 0.22, plain(feature), color=INK, **look)
        end: dict[str, Any] = {"x": 1, "ha": "right", "transform": axes.get_yaxis_transform()}
        axes.text(y=place + 0.22, s=figure(float(value)), color=SOFT, **look, **end)
    axes.set_axis_off()
    axes.set_yticks([])
    axes.set_ylim(0.7 - len(most), 0.6)
    axes.set_xlim(0, max(values.max(), 1e-300))
    names = "; ".join(f"{plain(n)} {figure(float(v))}" for n, v in zip(most, values, strict=True))
    title = f"Feature importance: {description}" if picture == "importance" else description
    return svg(drawing, picture, title, names)


def _id(name: str) -> str:
    """An id for the picture of a column, whatever the column is called."""
    return "column-" + hashlib.sha256(name.encode()).hexdigest()[:8]
