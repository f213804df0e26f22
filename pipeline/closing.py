"""The last lines of a run: what was read, what of it was rejected and why, where all of it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from rich.console import Console

from model import files
from model.errors import UserError
from model.label_stream import REJECTS
from model.manifest import describe_other
from model.runs import NAME, RunFolder
from model.schema import Schema
from model.skipped import summarize
from model.store import DamagedArtefact, Store
from model.wording import format_count
from monitor.labels import describe_labels
from monitor.report.rejects import MOST, RejectKind, count_reasons
from monitor.watch.figures import clean
from pipeline.progress import Progress

HALF = 0.5
"""A greater share of rejected rows is reported loudly, whatever ``--max-rejected`` is."""
REASONS = 3
"""Maximum number of reasons that are shown."""
LONGEST = 200
"""Maximum number of characters of an example."""


class Rejected(NamedTuple):
    """What of a run's rows, or of its labels, was rejected.

    Attributes:
        read: rows of the whole run.
        rejected: how many of them.
        reasons: the commonest, a line each with an example.
        noun: what they are called.
    """

    read: int
    rejected: int
    reasons: tuple[str, ...] = ()
    noun: str = "row"

    @property
    def share(self) -> float:
        """The share of the rows that was rejected."""
        return self.rejected / self.read if self.read else 0.0


def count_rejected(folder: RunFolder, progress: Progress, resumed: bool) -> Rejected:
    """What of a run's rows was rejected, and the commonest reasons.

    Args:
        folder: the run's.
        progress: its counts.
        resumed: whether an earlier run has read a part, which the reports alone count.
    """
    counts = progress.counts()
    read, rejected = counts.get("rows read", 0), counts.get("rows rejected", 0)
    if resumed:
        reports = folder.reports()
        rejected = sum(report.rejected for report in reports)
        read = sum(report.rows for report in reports) + rejected
    return Rejected(read, rejected, tuple(_reasons(folder, False)) if rejected else ())


def count_rejected_labels(folder: RunFolder) -> Rejected:
    """What of the labels of a run that has ended was rejected, if they are a stream of their own.

    Args:
        folder: the run's.
    """
    counts = folder.count_labels()
    rejected = counts.get("labels_rejected", 0)
    # of a run of an older version, in which labels were not counted as read, none is judged
    read = counts.get("labels_read", 0)
    return Rejected(read, rejected, tuple(_reasons(folder, True)) if rejected else (), "label")


def print_closing(
    folder: RunFolder,
    progress: Progress,
    out: Console,
    rejected: Rejected | None = None,
    labels: Rejected | None = None,
) -> None:
    """Prints what was done and where it is.

    Args:
        folder: the run's.
        progress: how it went.
        out: where to print.
        rejected: the rows that were rejected; None: as ``progress`` counts them.
        labels: the labels that were; None: no label was.
    """
    counts = progress.counts()
    read, count = counts.get("rows read", 0), counts.get("rows rejected", 0)
    line = f"{format_count(read, 'row')} read in {progress.seconds:.1f} s"
    if count:
        line += f", {count:,} of them rejected: see {folder.rejected}"
    out.print(line, soft_wrap=True)
    if rejected is not None and not _is_loud(rejected):
        for reason in rejected.reasons:
            out.print(reason, soft_wrap=True)
    questions = folder.count_questions()
    if questions is not None:
        out.print(questions.line(), soft_wrap=True)
    for line in describe_labels(folder.count_labels()):
        out.print(line, soft_wrap=True)
    if labels is not None and labels.rejected:
        files_of = files.join(folder.rejected, "*", f"{REJECTS}*.ndjson")
        count_of = format_count(labels.rejected, "rejected label")
        out.print(f"{count_of}: see {files_of}", soft_wrap=True)
        if not _is_loud(labels):
            for reason in labels.reasons:
                out.print(reason, soft_wrap=True)
    for line in _describe_other(folder):
        out.print(line, soft_wrap=True)
    skips = folder.skips()
    for line in summarize(skips, folder.skipped):
        out.print(line, soft_wrap=True)
    if not skips and _is_unlabelled(folder):
        out.print("no row had a target: nothing was learned", soft_wrap=True)
    out.print(f"run folder: {folder.path}", soft_wrap=True)


def _describe_other(folder: RunFolder) -> list[str]:
    """A line for each feature of the newest model many of whose values have no column."""
    store = Store(folder.models)
    with suppress(FileNotFoundError, DamagedArtefact):
        for newest in store.names()[-1:]:
            return describe_other(store.manifest(newest))
    return []


def rejection_lines(rejected: Rejected, most: float) -> Iterator[str]:
    """The lines that close a run of which too much was rejected; none of another.

    Args:
        rejected: what was rejected.
        most: ``--max-rejected``, the share beyond which a run fails.

    Example:
        >>> rejected = Rejected(600, 400, ("  400 rows: as in.csv:3: ...",))
        >>> for line in rejection_lines(rejected, most=0.5):
        ...     print(line)
        error: 400 of 600 rows (67%) were rejected, more than --max-rejected 0.5:
          400 rows: as in.csv:3: ...
    """
    if not _is_loud(rejected) and rejected.share <= most:
        return
    rows = f"{rejected.rejected:,} of {format_count(rejected.read, rejected.noun)}"
    line = f"{rows} ({rejected.share:.0%}) were rejected"
    if rejected.share > most:
        yield f"error: {line}, more than --max-rejected {most:g}:"
    else:
        yield f"warning: {line}, more than half; models and figures are of the others:"
    yield from rejected.reasons


def _is_unlabelled(folder: RunFolder) -> bool:
    """Whether a run read rows, and none that a model could learn from."""
    if files.list_files(folder.models, f"{NAME}/manifest.json"):
        return False
    reports = folder.reports()
    rows = sum(report.rows for report in reports)
    return rows > 0 and rows == sum(report.unlabelled for report in reports)


def _is_loud(rejected: Rejected) -> bool:
    return rejected.share > HALF


def _reasons(folder: RunFolder, labels: bool) -> Iterator[str]:
    try:
        schema = Schema.model_validate(folder.read_settings()["schema"])
        found, looked_at = count_reasons(folder, schema, labels)
    except (UserError, OSError, ValueError, KeyError):  # the folder was changed meanwhile
        return
    for kind in found[:REASONS]:
        yield _line(kind, "label" if labels else "row")
    if looked_at == MOST:
        yield f"  (of the newest {MOST:,} rejects)"


def _line(kind: RejectKind, noun: str) -> str:
    example = clean(kind.example)
    if len(example) > LONGEST:
        example = example[: LONGEST - 1] + "…"
    return f"  {format_count(kind.rows, noun)}: as {clean(kind.where)}: {example}"
