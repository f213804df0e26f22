"""How far a topic has been read, as status.json has it."""

from __future__ import annotations

from transforms.sources.topic_state import MOST, TopicState

SECOND = 1_000_000


def test_the_lag_is_what_is_there_less_what_is_read_in_rows_and_in_their_own_time() -> None:
    state = TopicState()
    assert state.status() is None
    state.note_ends({0: 10, 1: 0}, {0: 110, 1: 50}, {1})
    found = state.status()
    assert found is not None
    assert (found.lag_rows, found.lag_seconds, found.idle, found.partitions) == (150, None, 1, 2)
    state.note_newest({0: 90 * SECOND, 1: 60 * SECOND})
    state.note_read(0, 70, 80 * SECOND, 2)
    state.note_read(0, 60, 70 * SECOND, 1)  # an earlier range, read later
    state.note_read(1, 50)
    found = state.status()
    assert found is not None
    assert (found.lag_rows, found.lag_seconds, found.undecoded) == (40, 10.0, 3)
    assert found.by_partition["0"].lag_rows == 40
    assert (found.by_partition["1"].lag_rows, found.by_partition["1"].lag_seconds) == (0, 0.0)
    state.begin()
    assert state.status() is None


def test_of_many_partitions_those_that_lag_most_are_named() -> None:
    state = TopicState()
    state.note_ends({}, {partition: partition for partition in range(1000)}, ())
    found = state.status()
    assert found is not None
    assert found.lag_rows == sum(range(1000)) and found.partitions == 1000
    assert sorted(map(int, found.by_partition)) == list(range(1000 - MOST, 1000))
