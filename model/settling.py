"""Settling: which question takes which label, and what becomes of the others, in one refresh.

Labels are offered in the order of time, each for the questions of its key that are open to it
(``model.offers``). Of those that have no answer yet the newest takes the label; the others count
as ids that were used again. If all have one, it is a duplicate, or a conflict if it says something
else. Since a label goes to the newest open question, whether a question has an answer follows
from the offers since it was asked: no state is kept, and any refresh can be settled by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from model.labels import Ints, Mask, StreamCounts
from model.membership import is_in
from model.offers import EARLY, ORPHAN, OVER, Offers, Targets


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
        known: the row ids of all questions that have an answer.
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
    mine = offers.get(start, Offers.none())
    over, now = mine.take(mine.kind == OVER), mine.take(mine.kind <= EARLY)
    earlier = {at: each for at, each in offers.items() if at != start}
    before = np.concatenate(
        [now.question[:0], *(each.question[each.kind <= EARLY] for each in earlier.values())]
    )
    # Most labels are the only ones of their question: these need no order
    plain = ~is_in(now.question, _find_busy(now, earlier.values(), before, over))
    taken = now.take(plain)
    rest = _settle_in_order({**earlier, start: now.take(~plain)}, start, over)
    fresh = Offers.concat([taken, rest.fresh])
    fresh = fresh.take(np.lexsort((fresh.question, fresh.refresh)))
    known = np.concatenate([before, taken.question, rest.fresh.question])
    if len(rest.untaken):
        known = known[~is_in(known, rest.untaken)]
    return Settled(
        Answers(fresh.question, fresh.refresh, fresh.time, fresh.target),
        rest.counts._replace(
            orphans=int(np.count_nonzero(mine.kind == ORPHAN)),
            early=int(np.count_nonzero(fresh.kind == EARLY)),
        ),
        known,
    )


def _find_busy(now: Offers, earlier: Iterable[Offers], before: Ints, over: Offers) -> Ints:
    """The questions that have to be looked at label by label; some of them twice.

    Those for which several labels are offered, or a label that is offered for several.
    """
    ordered = np.sort(now.question)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    shared = [_shared_questions(each) for each in (now, *earlier)]
    again = now.question[is_in(now.question, before)]
    return np.concatenate([twice, again, over.question, *shared])


def _shared_questions(offers: Offers) -> Ints:
    """The questions for which a label is offered that is offered for several."""
    return offers.question[(offers.choices > 1) & (offers.kind <= EARLY)]


class _InOrder(NamedTuple):
    """What became of labels that were looked at one after the other.

    Attributes:
        fresh: offers of the refresh that are taken.
        untaken: the questions that are offered a label and have no answer.
        counts: of the other labels of the refresh.
    """

    fresh: Offers
    untaken: Ints
    counts: StreamCounts


def _settle_in_order(offers: Mapping[int, Offers], start: int, over: Offers) -> _InOrder:
    """Settles labels in the order of time.

    Args:
        offers: by refresh; of this one only those for open questions that need order.
        start: of the refresh.
        over: labels of the refresh that came when their question's wait was over.
    """
    needed = [offers[start].question, over.question]
    needed += [_shared_questions(each) for each in offers.values()]
    busy = np.concatenate(needed)
    # Others may have no question, -1, which is far from all row ids
    of_answers = {at: each.take(each.kind <= EARLY) for at, each in offers.items()}
    chosen = {at: each.take(is_in(each.question, busy)) for at, each in of_answers.items()}
    found = Offers.concat(chosen.values())
    mine = np.concatenate([np.full(len(each.at), at == start) for at, each in chosen.items()])
    order = np.lexsort((found.label, found.time, found.at))
    offered, now = found.take(order), mine[order]
    shared = np.isin(offered.question, offered.question[offered.choices > 1])
    single, several = np.flatnonzero(~shared), np.flatnonzero(shared)
    one = _settle_single(offered.take(single), now[single])
    many = _settle_shared(offered.take(several), now[several])
    taken = np.concatenate([single[one.taken], several[many.taken]])
    answers = offered.take(taken)
    late, duplicates, conflicts = _compare_late(over, answers)
    return _InOrder(
        answers.take(now[taken]),
        np.setdiff1d(offered.question, answers.question),
        StreamCounts(
            duplicates=one.duplicates + many.duplicates + duplicates,
            conflicts=one.conflicts + many.conflicts + conflicts,
            id_reused=many.reused,
            label_late=late,
        ),
    )


def _compare_late(over: Offers, answers: Offers) -> tuple[int, int, int]:
    """Of labels after the wait: those of questions without an answer, duplicates, conflicts."""
    truth = dict(zip(answers.question.tolist(), answers.target.tolist(), strict=True))
    late = duplicates = conflicts = 0
    for question, target in zip(over.question.tolist(), over.target.tolist(), strict=True):
        if question not in truth:
            late += 1
        elif truth[question] == target:
            duplicates += 1
        else:
            conflicts += 1
    return late, duplicates, conflicts


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
        known: the row ids of those that have an answer.
        start: of the refresh, microseconds.
        end: of the refresh.
    """
    places = np.flatnonzero((over >= start) & (over < end))
    return places[~is_in(ids[places], known)]
