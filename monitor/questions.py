"""The view by question: what became so far of the questions of each refresh, from a run's files.

Where labels have a time of their own, ``metrics/`` has figures *by label*: of those that became
known in a refresh. ``cohorts/`` has them *by question*: of the questions that were asked in it. A
cohort is written when no question of it can be answered any more. Until then the rows of its
report, and the times in ``outcomes/``, show how many of its questions are open.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from model import files
from model.asof import EPOCH, format_name, parse_iso, parse_name
from model.batch import SECOND, to_micros
from model.cohorts import Clock, Cohort
from model.metrics import Metrics
from model.runs import RunFolder
from model.wording import format_count, format_duration
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
    def mae(self) -> float | None:
        """The mean absolute error of its answered questions, once it is final."""
        return None if self.cohort is None or not self.cohort.final else self.cohort.mae


class Reported(NamedTuple):
    """Of a report what shows how many questions are open.

    Attributes:
        start: of its refresh, ISO 8601.
        rows: questions that were asked in it.
        answered: labels that became known in it.
        files: that belong to it, by their paths in the run's folder.
    """

    start: str
    rows: int
    answered: int
    files: Iterable[str]

    @property
    def micros(self) -> int:
        """Its refresh's start, microseconds."""
        return (parse_iso(self.start) - EPOCH) // timedelta(microseconds=1)


def follow_reports(reports: Iterable[Metrics]) -> Iterator[Reported]:
    """What of reports shows how many questions are open."""
    for report in reports:
        known = report.answered or 0, report.files or ()
        yield Reported(report.refresh_start, report.rows, *known)


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
        damaged: why files of outcomes cannot be read, by their paths; they count as no answers.
    """

    def __init__(self, folder: RunFolder, clock: Clock, keep: int) -> None:
        self.cohorts = NewestFiles(folder.cohorts, "json", Cohort.model_validate_json, keep)
        self.damaged: dict[str, str] = {}
        self._folder, self._clock = folder, clock
        self._asked: dict[int, int] = {}
        self._answered: Counter[int] = Counter()
        self._counted = True

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
        final = self._final_before()
        for report in found:
            if report.micros < final:
                continue  # whatever was asked by then is final, too
            paths = [path for path in report.files if path.startswith("outcomes/")]
            self._counted &= bool(paths) or not report.answered
            for path in paths:
                self._count(path)
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

    def _count(self, path: str) -> None:
        """Counts the answers in a file of outcomes by the refreshes of their questions."""
        try:
            data = files.read_whole(files.join(self._folder.path, path))
            times = pq.read_table(io.BytesIO(data), columns=["time"]).column("time")
            micros = to_micros(times.combine_chunks().cast(pa.timestamp("us", "UTC")))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            if not isinstance(error, FileNotFoundError):  # it may have been pruned
                self.damaged[path] = f"cannot be read: {error}"
            self._counted = False
            return
        every, _, offset = self._clock
        self._answered.update(((micros - offset) // every * every + offset).tolist())

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

    def open(self) -> OpenQuestions | None:
        """The refreshes some of whose questions are open; None without any, or if unknown."""
        found = {start: self.of(format_name(start)).open for start in sorted(self._asked)}
        still = {start: number for start, number in found.items() if number}
        if not still:
            return None
        oldest = min(still)
        age = (max(self._asked) + self._clock.every - oldest) // SECOND
        asked = sum(self._asked[start] for start in still)
        return OpenQuestions(sum(still.values()), asked, len(still), format_name(oldest), age)
