"""The laws of how a topic is cut into ranges, on topics that hypothesis makes up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from reading.kafka.planning import BACK, Decision, Found, Position, Range, RangePlanner, Rules

STEP = 10
Times = list[int]


@dataclass
class Log:
    """A topic in memory, of which a part is there already.

    Attributes:
        partitions: by partition the timestamps of its records.
        there: by partition how many records have come.
    """

    partitions: dict[int, Times]
    there: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.there = self.there or {p: len(times) for p, times in self.partitions.items()}

    def find(self, times: Mapping[int, int]) -> dict[int, Found | None]:
        """As the broker's index by time does."""
        return {
            p: next(
                (
                    Found(offset, time)
                    for offset, time in enumerate(self.partitions[p][: self.there[p]])
                    if time >= least
                ),
                None,
            )
            for p, least in times.items()
        }


def plan_all(planner: RangePlanner, log: Log, planned: list[Range]) -> None:
    """Plans as long as a range is complete; none counts before the watermark."""
    while True:
        before = planner.watermark
        found = planner.next()
        if found is None:
            planner.look(log)
            found = planner.next()
        if found is None:
            return
        if before is not None:
            assert found.bound is not None and found.bound >= before
        planned.append(found)


def expected_bounds(times: Times, rules: Rules) -> list[int | None]:
    """The bound of each record by its definition: the greatest timestamp before it, rounded."""
    bounds: list[int | None] = []
    clock: int | None = None
    for time in times:
        bounds.append(None if clock is None else clock // STEP * STEP - rules.disorder)
        clock = time if clock is None else max(clock, time)
    return bounds


topics = st.dictionaries(
    st.integers(0, 3), st.lists(st.integers(0, 300), min_size=1, max_size=40), min_size=1
)
growths = st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=8)
"""How many records come, and whether the planner is restarted from its checkpoint then."""
disorders = st.sampled_from([0, 10, 25])


def begin(log: Log) -> dict[int, Position]:
    """Every partition from its first record on."""
    return {p: Position(0) for p in log.partitions}


@given(topics, disorders)
def test_the_ranges_of_a_topic_hold_each_record_once_with_its_own_bound(
    partitions: dict[int, Times], disorder: int
) -> None:
    log = Log(partitions)
    stops = {p: len(times) for p, times in partitions.items()}
    rules = Rules(STEP, disorder=disorder, stops=stops)
    planner = RangePlanner(rules, begin(log))
    planned: list[Range] = []
    plan_all(planner, log, planned)
    assert planner.done
    for partition, times in partitions.items():
        own = [one for one in planned if one.partition == partition]
        assert [one.start for one in own] == [0, *(one.stop for one in own[:-1])]
        assert own[-1].stop == len(times)
        bounds = [one.bound for one in own for _ in range(one.start, one.stop)]
        assert bounds == expected_bounds(times, rules)


@given(topics, disorders, st.data())
def test_a_topic_that_grows_is_cut_as_one_that_is_there(
    partitions: dict[int, Times], disorder: int, data: st.DataObject
) -> None:
    rules = Rules(STEP, disorder=disorder)
    whole: list[Range] = []
    plan_all(RangePlanner(rules, begin(Log(partitions))), Log(partitions), whole)
    log = Log(partitions, dict.fromkeys(partitions, 0))
    planner = RangePlanner(rules, begin(log))
    planned: list[Range] = []
    for come, restarted in [*data.draw(growths), (100, False)]:
        for p, times in partitions.items():
            log.there[p] = min(len(times), log.there[p] + come * (p + 1))
        plan_all(planner, log, planned)
        if restarted:
            at = {p: Position(one.next, one.clock) for p, one in planner.positions.items()}
            planner = RangePlanner(rules, at, watermark=planner.watermark)
    assert sorted(planned, key=lambda one: one[:2]) == sorted(whole, key=lambda one: one[:2])


@given(topics, disorders, st.data())
def test_with_what_was_decided_the_same_ranges_are_planned_again(
    partitions: dict[int, Times], disorder: int, data: st.DataObject
) -> None:
    log = Log(partitions, dict.fromkeys(partitions, 0))
    rules = Rules(STEP, disorder=disorder)
    planner = RangePlanner(rules, begin(log))
    planned: list[Range] = []
    decided: list[Decision] = []

    def decide(decision: Decision) -> None:
        decided.append(decision)
        planner.decide(decision)

    for _ in range(data.draw(st.integers(1, 12))):
        for p, times in partitions.items():
            log.there[p] = min(len(times), log.there[p] + data.draw(st.integers(0, 10)))
        plan_all(planner, log, planned)
        waiting, returning = planner.waiting(log.there)
        for p in returning:
            decide(planner.decide_back(p))
        for p in waiting:
            if data.draw(st.booleans()):
                decide(planner.decide_idle(p, log.there[p]))
        plan_all(planner, log, planned)
    # All that was planned, again, from the topic as it is in the end.
    stops = {p: one.next for p, one in planner.positions.items()}
    again = RangePlanner(Rules(STEP, disorder=disorder, stops=stops), begin(log), decided)
    replayed: list[Range] = []
    plan_all(again, Log(partitions), replayed)
    assert again.done
    assert sorted(planned, key=lambda one: one[:2]) == sorted(replayed, key=lambda one: one[:2])


def test_an_idle_partition_does_not_hold_the_watermark_and_goes_on_there() -> None:
    log = Log({0: [0, 5, 100, 200], 1: [3, 4, 6, 7]}, {0: 4, 1: 2})
    planner = RangePlanner(Rules(STEP), begin(log))
    planned: list[Range] = []
    plan_all(planner, log, planned)
    assert planner.watermark == 0
    planner.decide(planner.decide_idle(1, 2))
    plan_all(planner, log, planned)
    assert planned[-1] == Range(1, 1, 2, 0)
    assert planner.watermark == 200
    log.there[1] = 4
    assert planner.waiting(log.there) == ([0], [1])
    back = planner.decide_back(1)
    assert back == Decision(1, 2, BACK, 200)
    planner.decide(back)
    planner.decide(planner.decide_idle(1, 4))
    plan_all(planner, log, planned)
    assert planned[-1] == Range(1, 2, 4, 200)  # both are late: the watermark has passed them


def test_a_partition_that_is_added_begins_where_the_watermark_stands() -> None:
    log = Log({0: [0, 50, 100]})
    planner = RangePlanner(Rules(STEP, disorder=20), begin(log))
    planned: list[Range] = []
    plan_all(planner, log, planned)
    assert planner.watermark == 80
    log.partitions[1], log.there[1] = [60, 130, 150], 3
    planner.decide(planner.decide_back(1, 0))
    plan_all(planner, log, planned)
    assert planned[-2:] == [Range(1, 0, 2, 80), Range(1, 2, 3, 110)]
