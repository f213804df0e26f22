"""Do the ids of a stream of labels match those of its questions? By the first rows of both.

Ids are compared as text, so "0042" is no answer to 42. Whoever has most labels without a question
wants to know whether the ids are spelled otherwise, are others, or the times do not fit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from model.asof import format_iso
from model.batch import KEY, Key, Tag, event_times, with_tag
from model.cohorts import Clock
from model.errors import UserError
from model.label_stream import LabelSchema
from model.labels import Ints
from model.runs import RunFolder
from model.schema import Schema
from model.validation import show_value, validate
from model.wording import format_count
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


def describe_mismatch(seen: SeenIds) -> str:
    """Why labels may have no question, by the first rows of both.

    Example:
        >>> times = np.zeros(1, np.int64)
        >>> describe_mismatch(SeenIds(FirstRows(["42"], times), FirstRows(["0042"], times)))
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
        return "their ids are there, so compare the times of labels and questions, and wait"
    labels, questions = len(seen.labels.ids), len(seen.questions.ids)
    line = f"{len(strange):,} of the first {labels:,} labels have an id"
    line += f" that none of the first {questions:,} questions has"
    if strange and asked:
        line += f", as {show_value(strange[0])}; a question has {show_value(next(iter(asked)))}"
    return line + ": compare id in [labels] with that of the questions"


def describe_orphans(orphans: int, labels: int, seen: SeenIds | None) -> Iterator[str]:
    """The lines on labels most of which are of no question; none of others.

    Args:
        orphans: how many are.
        labels: all that were accepted.
        seen: the first rows of both; None: not known.

    Example:
        >>> list(describe_orphans(400, 600, None))
        ['warning: 400 of 600 labels (67%) are orphans, of no question: compare id and time in [labels] with those of the questions']
        >>> list(describe_orphans(300, 600, None))
        []
    """  # noqa: E501
    if not _are_most(orphans, labels):
        return
    rows = f"{orphans:,} of {format_count(labels, 'label')} ({orphans / labels:.0%})"
    hint = "compare id and time in [labels] with those of the questions"
    if seen is not None:
        hint = describe_mismatch(seen)
    yield f"warning: {rows} are orphans, of no question: {hint}"


def _are_most(orphans: int, labels: int) -> bool:
    return orphans > HALF * labels


def explain_orphans(folder: RunFolder, source: object, schema: Schema) -> list[str]:
    """The lines on the labels of a run that has ended, most of which are of no question.

    Args:
        folder: the run's.
        source: of its questions and labels, whose first rows are read again.
        schema: of the questions.
    """
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
    return list(describe_orphans(orphans, labels, seen))


def warn_of_ids(seen: SeenIds, clock: Clock) -> Iterator[str]:
    """Warnings of labels most of whose first rows match no question, or come before it.

    Args:
        seen: the first rows of both.
        clock: when questions can be answered.
    """
    first: dict[str, int] = {}
    for key, time in zip(seen.questions.ids, seen.questions.times.tolist(), strict=True):
        first[key] = min(time, first.get(key, time))
    labels = list(zip(seen.labels.ids, seen.labels.times.tolist(), strict=True))
    known = [(key, time) for key, time in labels if key in first]
    if labels and 2 * len(known) < len(labels):
        yield f"warning: --labels: {describe_mismatch(seen)}"
    early = [(key, time) for key, time in known if time < first[key] - clock.every]
    if early:
        key, time = early[0]
        yield (
            f"warning: --labels: {len(early):,} of the first {len(labels):,} labels "
            f"are known more than a refresh before their question is asked, as {show_value(key)}: "
            f"{format_iso(time)}, asked {format_iso(first[key])}: they are orphans; is time "
            "in [labels] when the answer is known, in the questions' time zone?"
        )
