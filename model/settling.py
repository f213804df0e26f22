"""Settling: which question takes which label, and what becomes of the others, in one refresh.

Labels are offered in the order of time, each for the questions of its key that are open to it
(``model.offers``). Of those that have no answer yet the newest takes the label; the others count
as ids that were used again. If all have one, it is a duplicate, or a conflict if it says something
else. Since a label goes to the newest open question, whether a question has an answer follows
from the offers since it was asked: no state is kept, and any refresh can be settled by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from model.labels import Ints, Mask, StreamCounts
from model.offers import EARLY, OPEN, ORPHAN, OVER, Offers, Targets


class Answers(NamedTuple):
    """Questions and the labels that they take, in columns.

    Attributes:
        question, refresh: the row id of the question, and the refresh in which it was asked.
        time: when the label was known, microseconds.
        target: what it says.
    """

    question: Ints
    refresh: Ints
    time: Ints
    target: Targets


class Settled(NamedTuple):
    """What is certain in a refresh.

    Attributes:
        answers: the questions that are answered in it.
        counts: of the other labels.
        known: the row ids of all questions that have an answer, sorted.
    """

    answers: Answers
    counts: StreamCounts
    known: Ints


class _Taken(NamedTuple):
    """What became of offered labels: the places of offers in their order."""

    taken: Ints
    duplicates: int
    conflicts: int
    reused: int


def settle(offers: Mapping[int, Offers], start: int) -> Settled:
    """What becomes of the labels of a refresh.

    Args:
        offers: those that are certain in each refresh, by its start: of this one and of those
            before it that count still (``model.questions.horizon``).
        start: of the refresh.
    """
    parts = list(offers.items())
    found = Offers.concat(each for _, each in parts)
    masks = [np.full(len(each.at), at == start) for at, each in parts]
    mine = np.concatenate([np.zeros(0, np.bool_), *masks])
    live = np.flatnonzero((found.kind == OPEN) | (found.kind == EARLY))
    order = live[np.lexsort((found.label[live], found.time[live], found.at[live]))]
    offered, now = found.take(order), mine[order]
    shared = np.isin(offered.question, offered.question[offered.choices > 1])
    single, several = np.flatnonzero(~shared), np.flatnonzero(shared)
    one = _settle_single(offered.take(single), now[single])
    many = _settle_shared(offered.take(several), now[several])
    taken = np.concatenate([single[one.taken], several[many.taken]])
    answers = offered.take(taken)
    by_question = np.argsort(answers.question)
    known = answers.question[by_question]
    over = found.take((found.kind == OVER) & mine)
    truth = dict(zip(known.tolist(), answers.target[by_question].tolist(), strict=True))
    late = duplicates = conflicts = 0
    for question, target in zip(over.question.tolist(), over.target.tolist(), strict=True):
        if question not in truth:
            late += 1
        elif truth[question] == target:
            duplicates += 1
        else:
            conflicts += 1
    fresh = answers.take(now[taken])
    fresh = fresh.take(np.lexsort((fresh.question, fresh.refresh)))
    return Settled(
        Answers(fresh.question, fresh.refresh, fresh.time, fresh.target),
        StreamCounts(
            duplicates=one.duplicates + many.duplicates + duplicates,
            conflicts=one.conflicts + many.conflicts + conflicts,
            orphans=int(np.count_nonzero((found.kind == ORPHAN) & mine)),
            id_reused=many.reused,
            label_late=late,
        ),
        known,
    )


def _settle_single(offers: Offers, now: Mask) -> _Taken:
    """Of labels that are each offered for one question: the first is taken, the others are not."""
    _, first, place = np.unique(offers.question, return_index=True, return_inverse=True)
    further = now.copy()
    further[first] = False
    same = offers.target == offers.target[first][place]
    duplicates = int(np.count_nonzero(further & same))
    return _Taken(first, duplicates, int(np.count_nonzero(further)) - duplicates, 0)


def _settle_shared(offers: Offers, now: Mask) -> _Taken:
    """Of labels some of which are offered for several questions: one after the other."""
    answered: dict[int, float | str] = {}
    taken: list[int] = []
    duplicates = conflicts = reused = 0
    columns = (offers.question.tolist(), offers.target.tolist(), offers.choices.tolist())
    questions, targets, choices = columns
    at = 0
    while at < len(questions):
        places = range(at, at + choices[at])
        open_ = [place for place in places if questions[place] not in answered]
        if open_:
            answered[questions[open_[0]]] = targets[at]
            taken.append(open_[0])
            reused += (len(open_) - 1) * bool(now[at])
        elif now[at]:
            same = answered[questions[at]] == targets[at]
            duplicates, conflicts = duplicates + same, conflicts + (not same)
        at = places.stop
    return _Taken(np.array(taken, np.int64), duplicates, conflicts, reused)


def find_over(ids: Ints, over: Ints, known: Ints, start: int, end: int) -> Ints:
    """The places of the questions whose wait is over in a refresh, without an answer.

    Args:
        ids: the row ids of questions.
        over: when their waits are over, microseconds.
        known: the row ids of those that have an answer, sorted.
        start: of the refresh, microseconds.
        end: of the refresh.
    """
    places = np.flatnonzero((over >= start) & (over < end))
    return places[~_is_in(ids[places], known)]


def _is_in(values: Ints, ordered: Ints) -> Mask:
    """Which values are among others, which are sorted."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: Mask = ordered[place] == values
    return found
