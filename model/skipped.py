"""Windows whose model does not serve: why, as the run's folder keeps it.

A window of too few labelled rows, or one whose fit failed, makes no model; another's is refused by
the gate (``model.gate``). The newest older model goes on serving in its place. Like everything
that a run writes, a skip follows from the data and the settings alone, so a retry and a resumed run
write the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from model.asof import format_iso
from model.errors import FitFailed, OneClass
from model.manifest import ClassTrial, Gate, Trial
from model.wording import format_count

FEWEST, ENOUGH = 10, 20
"""Bounds of the default of ``--min-rows``: fewer labelled rows never make a model by themselves,
and more are never asked for."""
LONGEST = 300
"""Maximum number of characters of a reason."""
# Addresses differ from process to process; what a retry writes must not.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

Kind = Literal["few_rows", "one_class", "fit_failed", "refused"]


class Skipped(BaseModel):
    """A window whose model does not serve: ``skipped/<window end>.json``; a contract.

    Attributes:
        window_start, window_end: its bounds, ISO 8601.
        rows: its labelled rows.
        kind: ``few_rows``, ``one_class``, ``fit_failed`` or ``refused``.
        reason: one line.
        trial: what the gate has found, if it refused the model after a trial.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    window_start: str
    window_end: str
    rows: int
    kind: Kind
    reason: str
    trial: Trial | ClassTrial | None = None

    @model_serializer(mode="wrap")
    def _leave_out_trial(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if self.trial is None:
            del written["trial"]
        return written

    @property
    def name(self) -> str:
        """What its file is called: the window's end, as a model's folder."""
        return self.window_end.replace("-", "").replace(":", "")

    def as_json(self) -> bytes:
        """The file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def few_rows(start: int, end: int, rows: int, least: int) -> Skipped:
    """The skip of a window (microseconds) that has fewer labelled rows than are needed.

    Example:
        >>> few_rows(0, 60_000_000, 1, 10).reason
        '1 labelled row, where --min-rows is 10'
    """
    reason = f"{format_count(rows, 'labelled row')}, where --min-rows is {least:,}"
    return _make_skipped(start, end, rows, "few_rows", reason)


def fit_failed(start: int, end: int, rows: int, error: FitFailed) -> Skipped:
    """The skip of a window (microseconds) whose fit failed, or had one class alone."""
    kind: Kind = "one_class" if isinstance(error, OneClass) else "fit_failed"
    return _make_skipped(start, end, rows, kind, one_line(str(error)))


def refused(start: int, end: int, rows: int, gate: Gate) -> Skipped:
    """The skip of a window (microseconds) whose model the gate has refused."""
    made = _make_skipped(start, end, rows, "refused", one_line(gate.reason or ""))
    return made.model_copy(update={"trial": gate.trial})


def _make_skipped(start: int, end: int, rows: int, kind: Kind, reason: str) -> Skipped:
    return Skipped(
        window_start=format_iso(start),
        window_end=format_iso(end),
        rows=rows,
        kind=kind,
        reason=reason,
    )


def one_line(text: str) -> str:
    r"""A message as one line of at most ``LONGEST`` characters, the same in every process.

    Addresses in memory, which a message may hold, are cut out.

    Example:
        >>> one_line("bad input:\n <Model object at 0x7f12ab> has no rows")
        'bad input: <Model object> has no rows'
    """
    line = " ".join(_ADDRESS.sub("", text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def summarize(skips: Sequence[Skipped], where: str) -> Iterator[str]:
    """The summary of skipped windows for the end of a run, a line for each kind.

    Args:
        skips: all of them, oldest first.
        where: the folder in which they are.

    Example:
        >>> next(summarize([few_rows(0, 60_000_000, 3, 10)], "runs/a/skipped"))
        '1 window with too few labelled rows made no model (runs/a/skipped)'
    """
    titles = {
        "few_rows": "with too few labelled rows",
        "one_class": "with rows of one class",
        "fit_failed": "whose fit failed",
    }
    for kind, title in titles.items():
        found = [one for one in skips if one.kind == kind]
        if found:
            windows = format_count(len(found), "window")
            reason = "" if kind == "few_rows" else f": {found[-1].reason}"
            yield f"{windows} {title} made no model{reason} ({where})"
    found = [one for one in skips if one.kind == "refused"]
    if found:
        models = format_count(len(found), "model")
        why = "an older accepted one serves instead, if there is one (--gate none: no gate)"
        yield f"{models} refused by the gate; {why}: {found[-1].reason} ({where})"


def default_min_rows(features: int) -> int:
    """The default of ``--min-rows``: two rows a feature of the schema and two more, within bounds.

    So 10 rows are needed for up to four features, and 20 for nine or more: a day of hourly rows
    makes a model, whatever the schema, and a single row never does.

    Args:
        features: how many columns of the schema a model learns from.

    Example:
        >>> [default_min_rows(features) for features in (1, 4, 6, 9, 200)]
        [10, 10, 14, 20, 20]
    """
    return max(FEWEST, min(ENOUGH, 2 * (features + 1)))
