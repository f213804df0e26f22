from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter

from transforms import counters
from transforms.testing import embedded


@pytest.fixture(autouse=True)
def anew() -> None:
    counters.reset()


def test_counts_add_up_and_begin_anew() -> None:
    counters.count("rows")
    counters.count("rows", 41)
    counters.count("models")
    assert counters.counts() == {"rows": 42, "models": 1}
    counters.reset()
    assert counters.counts() == {}


def test_what_is_noted_only_grows() -> None:
    for value in (5, 9, 7):
        counters.max_gauge("watermark", value)
    assert counters.counts() == {"watermark": 9}


def test_a_tally_that_was_taken_does_not_change() -> None:
    counters.count("rows")
    taken = counters.counts()
    counters.count("rows")
    assert taken == {"rows": 1}


def test_many_threads_lose_no_count() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: counters.count("rows", 3), range(2000)))
    assert counters.counts() == {"rows": 6000}


def test_workers_count_for_beam_and_for_this_process_alike() -> None:
    pipeline = embedded()
    pipeline | beam.Create([2, 3, 4]) | beam.Map(lambda n: counters.count("rows", n))
    result = pipeline.run()
    [counter] = result.metrics().query(MetricsFilter().with_namespace(counters.NAMESPACE))[
        "counters"
    ]
    assert (counter.key.metric.name, counter.committed) == ("rows", 9)
    assert counters.counts() == {"rows": 9}


def test_of_what_is_observed_the_latest_are_at_hand_by_kind_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "KEPT_LATENCIES", 3)
    for seconds in (0.1, 0.4, 0.2, 0.3):
        counters.record_latency("scored behind", seconds)
    counters.record_latency("another", 7.0)
    assert counters.latencies("scored behind") == [0.4, 0.2, 0.3]
    assert counters.latencies("another") == [7.0]
    assert counters.latencies("never") == []
    counters.reset()
    assert counters.latencies("scored behind") == []


def test_what_was_observed_before_a_time_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("transforms.counters.time.time", lambda: now)
    for now in (100.0, 160.0, 161.0):
        counters.record_latency("scored behind", now / 100)
    assert counters.latencies("scored behind", since=160.0) == [1.6, 1.61]


def test_what_workers_observe_is_beams_distribution_too_in_milliseconds() -> None:
    pipeline = embedded()
    (
        pipeline
        | beam.Create([0.5, 0.75])
        | beam.Map(partial(counters.record_latency, "scored behind"))
    )
    result = pipeline.run()
    ours = MetricsFilter().with_namespace(counters.NAMESPACE)
    [found] = result.metrics().query(ours)["distributions"]
    assert found.key.metric.name == "scored behind (ms)"
    assert (found.committed.min, found.committed.max) == (500, 750)
    assert sorted(counters.latencies("scored behind")) == [0.5, 0.75]
