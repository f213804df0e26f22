from __future__ import annotations

import subprocess
import sys
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms import window
from apache_beam.transforms.window import FixedWindows
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, LATE, SECOND, tag_of
from model.manifest import Window
from tests.kit.streams import MINUTE, SCHEMA, row, times_of
from transforms.testing import (
    FromBatches,
    Gather,
    accepted,
    assert_per_window,
    batches,
    embedded,
    replay,
    streamed,
)


@given(times_of(), st.none() | st.integers(0, 100), st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_batches_hold_each_row_once_and_mark_those_behind_the_watermark_late(
    times: list[int], disorder: int | None, batch_rows: int
) -> None:
    allowed = None if disorder is None else disorder * SECOND
    made = batches([row(t) for t in times], SCHEMA, MINUTE, batch_rows, allowed)
    tardy = {
        i
        for i in range(1, len(times))
        if disorder is not None and times[i] < max(times[:i]) - disorder
    }
    found = {r[ID]: r[LATE] for batch in made for r in batch.to_pylist()}
    assert found == {i: i in tardy for i in range(len(times))}
    for batch in made:
        counts = [
            max(times[:i]) - (disorder or 0) if i in tardy else times[i]
            for i in batch[ID].to_pylist()
        ]
        assert tag_of(batch).at == min(counts) * SECOND
        assert len({at // 60 for at in counts}) == 1
        assert batch.num_rows <= batch_rows
    keys = [tag_of(batch).key for batch in made]
    assert len(keys) == len(set(keys))


def test_no_row_makes_no_batch_and_rows_without_a_time_count_with_the_others() -> None:
    assert batches([], SCHEMA, MINUTE) == []
    [batch] = batches([row("soon"), row(90)], SCHEMA, MINUTE)  # type: ignore[arg-type]
    assert tag_of(batch).at == 90 * SECOND
    assert accepted([batch], SCHEMA)[0].rows[ID].to_pylist() == [1]
    assert accepted(batches([row("soon")], SCHEMA, MINUTE), SCHEMA) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_a_source_stamps_batches_with_their_tags_time(source: Any) -> None:
    made = batches([row(t) for t in (61, 0.25, 200)], SCHEMA, MINUTE)
    with embedded() if source is FromBatches else streamed() as pipeline:
        seen = pipeline | source(made) | Gather()
    assert sorted((one.at, one.value["t"].to_pylist()) for one in seen) == [
        (SECOND // 4, [0.25]),
        (61 * SECOND, [61.0]),
        (200 * SECOND, [200.0]),
    ]


@pytest.mark.parametrize("source", [FromBatches, replay])
def test_a_source_of_no_batch_ends(source: Any) -> None:
    with embedded() if source is FromBatches else streamed() as pipeline:
        seen = pipeline | source([]) | Gather()
    assert seen == []


def test_a_replay_holds_the_watermark_for_what_is_still_to_come() -> None:
    made = batches([row(t) for t in (70, 10, 80, 200)], SCHEMA, MINUTE, 1)
    with streamed() as pipeline:
        windowed = pipeline | replay(made) | beam.WindowInto(FixedWindows(60))
        first = windowed | beam.Map(lambda batch: (0, batch["t"][0].as_py()))
        seen = first | beam.GroupByKey() | Gather()
    assert sorted((one.window.start // SECOND, sorted(one.value[1])) for one in seen) == [
        (0, [10]),
        (60, [70, 80]),
        (180, [200]),
    ]
    assert seen[-1].value[1] == [200]


def test_what_is_gathered_shows_in_which_window_it_was() -> None:
    with embedded() as pipeline:
        made = pipeline | FromBatches(batches([row(61)], SCHEMA, MINUTE))
        seen = made | beam.WindowInto(FixedWindows(60)) | Gather()
    [one] = seen
    assert (one.at, one.window) == (61 * SECOND, Window(60 * SECOND, 120 * SECOND))


@pytest.mark.parametrize(
    "wrong",
    [
        {(0, MINUTE): [1]},
        {(0, MINUTE): [1, 2, 2]},
        {(MINUTE, 2 * MINUTE): [1, 2]},
        {(0, MINUTE): [1, 2], (MINUTE, 2 * MINUTE): [3]},
    ],
)
def test_an_assertion_per_window_fails_for_a_missing_or_spare_element_or_another_window(
    wrong: dict[tuple[int, int], list[int]],
) -> None:
    pipeline = embedded()
    made = pipeline | beam.Create([1, 2]) | beam.Map(lambda n: window.TimestampedValue(n, n))
    assert_per_window(made | beam.WindowInto(FixedWindows(60)), wrong)
    with pytest.raises(Exception, match="Failed assert"):
        pipeline.run()


def test_the_kit_needs_no_pytest() -> None:
    code = "import sys, pipeline.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
