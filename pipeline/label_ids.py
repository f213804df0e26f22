"""Do the ids of a stream of labels match those of its questions? By the first rows of both.

Ids are compared as text, so "0042" is no answer to 42. Whoever has most labels without a question
wants to know whether the ids are spelled otherwise, are others, or the times do not fit.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.asof import format_iso
from model.batch import KEY, SECOND, Key, Tag, event_times, with_tag
from model.cohorts import Clock
from model.errors import UserError
from model.label_stream import LabelSchema
from model.labels import Ints
from model.runs import RunFolder
from model.schema import Schema
from model.validation import show_value, validate
from model.wording import format_count, format_duration
from reading import Plan
from reading.plans import read
from transforms.sources.files import FileReader

ROWS = 10_000
"""Maximum number of first rows that are looked at."""
HALF = 0.5
"""A greater share of labels without a question is shown with a hint."""
ZEROS = re.compile(r"(?<![0-9.])0+(?=[0-9])")
FRACTION = re.compile(r"(?<=[0-9])\.0+$")


class FirstRows(NamedTuple):
    """The ids and times of the first rows of a stream.

    Attributes:
        ids: as text.
        times: microseconds.
    """

    ids: list[str]
    times: Ints

    @classmethod
    def none(cls) -> FirstRows:
        """No rows."""
        return cls([], np.zeros(0, np.int64))

    def add(self, raw: pa.RecordBatch, schema: Schema) -> FirstRows:
        """With those rows of a raw batch that fit a schema, and have an id."""
        rows, _ = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "", 0)), schema)
        rows = rows.filter(rows.column(KEY).is_valid())
        ids = rows.column(KEY).cast(pa.string()).to_pylist()
        return FirstRows([*self.ids, *ids], np.concatenate([self.times, event_times(rows)]))


class SeenIds(NamedTuple):
    """The first rows of questions and labels."""

    questions: FirstRows
    labels: FirstRows


def read_ids(questions: Plan, labels: Plan, schema: Schema) -> SeenIds:
    """The ids of the first rows of both.

    Args:
        questions: the plan of their files.
        labels: the plan of theirs.
        schema: of the questions, with ``labels``.
    """
    return SeenIds(_first_rows(questions, schema), _first_rows(labels, LabelSchema.of(schema)))


def ids_of_source(source: object, schema: Schema) -> SeenIds | None:
    """The ids of the first rows of a source of files; None of another.

    Args:
        source: of the questions, which has that of the labels.
        schema: of the questions, with ``labels``.
    """
    questions = getattr(source, "reader", None)
    labels = getattr(getattr(source, "labels", None), "reader", None)
    if not isinstance(questions, FileReader) or not isinstance(labels, FileReader):
        return None
    return read_ids(questions.plan, labels.plan, schema)


def _first_rows(plan: Plan, schema: Schema) -> FirstRows:
    found = FirstRows.none()
    for chunk in plan.chunks:
        for batch in read(plan.files[chunk.file], chunk, schema, ROWS):
            found = found.add(batch.slice(0, ROWS - len(found.ids)), schema)
            if len(found.ids) >= ROWS:
                return found
    return found


def simplify_id(text: str) -> str:
    """An id without what people and programs spell in more than one way.

    Example:
        >>> simplify_id(" UA 0042"), simplify_id("ua42"), simplify_id("42.0"), simplify_id("0")
        ('ua42', 'ua42', '42', '0')
    """
    text = "".join(unicodedata.normalize("NFKC", text).split()).casefold()
    return ZEROS.sub("", FRACTION.sub("", text))


class _Untimely(NamedTuple):
    """Labels whose ids are there, and whose times do not fit.

    Attributes:
        labels: how many were looked at.
        early: more than a refresh before their question: id, time, and when that is asked.
        over: the same, of those after the wait of their question.
    """

    labels: int
    early: list[tuple[str, int, int]]
    over: list[tuple[str, int, int]]

    @classmethod
    def of(cls, seen: SeenIds, clock: Clock) -> _Untimely:
        """Those of first rows."""
        asked: dict[str, list[int]] = {}
        for key, time in sorted(
            zip(seen.questions.ids, seen.questions.times.tolist(), strict=True)
        ):
            asked.setdefault(key, []).append(time)
        early, over = [], []
        for key, time in zip(seen.labels.ids, seen.labels.times.tolist(), strict=True):
            times = asked.get(key, [time])
            before = bisect_right(times, time)
            if not before and time < times[0] - clock.every:
                early.append((key, time, times[0]))
            elif before and time > times[before - 1] + clock.wait:
                over.append((key, time, times[before - 1]))
        return cls(len(seen.labels.ids), early, over)

    def describe_early(self) -> str:
        """What is wrong with the early ones."""
        return (
            f"{len(self.early):,} of the first {self.labels:,} labels are known more than a "
            f"refresh before their question is asked, {_show_times(self.early)}: they are orphans; "
            "is time in [labels] when the answer is known, in the questions' time zone?"
        )

    def describe_over(self, clock: Clock) -> str:
        """What is wrong with those after the wait."""
        wait = format_duration(clock.wait // SECOND)
        return (
            f"{len(self.over):,} of the first {self.labels:,} labels are known after the wait of "
            f"their question ({wait}), {_show_times(self.over)}: nothing is learned from them; is "
            "wait long enough, and time in [labels] in the questions' time zone?"
        )


def _show_times(found: list[tuple[str, int, int]]) -> str:
    key, time, asked = found[0]
    return f"as {show_value(key)}: {format_iso(time)}, asked {format_iso(asked)}"


def describe_mismatch(seen: SeenIds, clock: Clock) -> str:
    """Why labels may have no question, by the first rows of both.

    Args:
        seen: the first rows of both.
        clock: when questions can be answered.

    Example:
        >>> times, clock = np.zeros(1, np.int64), Clock(60 * SECOND, 60 * SECOND)
        >>> seen = SeenIds(FirstRows(["42"], times), FirstRows(["0042"], times))
        >>> describe_mismatch(seen, clock)
        "ids are compared as text, and a label has '0042' where a question has '42': write both alike"
    """  # noqa: E501
    asked = dict.fromkeys(seen.questions.ids)
    strange = [one for one in seen.labels.ids if one not in asked]
    by_form = {simplify_id(one): one for one in reversed(asked)}
    for one in strange:
        if simplify_id(one) in by_form:
            like = show_value(by_form[simplify_id(one)])
            return (
                f"ids are compared as text, and a label has {show_value(one)} where a question has "
                f"{like}: write both alike"
            )
    if 2 * len(strange) <= len(seen.labels.ids):
        untimely = _Untimely.of(seen, clock)
        if len(untimely.early) > len(untimely.over):
            return untimely.describe_early()
        if untimely.over:
            return untimely.describe_over(clock)
        return "their ids are there, so compare the times of labels and questions, and wait"
    labels, questions = len(seen.labels.ids), len(seen.questions.ids)
    line = f"{len(strange):,} of the first {labels:,} labels have an id"
    line += f" that none of the first {questions:,} questions has"
    if strange and asked:
        line += f", as {show_value(strange[0])}; a question has {show_value(next(iter(asked)))}"
    return line + ": compare id in [labels] with that of the questions"


def describe_orphans(
    orphans: int, labels: int, seen: SeenIds | None, clock: Clock
) -> Iterator[str]:
    """The lines on labels most of which are of no question; none of others.

    Args:
        orphans: how many are.
        labels: all that were accepted.
        seen: the first rows of both; None: not known.
        clock: when questions can be answered.

    Example:
        >>> clock = Clock(60 * SECOND, 60 * SECOND)
        >>> list(describe_orphans(400, 600, None, clock))
        ['warning: 400 of 600 labels (67%) are orphans, of no question: compare id and time in [labels] with those of the questions']
        >>> list(describe_orphans(300, 600, None, clock))
        []
    """  # noqa: E501
    if not _are_most(orphans, labels):
        return
    rows = f"{orphans:,} of {format_count(labels, 'label')} ({orphans / labels:.0%})"
    hint = "compare id and time in [labels] with those of the questions"
    if seen is not None:
        hint = describe_mismatch(seen, clock)
    yield f"warning: {rows} are orphans, of no question: {hint}"


def _are_most(orphans: int, labels: int) -> bool:
    return orphans > HALF * labels


def explain_orphans(
    folder: RunFolder, source: object, schema: Schema, clock: Clock | None
) -> list[str]:
    """The lines on the labels of a run that has ended, most of which are of no question.

    Args:
        folder: the run's.
        source: of its questions and labels, whose first rows are read again.
        schema: of the questions.
        clock: when they can be answered; None without labels that come later.
    """
    if clock is None:
        return []
    counts = folder.count_labels()
    # neither those that are rejected, nor those of which it is not certain yet
    left_out = counts.get("labels_rejected", 0) + counts.get("labels_open", 0)
    labels = counts.get("labels_read", 0) - left_out
    orphans = counts.get("orphans", 0)
    if not _are_most(orphans, labels):
        return []
    seen = None
    with suppress(UserError, OSError, ValueError):  # a file has changed meanwhile
        seen = ids_of_source(source, schema)
    return list(describe_orphans(orphans, labels, seen, clock))


def warn_of_ids(seen: SeenIds, clock: Clock) -> Iterator[str]:
    """Warnings of labels most of whose first rows match no question; of early and late ones.

    Args:
        seen: the first rows of both.
        clock: when questions can be answered.
    """
    asked = set(seen.questions.ids)
    known = sum(key in asked for key in seen.labels.ids)
    if 2 * known < len(seen.labels.ids):
        yield f"warning: --labels: {describe_mismatch(seen, clock)}"
    untimely = _Untimely.of(seen, clock)
    if untimely.early:
        yield f"warning: --labels: {untimely.describe_early()}"
    if 2 * len(untimely.over) > known:  # some come after the wait of any stream
        yield f"warning: --labels: {untimely.describe_over(clock)}"
