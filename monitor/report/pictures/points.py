"""Pictures of single predictions: beside what came true, and by how much they missed it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from monitor.report.pictures.canvas import TEXT, Figures, sheet, svg
from monitor.report.pictures.palette import HEATS, LINES, SOFT
from monitor.report.pictures.texts import count, figure
from monitor.report.series import Points

Values = npt.NDArray[np.float64]
CELLS = (40, 26)
"""Columns and rows of cells in which points are counted."""
BARS = 48
GAP = 0.06
"""Of a cell's sides, left free around it."""
OUTER = 0.1
"""Percent of the values that lie beyond each end of an axis: outliers would make it useless."""
TALL = 230


def predicted_against_actual(points: Points) -> str:
    """How many points lie where: the actual value across, the predicted one up.

    Args:
        points: at least one.
    """
    drawing, axes = sheet(TALL, legend_rows=0)
    both = central(np.concatenate(points))
    cells(axes, points.target, points.prediction, both, both)
    axes.plot(both, both, color=SOFT, linewidth=1, linestyle="--")
    _name(axes, "actual", "predicted")
    title = "Predicted against actual values"
    description = f"{_many(points)}. On the dashed line a prediction is exact."
    return svg(drawing, "predicted", title, description)


def residuals(points: Points) -> str:
    """How many residuals are how large, in bars.

    Args:
        points: at least one.
    """
    drawing, axes = sheet(TALL, legend_rows=0)
    counts, edges = np.histogram(points.residuals, BARS, central(points.residuals))
    axes.stairs(counts, edges, fill=True, color=LINES[0])
    axes.axvline(0, color=SOFT, linewidth=1, linestyle="--")
    axes.set_xlim(edges[0], edges[-1])
    _name(axes, "actual less predicted", "rows")
    low, middle, high = np.percentile(points.residuals, (5, 50, 95))
    description = (
        f"{_many(points)}. Half of the residuals are above {figure(middle)}; "
        f"nine of ten lie between {figure(low)} and {figure(high)}."
    )
    return svg(drawing, "residuals", "How far actual values were from predicted ones", description)


def residuals_against_predicted(points: Points) -> str:
    """How many points lie where: the predicted value across, the residual up.

    Args:
        points: at least one.
    """
    drawing, axes = sheet(TALL, legend_rows=0)
    across, up = central(points.prediction), central(points.residuals)
    cells(axes, points.prediction, points.residuals, across, up)
    axes.axhline(0, color=SOFT, linewidth=1, linestyle="--")
    _name(axes, "predicted", "actual less predicted")
    title = "Residuals against predicted values"
    description = f"{_many(points)}. Below the dashed line the prediction was too high."
    return svg(drawing, "spread", title, description)


def cells(
    axes: Axes, x: Values, y: Values, across: tuple[float, float], up: tuple[float, float]
) -> None:
    """Counts points in cells, and draws the cells: the darker, the more, by the cube root.

    Args:
        axes: where.
        x: shape (points,).
        y: shape (points,).
        across: the axis's ends; what lies beyond is left out.
        up: the same.
    """
    counts, columns, lines = np.histogram2d(x, y, CELLS, (across, up))
    levels = np.ceil(np.cbrt(counts / max(counts.max(), 1)) * len(HEATS))
    width, height = columns[1] - columns[0], lines[1] - lines[0]
    side = np.array([width, height]) * (1 - 2 * GAP)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * side
    for level, colour in enumerate(HEATS, 1):
        places = np.argwhere(levels == level)
        if len(places):
            corners = np.column_stack((columns[places[:, 0]], lines[places[:, 1]]))
            corners += np.array([width, height]) * GAP
            outlines = (corners[:, None, :] + square).reshape(-1, 2)
            codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
            path = Path(outlines, codes * len(places))
            axes.add_patch(PathPatch(path, facecolor=colour, linewidth=0))
    axes.set_xlim(across)
    axes.set_ylim(up)


def central(values: Values) -> tuple[float, float]:
    """Where all values lie but for a few at each end; never nothing.

    Example:
        >>> central(np.array([5.0]))
        (4.5, 5.5)
    """
    low, high = (float(end) for end in np.percentile(values, (OUTER, 100 - OUTER)))
    least = max(abs(low), abs(high)) * 1e-9
    return (low, high) if high - low > least else (low - max(0.5, least), high + max(0.5, least))


def _many(points: Points) -> str:
    return f"{count(len(points.target))} rows"


def _name(axes: Axes, across: str, up: str) -> None:
    """Names the axes: below on the right, and above on the left."""
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(Figures())
    axes.set_xlabel(across, color=SOFT, fontsize=TEXT, loc="right", labelpad=1)
    look: dict[str, Any] = {"ha": "left", "va": "bottom", "color": SOFT, "fontsize": TEXT}
    axes.annotate(up, (0, 1), xycoords="axes fraction", **look)
