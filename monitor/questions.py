"""The view by question: what became so far of the questions of each refresh, from a run's files.

Where labels have a time of their own, ``metrics/`` has figures *by label*: of those that became
known in a refresh. ``cohorts/`` has them *by question*: of the questions that were asked in it. A
cohort is written when no question of it can be answered any more. Until then the rows of its
report, and the times in ``outcomes/``, show how many of its questions are open.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.asof import format_iso, format_name, from_datetime, parse_iso, parse_name
from model.batch import SECOND, to_micros
from model.cohorts import Clock, Cohort
from model.labels import Delays
from model.metrics import Metrics
from model.runs import RunFolder
from model.wording import format_count, format_duration
from monitor.labels import TITLES, LabelFigures
from monitor.newest import NewestFiles


class ByQuestion(NamedTuple):
    """A refresh by its questions.

    Attributes:
        open: how many of them have no answer so far; None if that cannot be known. Until the
            refresh is final those that have expired already are among them.
        cohort: their figures, once no question can be answered any more; None before.
    """

    open: int | None
    cohort: Cohort | None = None

    @property
    def error(self) -> float | None:
        """The error of its answered questions, of classes the log loss, once it is final."""
        return None if self.cohort is None or not self.cohort.final else self.cohort.error


class Reported(NamedTuple):
    """Of a report what shows how many questions are open.

    Attributes:
        start: of its refresh, ISO 8601.
        rows: questions that were asked in it.
        answered: labels that became known in it.
        files: that belong to it, by their paths in the run's folder.
        counts: of questions and labels (``labels.TITLES``), those that it has.
    """

    start: str
    rows: int
    answered: int
    files: Iterable[str]
    counts: Mapping[str, int] = MappingProxyType({})

    @property
    def micros(self) -> int:
        """Its refresh's start, microseconds."""
        return from_datetime(parse_iso(self.start))


def follow_reports(reports: Iterable[Metrics]) -> Iterator[Reported]:
    """What of reports shows how many questions are open."""
    for report in reports:
        given = ((name, getattr(report, name, None)) for name in TITLES)
        counts = {name: count for name, count in given if count is not None}
        known = report.answered or 0, report.files or ()
        yield Reported(report.refresh_start, report.rows, *known, counts)


class OpenQuestions(NamedTuple):
    """The refreshes some of whose questions are open.

    Attributes:
        open: questions without an answer so far, in all of them.
        asked: all their questions.
        refreshes: how many they are.
        oldest: the name of the oldest.
        age: from its start to the end of the newest refresh, seconds: no open question is older.
    """

    open: int
    asked: int
    refreshes: int
    oldest: str
    age: int

    def line(self) -> str:
        """A summary of them in one line.

        Example:
            >>> OpenQuestions(12, 300, 3, "20260101T000000Z", 180).line()
            'open: 12 of the 300 questions of the newest 3 refreshes, for 3 minutes at most'
        """
        newest = f"the newest {format_count(self.refreshes, 'refresh')}"
        if self.refreshes == 1:
            newest = "the newest refresh"
        return (
            f"open: {self.open:,} of the {format_count(self.asked, 'question')} of {newest}, for "
            f"{format_duration(self.age)} at most"
        )


class QuestionFollower:
    """Follows what becomes of a run's questions, by its reports, outcomes and cohorts.

    Args:
        folder: the run's.
        clock: when questions can be answered.
        keep: maximum number of cohorts at hand, the newest.

    Attributes:
        cohorts: those that are written.
        counts: of questions and labels in all refreshes that were looked at.
        damaged: why files of outcomes cannot be read, by their paths; they count as no answers.
    """

    def __init__(self, folder: RunFolder, clock: Clock, keep: int) -> None:
        self.cohorts = NewestFiles(folder.cohorts, "json", Cohort.model_validate_json, keep)
        self.counts: Counter[str] = Counter()
        self.damaged: dict[str, str] = {}
        self._folder, self._clock = folder, clock
        self._asked: dict[int, int] = {}
        self._answered: Counter[int] = Counter()
        self._delays: dict[int, Delays] = {}
        self._counted = True
        self._refreshes = 0

    def look(self, new: Iterable[Reported]) -> dict[str, Cohort]:
        """Reads what is new.

        Args:
            new: the new reports, oldest first.

        Returns:
            New cohorts by the names of their refreshes, oldest first.

        Raises:
            OSError: if the folder cannot be listed.
        """
        found = list(new)
        self._asked |= {report.micros: report.rows for report in found}
        self._refreshes += len(found)
        final = self._final_before()
        for report in found:
            self.counts.update(report.counts)
            if report.micros < final:
                continue  # whatever was asked by then is final, too
            paths = [path for path in report.files if path.startswith("outcomes/")]
            self._counted &= bool(paths) or not report.answered
            for path in paths:
                self._count(path, report.micros)
        self._delays = {start: each for start, each in self._delays.items() if start >= final}
        for start in [start for start in self._asked if start < final]:
            del self._asked[start]
            self._answered.pop(start, None)
        if found:  # a run that goes on makes those final that were open where it had ended
            kept = self.cohorts.kept.items()
            self.cohorts.read_again(name for name, cohort in kept if not cohort.final)
        return self.cohorts.look()

    def _final_before(self) -> int:
        """Refreshes that start before it are final: their waits are over."""
        if not self._asked:
            return -(2**63)
        return self._clock.start_of(max(self._asked)) + self._clock.every

    def _count(self, path: str, refresh: int) -> None:
        """Counts the answers in a file of outcomes by the refreshes of their questions.

        Args:
            path: the file's, in the run's folder.
            refresh: the start of the refresh in which they came.
        """
        try:
            data = files.read_whole(files.join(self._folder.path, path))
            table = pq.read_table(io.BytesIO(data), columns=["time", "label_time"])
            micros, known = map(_read_micros, table.columns)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            if not isinstance(error, FileNotFoundError):  # it may have been pruned
                self.damaged[path] = f"cannot be read: {error}"
            self._counted = False
            return
        delays = Delays.of(known - micros)
        self._delays[refresh] = self._delays.get(refresh, Delays()).merge(delays)
        every, _, offset = self._clock
        self._answered.update(((micros - offset) // every * every + offset).tolist())

    @property
    def figures(self) -> LabelFigures:
        """What came of questions and labels in all refreshes that were looked at."""
        delays = Delays()
        for each in self._delays.values():
            delays = delays.merge(each)
        counts = {name: self.counts[name] for name in TITLES if name in self.counts}
        return LabelFigures(self._refreshes, counts, delays.summary())

    def describe(self) -> list[str]:
        """What is open, what came, and how late: a line each."""
        still = self.open()
        return [*([] if still is None else [still.line()]), *self.figures.lines()]

    def of(self, name: str) -> ByQuestion:
        """A refresh by its questions.

        Args:
            name: the refresh's.
        """
        cohort = self.cohorts.kept.get(name)
        if cohort is not None:
            return ByQuestion(cohort.open, cohort)
        start = parse_name(name)
        if start in self._asked and self._counted:
            return ByQuestion(self._asked[start] - self._answered[start])
        return ByQuestion(None)

    def open_by_refresh(self) -> dict[str, int]:
        """How many questions are open, by the start of their refresh, ISO 8601; none of others."""
        return {format_iso(start): number for start, number in self._open().items()}

    def _open(self) -> dict[int, int]:
        found = {start: self.of(format_name(start)).open for start in sorted(self._asked)}
        return {start: number for start, number in found.items() if number}

    def open(self) -> OpenQuestions | None:
        """The refreshes some of whose questions are open; None without any, or if unknown."""
        still = self._open()
        if not still:
            return None
        oldest = min(still)
        age = (max(self._asked) + self._clock.every - oldest) // SECOND
        asked = sum(self._asked[start] for start in still)
        return OpenQuestions(sum(still.values()), asked, len(still), format_name(oldest), age)


def _read_micros(times: pa.ChunkedArray) -> np.typing.NDArray[np.int64]:
    return to_micros(times.combine_chunks().cast(pa.timestamp("us", "UTC")))
