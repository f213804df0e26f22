"""Alerts: what of a refresh's figures is news, and since when.

They are a pure function of the reports (``model.memory``): a resumed run decides the same. What has
changed in a refresh stands in ``model.changes``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model.asof import format_iso
from model.changes import AlertRules, Change, What, find_changes, find_figure
from model.display import DISPLAY
from model.memory import NOTHING, Memory, join, remember
from model.metrics import Metrics
from model.surprise import READY

State = Literal["new", "on", "over"]
ALSO = 4
"""Maximum number of further columns that the line of a refresh names."""


class Alert(BaseModel):
    """Something that has changed; a line of ``alerts/<refresh start>.ndjson``, a contract.

    Attributes:
        refresh_start: the refresh, ISO 8601.
        model: the name of the artefact that served.
        what: the figure, or the change that explains it.
        column: the feature, ``prediction`` (see ``name_prediction``), or the target.
        value: the figure; of a change of unit the factor.
        threshold: what it exceeds.
        since: the first refresh of the alert, ISO 8601.
        state: new, on (as in the refresh before), or over.
        usual: what the figure was before.
        explains: the share of the error's variance over the last day of refreshes that goes with
            this figure; null if it is not known.
        predicted: of ``share`` the class that is predicted more often, or less often; else absent.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    refresh_start: str
    model: str | None
    what: What
    column: str
    value: float
    threshold: float
    since: str | None = None
    state: State | None = None
    usual: float | None = None
    explains: float | None = None
    predicted: str | None = None

    @property
    def subject(self) -> str:
        """The column, with the class whose predicted share has changed."""
        return self.column if self.predicted is None else f"{self.column} {self.predicted!r}"

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Alerts of older versions have the first seven fields alone."""
        written: dict[str, object] = serialize(self)
        if self.predicted is None:
            del written["predicted"]
        if self.state is None:
            for name in ("since", "state", "usual", "explains"):
                del written[name]
        return written

    def __str__(self) -> str:
        title = DISPLAY["alerts"][self.what]
        figures = f"{title} {self.value:.3g}, allowed {self.threshold:.3g}"
        if self.usual is not None:
            figures = f"{title} {self.value:.3g}, usually {self.usual:.3g}"
        state = "" if self.state in (None, "new") else f", {self.state} since {self.since}"
        return f"{self.refresh_start} {self.subject}: {figures}{state} (model {self.model})"


def find_alerts(memory: Memory, model: str | None, rules: AlertRules) -> list[Alert]:
    """The alerts of a refresh, those of the error first, then by what they explain of it.

    Args:
        memory: of the refresh, which is the last one in it, and those before.
        model: the name of the artefact that served in it.
        rules: what is an alert.
    """
    if rules.run_length is None or len(memory.starts) < READY:
        return []
    last = len(memory.starts) - 1
    changes = [find_changes(memory, last, rules), find_changes(memory, last - 1, rules)]
    now, before = changes
    place = last - 1
    firsts: dict[str, int] = {column: last for column in now}
    open_ended = {column for column in {*now, *before} if column in before}
    while open_ended:  # how long has it been so?
        for column in open_ended:
            firsts[column] = place
        place -= 1
        open_ended &= set(find_changes(memory, place, rules)) if place >= 0 else set()
    start = format_iso(int(memory.starts[-1]))
    alerts = []
    for column, change in {**before, **now}.items():
        state: State = "over" if column not in now else "on" if column in before else "new"
        if state == "over":
            change = _now_of(memory, column, change)
        alerts.append(
            Alert(
                refresh_start=start,
                model=model,
                what=change.what,
                column=column,
                value=change.value,
                threshold=change.threshold,
                since=format_iso(int(memory.starts[firsts[column]])),
                state=state,
                usual=change.usual,
                explains=change.explains,
                predicted=change.predicted,
            )
        )
    sizes = {column: change.size for column, change in {**before, **now}.items()}
    return sorted(alerts, key=lambda one: _rank(one, rules.target, sizes[one.column]))


def _rank(alert: Alert, target: str, size: float) -> tuple[bool, bool, float, float]:
    return (
        alert.state == "over",
        alert.column != target,
        -(alert.explains or 0.0),
        -size,
    )


def _now_of(memory: Memory, column: str, change: Change) -> Change:
    """A change that is over, with the newest value of its figure."""
    figure = find_figure(change)
    if figure is None:
        return change
    where, what = figure
    value = float(memory.of(column if where else "", what)[-1])
    return change._replace(value=value) if np.isfinite(value) else change


def replay_alerts(reports: Iterable[Metrics], rules: AlertRules) -> Iterator[Alert]:
    """The alerts of refreshes, from their reports in order."""
    memory = NOTHING
    for metrics in reports:
        memory = join([memory, remember(metrics)])
        memory = memory.until(len(memory.starts) - 1, rules.remembered, rules.every)
        yield from find_alerts(memory, metrics.model, rules)


def describe_alerts(found: Sequence[Alert]) -> str:
    """The alerts of a refresh in one line: the first one, and the columns of the others.

    Example:
        >>> figures = {"model": "m", "value": 2.0, "threshold": 0.5, "refresh_start": "r"}
        >>> first = Alert(what="error", column="y", state="new", usual=1.0, **figures)
        >>> others = [Alert(what="nulls", column=c, state="on", **figures) for c in "xz"]
        >>> print(describe_alerts([first, *others]))
        r y: error 2, usually 1 (model m); also x (share of nulls), z (share of nulls)
    """
    first, *others = found
    shown = [f"{one.subject} ({DISPLAY['alerts'][one.what]})" for one in others[:ALSO]]
    more = len(others) - len(shown)
    also = ", ".join([*shown, *([f"{more:,} more"] if more else [])])
    return f"{first}; also {also}" if also else str(first)


def as_ndjson(found: Iterable[Alert]) -> bytes:
    """Alerts as NDJSON, a line each: the bytes of their file."""
    return "".join(alert.model_dump_json() + "\n" for alert in found).encode()


def from_ndjson(data: bytes) -> list[Alert]:
    """The alerts of a file that ``as_ndjson`` made.

    Raises:
        pydantic.ValidationError: if a line is not an alert.
    """
    return [Alert.model_validate_json(line) for line in data.splitlines()]
