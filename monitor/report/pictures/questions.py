"""Pictures of what becomes of questions: their errors, answers, delays; and of their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from model.cohorts import Cohort
from model.metrics import Metrics
from monitor.report.pictures.canvas import legend, sheet, svg
from monitor.report.pictures.overtime import bars, floats, over_time, shade, spans, step
from monitor.report.pictures.palette import LINES
from monitor.report.pictures.texts import count, range_of
from monitor.report.series import Period

UNITS = ((172_800, 86_400, "days"), (7200, 3600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))
"""From how many seconds on a unit is used, how many seconds it has, its name."""


def cohorts(found: Sequence[Cohort]) -> str:
    """The error of the questions of each refresh, beside that of the baseline.

    The error is the mean absolute one, of classes the log loss.

    Args:
        found: in the order of time. What is not final is shaded.
    """
    drawing, axes = sheet()
    refreshes = [Period(cohort.refresh_start, cohort.refresh_end) for cohort in found]
    mae, baseline = floats(c.error for c in found), floats(c.baseline_error for c in found)
    shade(axes, refreshes, np.array([not cohort.final for cohort in found]), "not final")
    step(axes, refreshes, baseline, 1, "baseline")
    step(axes, refreshes, mae, 0, "model")
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    description = f"Model: {range_of(mae)}. Baseline: {range_of(baseline)}."
    what = "Log loss" if any(c.classifies for c in found) else "Mean absolute error"
    title = f"{what} of the questions of each refresh, beside the baseline"
    return svg(drawing, "cohorts", title, description)


def questions(
    reports: Sequence[Metrics], cohorts: Sequence[Cohort], open: Mapping[str, int]
) -> str:
    """What became of the questions of each refresh, in bars: answered, expired, open.

    Args:
        reports: in the order of time, at least one that held questions.
        cohorts: of those that are final, or have ended.
        open: how many are open in others, by the refresh's start.
    """
    known = {cohort.refresh_start: cohort for cohort in cohorts}
    shown = [report for report in reports if report.rows]
    made = [known.get(report.refresh_start) for report in shown]
    expired = floats(0 if cohort is None else cohort.expired for cohort in made)
    still = floats(
        open.get(report.refresh_start, 0) if cohort is None else cohort.open
        for report, cohort in zip(shown, made, strict=True)
    )
    answered = floats(report.rows for report in shown) - expired - still
    stack = {"answered": answered, "expired": expired, "open": still}
    title = "Questions of each refresh: answered, expired, open"
    return bars("questions", title, spans(shown), stack, (0, 1, 3))


def labels(reports: Sequence[Metrics], titles: Mapping[str, str]) -> str:
    """What came in the stream of labels beside the answers, a line each of what came most.

    Args:
        reports: in the order of time, at least one.
        titles: of the fields of a report that are counts.
    """
    found = {
        title: floats(getattr(report, name, None) or 0 for report in reports)
        for name, title in titles.items()
    }
    most = sorted(found, key=lambda title: -found[title].sum())[: len(LINES)]
    drawing, axes = sheet(legend_rows=2)
    refreshes = spans(reports)
    for line, title in enumerate(most):
        if found[title].any():
            step(axes, refreshes, found[title], line, title.lower())
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes, columns=2)
    totals = ", ".join(f"{count(int(found[t].sum()))} {t.lower()}" for t in most if found[t].any())
    return svg(drawing, "labels", "Labels beside the answers, of each refresh", f"{totals}.")


def delays(found: Sequence[Cohort]) -> tuple[str, str]:
    """How long after their questions labels came, in bins of 64 an octave.

    Args:
        found: in the order of time; at least one has a delay.

    Returns:
        The picture, and its unit.
    """
    greatest = max(cohort.delay.max for cohort in found if cohort.delay is not None)
    length, unit = next(
        (length, unit) for least, length, unit in UNITS if greatest >= least or length == 1
    )
    drawing, axes = sheet()
    refreshes = [Period(cohort.refresh_start, cohort.refresh_end) for cohort in found]
    shade(axes, refreshes, np.array([not cohort.final for cohort in found]), "not final")
    for line, (name, title) in enumerate(
        (("p50", "50 % within"), ("p90", "90 % within"), ("max", "all within"))
    ):
        values = floats(None if c.delay is None else getattr(c.delay, name) / length for c in found)
        step(axes, refreshes, values, line, title)
    axes.set_ylim(bottom=0)
    over_time(axes, refreshes)
    legend(axes)
    half = floats(None if c.delay is None else c.delay.p50 / length for c in found)
    title = f"Delay of the labels of each refresh's questions, {unit}"
    return svg(drawing, "delays", title, f"50 % within: {range_of(half)}."), unit
