"""Pictures of a sweep: the error of each combination, and who had the least of it when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.dates import date2num

from model.asof import format_iso, to_datetime
from monitor.report.pictures.canvas import TEXT, plain, sheet, svg
from monitor.report.pictures.palette import HEATS, INK, LINES, RULE, SOFT
from monitor.report.pictures.texts import figure

if TYPE_CHECKING:
    from pipeline.frames.comparison import Sweep

SHOWN = 12
"""Maximum number of combinations that are drawn, those of least error."""
ROW = 22
CELLS = 48
"""Maximum number of stretches of time into which periods are gathered."""


def errors(result: Sweep) -> str:
    """The mean absolute error of each combination, in bars; static models in another colour."""
    shown = result.combinations[:SHOWN]
    values = result.errors[: len(shown)].mean(axis=1)
    drawing, axes = sheet(40 + ROW * len(shown), legend_rows=0)
    places = -np.arange(len(shown))
    colours = [LINES[1] if combination.is_static else LINES[0] for combination in shown]
    axes.barh(places - 0.25, values, height=0.28, color=colours)
    for place, combination, value in zip(places, shown, values, strict=True):
        look: dict[str, Any] = {"fontsize": TEXT, "va": "center"}
        axes.text(0, place + 0.22, plain(result.title(combination)), color=INK, **look)
        end: dict[str, Any] = {"x": 1, "ha": "right", "transform": axes.get_yaxis_transform()}
        axes.text(y=place + 0.22, s=figure(float(value)), color=SOFT, **look, **end)
    axes.set_axis_off()
    axes.set_yticks([])
    axes.set_ylim(0.7 - len(shown), 0.6)
    axes.set_xlim(0, max(values.max(), 1e-300))
    text = "; ".join(
        f"{plain(result.title(combination))} {figure(float(value))}"
        for combination, value in zip(shown, values, strict=True)
    )
    return svg(drawing, "sweep-errors", "Mean absolute error on the same rows", text)


def periods(result: Sweep) -> str:
    """Each combination's rank of error in each stretch of time: the darker, the less error."""
    shown = result.combinations[:SHOWN]
    edges, ranks = _ranks(result, len(shown))
    drawing, axes = sheet(56 + ROW * len(shown), legend_rows=0)
    axes.grid(False)
    for place, row in enumerate(ranks):
        for left, right, rank in zip(edges[:-1], edges[1:], row, strict=True):
            best = rank == 0
            shade = HEATS[-1] if best else HEATS[max(0, 3 - int(4 * rank))]
            colour = shade if best or rank < 1 else RULE
            axes.barh(-place - 0.25, right - left, left=left, height=0.36, color=colour)
    for place, combination in enumerate(shown):
        look: dict[str, Any] = {"fontsize": TEXT, "va": "center", "color": INK}
        axes.text(edges[0], -place + 0.24, plain(result.title(combination)), **look)
    axes.set_yticks([])
    axes.set_xticks([edges[0], edges[-1]])
    first, last = (format_iso(int(at))[:10] for at in (result.periods[0], result.periods[-1]))
    axes.set_xticklabels([first, last])
    start, end = axes.get_xticklabels()
    start.set_horizontalalignment("left")
    end.set_horizontalalignment("right")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0.5 - len(shown), 0.6)
    least = (ranks == 0).mean(axis=1)
    text = "; ".join(
        f"{plain(result.title(combination))} {share:.0%}"
        for combination, share in zip(shown, least, strict=True)
    )
    return svg(drawing, "sweep-periods", "Who had the least error when (darkest)", text)


def _ranks(result: Sweep, number: int) -> tuple[Any, Any]:
    """Edges of stretches of time, and each combination's rank there from 0 (least error) to 1."""
    cells = np.array_split(np.arange(len(result.periods)), min(CELLS, len(result.periods)))
    means = np.stack([result.by_period[:number, cell].mean(axis=1) for cell in cells], axis=1)
    ranks = (means[None, :, :] < means[:, None, :]).sum(axis=1) / max(1, number - 1)
    starts = [float(date2num(to_datetime(int(result.periods[cell[0]])))) for cell in cells]
    gap = min(np.diff(starts), default=1.0)
    return np.array([*starts, starts[-1] + gap]), ranks
