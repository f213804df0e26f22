"""What becomes of a replay's questions, where labels have a time of their own.

It is what ``transforms.labels`` does with the same functions: each prediction waits for the refresh
in which its label is known, or in which its question expires.
"""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa

from model.answers import Asked, cut_answered, find_outcomes, keep_question_sums, outcome_fields
from model.asof import Cadence
from model.baselines import Past
from model.batch import Key, tag_of
from model.cohorts import Clock, Cohort, CohortPart, merge_cohort
from model.last_known import (
    cut_targets,
    known_layout,
    merge_known,
    newest_targets,
    sort_answered,
    sum_last,
    sums_key,
)
from model.metrics import Metrics, Sums, compute_metrics, merge, order_sums
from model.schema import Schema
from pipeline.frames.replay import Refresh, Scored


class Answers:
    """Figures of a replay by label and by question, and its answered questions.

    Attributes:
        schema: of the rows, with ``label_time``.
        clock: when questions can be answered.
        cadence: how event time is divided.
    """

    def __init__(self, schema: Schema, clock: Clock, cadence: Cadence) -> None:
        self.schema = schema
        self.cadence = cadence
        self.clock = clock
        self._sums: dict[int, list[tuple[Key, Sums]]] = defaultdict(list)
        self._parts: dict[int, list[CohortPart]] = defaultdict(list)
        self._answered: list[tuple[int, pa.RecordBatch]] = []
        self._targets: dict[int, list[pa.RecordBatch]] = defaultdict(list)

    def ask(self, refresh: Refresh, scored: list[Scored]) -> None:
        """Takes in what was predicted for the questions of a refresh."""
        mine = self._sums[refresh.start]
        for one in scored:
            mine.append(
                (tag_of(one.batch).key, keep_question_sums(one.sums(self.schema, self.cadence)))
            )
            self._follow(one.asked(), refresh.start)
        mine += [(key, Sums(rejected=rows)) for key, rows in refresh.rejected]

    def _follow(self, asked: Asked, start: int) -> None:
        every, _, offset = self.clock
        tag = tag_of(asked.rows)
        outcomes = tuple(find_outcomes(asked, self.schema, every, tag.at, offset))
        for outcome in outcomes:
            self._sums[outcome.refresh].append((tag.key, outcome.sums))
        part = CohortPart(tag.key, asked.rows.num_rows, asked.model or "", outcomes)
        self._parts[start].append(part)
        self._answered += cut_answered(asked, self.schema, every, tag.at, offset)
        slot = self.cadence.serve_window_of(tag.at)
        for refresh, rows in cut_targets(asked, self.schema, self.clock, tag.at, slot):
            self._targets[refresh].append(rows)

    def metrics(self, until: int) -> list[Metrics]:
        """The figures of each refresh that has ended by a time, microseconds, by label.

        A refresh has figures if anything was asked, answered or over in it, or a cohort final.
        """
        final = {self.clock.final_at(start) for start in self._parts}
        ends = {start: start + self.clock.every for start in sorted({*self._sums, *final})}
        found, past, task = [], Past(), self.schema.task
        self._compare_last()
        for start, end in ends.items():
            if end <= until:
                sums = self._merged(start)
                found.append(compute_metrics(sums, start, end, True, past, task))
                past.add(None if sums.figures is None else sums.figures.summary())
        return found

    def _compare_last(self) -> None:
        """Adds the errors of the baseline ``last`` to the sums of each refresh."""
        known = known_layout(self.schema).empty_table()
        for start, parts in sorted(self._targets.items()):
            answered = sort_answered(parts)
            known = merge_known([known, newest_targets(answered, self.cadence)], start, self.clock)
            self._sums[start].append((sums_key(start), sum_last(answered, known, start)))

    def _merged(self, start: int) -> Sums:
        parts = sorted(self._sums.get(start, ()), key=lambda part: order_sums(*part))
        return merge(sums for _, sums in parts)

    def cohorts(self, until: int) -> list[Cohort]:
        """The figures by question, of a stream that ends at a time, microseconds."""
        return [
            merge_cohort(parts, start, self.clock, until)
            for start, parts in sorted(self._parts.items())
        ]

    def outcomes(self, until: int) -> pa.Table:
        """The questions that were answered by a time, in the order of (label time, row id)."""
        found = [rows for at, rows in self._answered if at + self.clock.every <= until]
        table = pa.Table.from_batches(found, outcome_fields(self.schema))
        return table.sort_by([("label_time", "ascending"), ("id", "ascending")])
