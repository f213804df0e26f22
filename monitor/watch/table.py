"""The table of a run's refreshes: as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from model.cohorts import Cohort
from model.drift import list_shifts
from model.metrics import Metrics
from model.pooling import FEW, find_margin
from monitor.labels import BESIDE, describe_labels
from monitor.questions import ByQuestion
from monitor.watch.figures import clean, format_figure, times

ERRORS = {False: "MAE", True: "log loss"}
"""The title of the error, by whether the target is a class."""
VIEWS = (
    "by label: of the labels that became known in a refresh, as are R2 or AUC, and skill; "
    "by question: of its own questions, when none can be answered any more"
)
"""What the two views are, where labels have a time of their own."""
NAME_WIDTH = 16
"""A column's name beside its drift is cut to so many letters."""
DROPPED = (
    "model",
    "rejected",
    "late",
    "R2",
    "AUC",
    "drift",
    "rows",
    "skill",
    "best",
    "open",
    *(f"{error} by question" for error in ERRORS.values()),
)
"""Which columns are left out where there is no room for them, the first one first."""


class WorstDrift(NamedTuple):
    """The greatest population stability index of a refresh, and whose it is."""

    psi: float
    column: str


def worst_drift(report: Metrics) -> WorstDrift | None:
    """How far features, or the prediction, have drifted; None if the report does not say."""
    if report.drift is None:
        return None
    return max(WorstDrift(shift.psi, name) for name, shift in list_shifts(report.drift))


def format_drift(report: Metrics, short: bool) -> str:
    """The greatest drift as a cell; a short one is without the column's name."""
    worst = worst_drift(report)
    if worst is None:
        return "-"
    return (
        format_figure(worst.psi)
        if short
        else f"{format_figure(worst.psi)} {worst.column[:NAME_WIDTH]}"
    )


def format_error(report: Metrics) -> str:
    """The mean absolute error as a cell, of few rows with half of its 95 % interval."""
    margin = find_margin(report.mae, report.rmse, report.labelled or 0)
    few = margin is not None and (report.labelled or 0) < FEW
    return format_figure(report.mae) + (f" ±{format_figure(margin)}" if few else "")


CELLS: dict[str, Callable[[Metrics, bool], str]] = {
    "rows": lambda report, short: f"{report.rows:,}",
    "model": lambda report, short: report.model or "-",
    "labels": lambda report, short: "-" if report.labelled is None else f"{report.labelled:,}",
    "MAE": lambda report, short: format_error(report),
    "R2": lambda report, short: format_figure(report.r2),
    "log loss": lambda report, short: format_figure(report.log_loss),
    "AUC": lambda report, short: format_figure(report.roc_auc),
    "best": lambda report, short: format_figure(report.skill_best),
    "skill": lambda report, short: format_figure(report.skill),
    "drift": format_drift,
    "late": lambda report, short: f"{report.late:,}",
    "rejected": lambda report, short: f"{report.rejected:,}",
}
"""By its title what a column shows of a report, and of a short one where room is scarce."""


BY_TASK = ("MAE", "R2", "log loss", "AUC")
"""The columns of one task: of regression, then of classification."""
SOME: dict[str, Callable[[Metrics], object]] = {
    "drift": worst_drift,
    "labels": lambda report: report.answered is not None,
    "best": lambda report: report.best_baseline is not None,
    **dict.fromkeys(BY_TASK[:2], lambda report: not report.classifies),
    **dict.fromkeys(BY_TASK[2:], lambda report: report.classifies),
}
"""Columns that are there only if a report has something to show in them.

Where labels come later, ``labels`` are those that became known in a refresh: its errors are of
these, whenever their rows were scored."""


QUESTION_CELLS: dict[str, Callable[[ByQuestion], str]] = {
    "by question": lambda asked: format_figure(asked.error),
    "open": lambda asked: "-" if asked.open is None else f"{asked.open:,}",
}
"""What columns show of a refresh's questions, behind the error by label."""


def error_titles(error: str) -> list[str]:
    """The columns of an error where labels have a time of their own.

    Example:
        >>> error_titles("MAE")
        ['MAE by label', 'MAE by question', 'open']
    """
    return [f"{error} by label", f"{error} by question", "open"]


def line(name: str, report: Metrics) -> str:
    """A refresh as a line of text."""
    found = {t: cell for t, cell in CELLS.items() if t == "drift" or _shows(t, report)}
    if report.answered is not None:
        error = ERRORS[report.classifies]
        found = {
            error_titles(error)[0] if title == error else title: cell
            for title, cell in found.items()
        }
    cells = [f"{title} {cell(report, False)}" for title, cell in found.items()]
    if report.expired is not None:
        cells.append(f"expired {report.expired:,}")
    beside = {name: getattr(report, name, None) or 0 for name in BESIDE}
    return clean(f"{times([name])[0]}  {'  '.join([*cells, *describe_labels(beside)])}")


def _shows(title: str, report: Metrics) -> bool:
    return title not in SOME or bool(SOME[title](report))


def cohort_line(name: str, cohort: Cohort) -> str:
    """A refresh's questions as a line of text."""
    open_ = f"  open {cohort.open:,}" if cohort.open else ""
    return (
        f"{times([name])[0]}  by question: {cohort.rows:,} asked, {cohort.answered:,} answered, "
        f"{cohort.expired:,} expired{open_}  {ERRORS[cohort.classifies]} "
        f"{format_figure(cohort.error)}  "
        f"skill {format_figure(cohort.skill)}"
    )


def table(
    reports: Mapping[str, Metrics],
    console: Console,
    options: ConsoleOptions,
    by_question: Mapping[str, ByQuestion] | None = None,
) -> Table:
    """A table of reports that is no wider than there is room.

    Args:
        reports: by name, at least one.
        console: where it will be shown.
        options: the width there.
        by_question: the refreshes by their questions; None unless labels have a time of their own.
    """
    titles = [
        title for title in CELLS if title not in SOME or any(map(SOME[title], reports.values()))
    ]
    for error in ERRORS.values() if by_question is not None else ():
        if error in titles:
            place = titles.index(error)
            titles[place : place + 1] = error_titles(error)
    made = _make(reports, titles, False, options.encoding, by_question)
    for left_out in (None, *DROPPED):
        if width(made, console, options) <= options.max_width:
            break
        titles = [title for title in titles if title != left_out]
        made = _make(reports, titles, True, options.encoding, by_question)
    return made


def width(made: Table, console: Console, options: ConsoleOptions) -> int:
    """How wide a table is if nothing is cut off."""
    return Measurement.get(console, options.update(max_width=10_000), made).maximum


def _make(
    reports: Mapping[str, Metrics],
    titles: Sequence[str],
    short: bool,
    encoding: str,
    by_question: Mapping[str, ByQuestion] | None,
) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("refresh" if short else "refresh (UTC)", no_wrap=True, overflow="crop")
    for title in titles:
        made.add_column(title, justify="right", no_wrap=True, overflow="crop")
    for at, (name, report) in zip(times(list(reports), short), reports.items(), strict=True):
        shown = {title: cell(report, short) for title, cell in CELLS.items() if title in titles}
        if by_question is not None:
            asked = [cell(by_question[name]) for cell in QUESTION_CELLS.values()]
            for error in ERRORS.values():
                by_label = CELLS[error](report, short)
                shown |= dict(zip(error_titles(error), (by_label, *asked), strict=True))
        cells = {title: clean(shown[title], encoding) for title in titles}
        made.add_row(at, *(Text(text, _style(title, report)) for title, text in cells.items()))
    return made


def _style(title: str, report: Metrics) -> str:
    value = {"skill": report.skill, "best": report.skill_best}.get(title)
    if value is not None:
        return "green" if value > 0 else "red"
    return ""
