"""Pictures of how errors are spread: half and nine tenths of them, and by values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np

from model.metrics import Metrics
from monitor.report.pictures.canvas import legend, sheet, svg
from monitor.report.pictures.features import importance
from monitor.report.pictures.overtime import floats, over_time, shade, spans, step
from monitor.report.pictures.texts import range_of


def quantiles(reports: Sequence[Metrics]) -> str:
    """The median and the 90th percentile of the absolute errors of each refresh."""
    found = [report.absolute_error for report in reports]
    half = floats(None if one is None else one.p50 for one in found)
    most = floats(None if one is None else one.p90 for one in found)
    drawing, axes = sheet()
    refreshes = spans(reports)
    shade(axes, refreshes, np.isnan(half), "not scored")
    step(axes, refreshes, most, 1, "nine tenths")
    step(axes, refreshes, half, 0, "half")
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    title = "Half, and nine tenths, of the absolute errors of each refresh are no greater"
    return svg(drawing, "quantiles", title, f"Half: {range_of(half)}. Tenths: {range_of(most)}.")


def pool_values(reports: Sequence[Metrics]) -> dict[str, float]:
    """The mean absolute error of each value, over the refreshes that have figures of it.

    Args:
        reports: whose ``groups`` have the values with the most rows of each refresh.
    """
    rows: dict[str, list[tuple[int, float]]] = {}
    for report in reports:
        for one in () if report.groups is None else report.groups.values:
            if one.mae is not None:
                name = "null" if one.value is None else one.value
                rows.setdefault(name, []).append((one.labelled, one.mae))
    return {
        name: fsum(number * mae for number, mae in parts) / sum(number for number, _ in parts)
        for name, parts in rows.items()
    }


def by_value(reports: Sequence[Metrics], column: str) -> str:
    """The mean absolute error of the values of a column, in bars, the greatest first."""
    return importance(pool_values(reports), f"mean absolute error by {column}", "by-value")
