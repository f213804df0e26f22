"""Cohorts: the figures of the questions of a refresh, whenever their labels came.

The figures of a report are of the labels that became known in its refresh; those of a cohort are
of the questions that were asked in it. A cohort is final when its last question's wait is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from model.answers import Outcome
from model.asof import floor_to, format_iso, format_name
from model.batch import Key
from model.labels import LabelCounts, LabelDelay
from model.metrics import compute_errors, merge


class Cohort(BaseModel):
    """The fields of ``cohorts/<refresh start>.json``, a contract.

    Questions = answered + expired + open.

    Attributes:
        rows: questions asked in the refresh.
        answered: of these, those whose label came within the wait.
        expired: those whose wait was over without a label.
        open: those that were still to be answered when the stream ended; 0 if ``final``.
        labelled: of the answered, those that a model scored; the figures of error are of these.
        model: the name of the artefact that scored the refresh.
        delay: from questions to labels; null without a label.
        final: whether no question of it can be answered any more.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    format: Literal[1] = 1
    refresh_start: str
    refresh_end: str
    model: str | None
    rows: int
    answered: int
    expired: int
    open: int
    labelled: int
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    baseline_mae: float | None = None
    skill: float | None = None
    delay: LabelDelay | None
    final: bool

    @model_serializer(mode="wrap")
    def _leave_out_others(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out the figures of the other task; those of classification are extra fields."""
        given = {"format", *self.model_fields_set}
        return {name: value for name, value in serialize(self).items() if name in given}

    @property
    def classifies(self) -> bool:
        """Whether its figures are those of classes."""
        return "log_loss" in (self.model_extra or {})

    @property
    def error(self) -> float | None:
        """The mean absolute error, of classes the log loss; null without a labelled row."""
        found: float | None = getattr(self, "log_loss") if self.classifies else self.mae  # noqa: B009
        return found

    @property
    def baseline_error(self) -> float | None:
        """The same of the baseline ``mean``, of classes of the class shares."""
        name = "baseline_log_loss" if self.classifies else "baseline_mae"
        found: float | None = getattr(self, name, None)
        return found

    def as_json(self) -> bytes:
        """The cohort file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


class CohortPart(NamedTuple):
    """A batch's part in its cohort.

    Attributes:
        key: the batch's.
        rows: its questions.
        model: the name of the artefact that scored them, or "".
        outcomes: what becomes of them, one refresh after another.
    """

    key: Key
    rows: int
    model: str
    outcomes: tuple[Outcome, ...]


class Clock(NamedTuple):
    """When the questions of a refresh can be answered; microseconds.

    Attributes:
        every: a refresh's length.
        wait: how long a question stays open.
        offset: how long behind multiples of ``every`` refreshes begin.

    Example:
        >>> clock = Clock(every=60, wait=90)
        >>> clock.final_at(0), clock.start_of(120)
        (120, 0)
    """

    every: int
    wait: int
    offset: int = 0

    def refresh_of(self, time: int) -> int:
        """The start of the refresh in which a time lies."""
        return floor_to(time, self.every, self.offset)

    def final_at(self, start: int) -> int:
        """The start of the refresh in which a cohort is final: it holds the cohort's end + wait.

        Args:
            start: the start of the refresh in which the questions were asked.
        """
        return start + self.every + floor_to(self.wait, self.every)

    def start_of(self, final: int) -> int:
        """The start of the cohort that is final in a refresh: the inverse of ``final_at``.

        No earlier question is needed to report that refresh.
        """
        return final - self.every - floor_to(self.wait, self.every)


def merge_cohort(
    parts: Iterable[CohortPart], start: int, clock: Clock, end: int | None = None
) -> Cohort:
    """A cohort's figures.

    Args:
        parts: of all its batches, in any order; each batch once.
        start: of the refresh in which the questions were asked, microseconds.
        clock: when they can be answered.
        end: where the stream ends, microseconds: what would happen from there on is still open.
            None: it does not, as far as this cohort goes.
    """
    ordered = sorted(parts, key=lambda part: part.key)
    figures = (each.sums.figures for part in ordered for each in part.outcomes)
    task = next((each.task for each in figures if each is not None), "regression")
    merged = merge(
        outcome.sums
        for part in ordered
        for outcome in part.outcomes
        if end is None or outcome.refresh + clock.every <= end
    )
    labels = merged.labels or LabelCounts()
    rows = sum(part.rows for part in ordered)
    models = {part.model for part in ordered if part.model}
    if len(models) > 1:
        raise ValueError(f"two models in one refresh: {sorted(models)}")
    return Cohort(
        refresh_start=format_iso(start),
        refresh_end=format_iso(start + clock.every),
        model=next(iter(models), None),
        rows=rows,
        answered=labels.answered,
        expired=labels.expired,
        open=rows - labels.answered - labels.expired,
        **{"labelled": merged.labelled, **compute_errors(merged, task)},
        delay=labels.delays.summary(),
        final=end is None or clock.final_at(start) + clock.every <= end,
    )


def file_name(start: int) -> str:
    """The name of a cohort's file.

    Example:
        >>> file_name(1_795_417_260_000_000)
        '20261123T070100Z.json'
    """
    return f"{format_name(start)}.json"
