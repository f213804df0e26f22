"""What a run did over time, from its folder: settings, state, reports, how long fits took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from model.alerts import Alert
from model.asof import format_iso, parse_name
from model.batch import SECOND
from model.cohorts import Cohort
from model.display import STALE
from model.errors import UserError
from model.metrics import Metrics
from model.pooling import Pooled, pool, pool_newest
from model.problems import explain
from model.runs import RunFolder, RunSettings, Status
from model.skipped import Skipped
from model.wording import format_duration
from monitor.labels import LabelFigures
from monitor.questions import OpenQuestions, QuestionFollower, follow_reports
from monitor.report.series import Period, count_days


def describe_status(status: Status | None, now: datetime) -> str:
    """A run's state; of a run that gives no sign of life, that too.

    Args:
        status: None if it is missing or damaged.
        now: with a time zone.

    Example:
        >>> noon = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
        >>> describe_status(Status(state="running", updated="2026-01-01T10:00:00Z"), noon)
        'running, but no sign of life for 2 hours'
        >>> describe_status(Status(state="done", updated="2026-01-01T10:00:00Z"), noon)
        'done'
    """
    if status is None:
        return "unknown"
    quiet = status.age(now)
    if status.has_ended or quiet < STALE:
        return status.state
    unit = 3600 if quiet >= 7200 else 60
    return f"{status.state}, but no sign of life for {format_duration(int(quiet) // unit * unit)}"


COHORTS = 10_000
"""Maximum number of cohorts that are read, the newest."""


class Total(NamedTuple):
    """Figures over all refreshes.

    Attributes:
        rows, late, rejected: counts.
        labelled: scored rows with a target; the figures below are over these.
        mae, baseline_mae: mean absolute errors, of classes log losses; null without such a
            row.
        skill: 1 - mae / baseline_mae, null too if the baseline is exact.
        answered, expired, open: what became of all questions; null unless labels have a time.
        rmse, r2, skill_best: see ``model.pooling.Pooled``.
        newest: the figures of the newest 20 refreshes together.
    """

    rows: int
    late: int
    rejected: int
    labelled: int
    mae: float | None
    baseline_mae: float | None
    skill: float | None
    answered: int | None = None
    expired: int | None = None
    open: int | None = None
    rmse: float | None = None
    r2: float | None = None
    skill_best: float | None = None
    newest: Pooled = Pooled()


class History(NamedTuple):
    """A run over time.

    Attributes:
        settings: what decided it.
        status: the run's; None if it is missing or damaged.
        reports: the figures of its refreshes, in the order of time.
        fits: how long each fit took, seconds, by the name of its model, in the order of time.
        cohorts: the figures by question, where labels have a time of their own.
        still: how many questions of the newest refreshes are open; None without any.
        labels: what came of questions and labels; None unless labels have a time of their own.
        open: how many questions of each refresh are open, by its start; not of final ones.
    """

    settings: RunSettings
    status: Status | None
    reports: list[Metrics]
    fits: dict[str, float]
    cohorts: Sequence[Cohort] = ()
    still: OpenQuestions | None = None
    labels: LabelFigures | None = None
    open: Mapping[str, int] = MappingProxyType({})

    def with_questions(self, questions: QuestionFollower) -> History:
        """The run with what came of its questions."""
        return self._replace(
            still=questions.open(), labels=questions.figures, open=questions.open_by_refresh()
        )

    def window(self, model: str) -> Period:
        """The last ``every`` seconds of a model's window: windows that overlap get a step each."""
        end = parse_name(model)
        return Period(format_iso(end - self.settings.every * SECOND), format_iso(end))


def read(folder: RunFolder) -> History:
    """Reads a run's history.

    Raises:
        UserError: if the folder holds no run, or a file in it is not as a run writes it.
    """
    settings = folder.parse_settings(folder.read_settings())
    found = reports(folder)
    run = History(settings, status(folder), found, fits(folder), cohorts(folder))
    if settings.clock is None:
        return run
    questions = QuestionFollower(folder, settings.clock, COHORTS)
    questions.look(follow_reports(found))
    return run.with_questions(questions)


def status(folder: RunFolder) -> Status | None:
    """A run's status; None if it is missing or damaged."""
    try:
        return folder.read_status()
    except (OSError, ValueError):
        return None


def reports(folder: RunFolder) -> list[Metrics]:
    """The reports of a run, with times that can be read.

    Raises:
        UserError: if one is not valid.
    """
    try:
        found = folder.reports()
        for report in found:
            if count_days(report.refresh_end) <= count_days(report.refresh_start):
                raise ValueError(f"{report.refresh_start}: it ends before it begins")
    except ValueError as error:
        reason = explain(error) if isinstance(error, ValidationError) else error
        raise UserError(f"{folder.metrics}: holds what is not a report: {reason}") from error
    return found


def cohorts(folder: RunFolder) -> list[Cohort]:
    """The newest cohorts of a run.

    Raises:
        UserError: if a file holds none.
    """
    try:
        return folder.read_cohorts(COHORTS)
    except ValueError as error:
        raise UserError(f"{folder.cohorts}: holds what is not a cohort: {error}") from error


def fits(folder: RunFolder) -> dict[str, float]:
    """How long the fits took, seconds, by the name of the model.

    Raises:
        UserError: if a file does not say so.
    """
    try:
        found = {name: folder.fit_seconds(name) for name in folder.timed()}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder.timing}: holds what is not a timing: {error}") from error
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def total(found: Sequence[Metrics]) -> Total:
    """The figures of all refreshes together; errors are weighted by rows.

    Example:
        >>> total([]).mae is None
        True
    """
    pooled = pool(found)
    counts: dict[str, int] = {}
    if any(report.answered is not None for report in found):
        answered = sum(report.answered or 0 for report in found)
        expired = sum(report.expired or 0 for report in found)
        still = sum(report.rows for report in found) - answered - expired
        counts = {"answered": answered, "expired": expired, "open": still}
    return Total(
        **counts,
        rows=sum(report.rows for report in found),
        late=sum(report.late for report in found),
        rejected=sum(report.rejected for report in found),
        labelled=pooled.labelled,
        mae=pooled.mae,
        baseline_mae=pooled.baseline_mae,
        skill=pooled.skill,
        rmse=pooled.rmse,
        r2=pooled.r2,
        skill_best=pooled.skill_best,
        newest=pool_newest(found),
    )


def alerts(folder: RunFolder, most: int) -> tuple[list[Alert], int]:
    """The newest alerts of a run, newest first, and how many refreshes have any.

    Args:
        folder: the run's.
        most: maximum number.

    Raises:
        UserError: if a file holds no alerts.
    """
    names = folder.alerted()
    found: list[Alert] = []
    for name in reversed(names):
        try:
            found += folder.read_alerts(name)
        except ValidationError as error:
            raise UserError(f"{folder.alerts}: {name} holds no alerts: {explain(error)}") from error
        if len(found) >= most:
            break
    return found[:most], len(names)


def skips(folder: RunFolder) -> list[Skipped]:
    """The windows of a run that made no model, newest first.

    Raises:
        UserError: if a file is not as a run writes it.
    """
    try:
        return folder.skips()[::-1]
    except ValidationError as error:
        raise UserError(f"{folder.skipped}: holds what is not a skip: {explain(error)}") from error
