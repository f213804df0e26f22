from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter

from transforms import tally
from transforms.testing import embedded


@pytest.fixture(autouse=True)
def anew() -> None:
    tally.reset()


def test_counts_add_up_and_begin_anew() -> None:
    tally.count("rows")
    tally.count("rows", 41)
    tally.count("models")
    assert tally.tally() == {"rows": 42, "models": 1}
    tally.reset()
    assert tally.tally() == {}


def test_what_is_noted_only_grows() -> None:
    for value in (5, 9, 7):
        tally.note("watermark", value)
    assert tally.tally() == {"watermark": 9}


def test_a_tally_that_was_taken_does_not_change() -> None:
    tally.count("rows")
    taken = tally.tally()
    tally.count("rows")
    assert taken == {"rows": 1}


def test_many_threads_lose_no_count() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: tally.count("rows", 3), range(2000)))
    assert tally.tally() == {"rows": 6000}


def test_workers_count_for_beam_and_for_this_process_alike() -> None:
    pipeline = embedded()
    pipeline | beam.Create([2, 3, 4]) | beam.Map(lambda n: tally.count("rows", n))
    result = pipeline.run()
    [counter] = result.metrics().query(MetricsFilter().with_namespace(tally.NAMESPACE))["counters"]
    assert (counter.key.metric.name, counter.committed) == ("rows", 9)
    assert tally.tally() == {"rows": 9}
