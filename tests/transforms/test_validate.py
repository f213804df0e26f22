from __future__ import annotations

from typing import Any

import pytest

from model.batch import tag_of
from model.validation import validate
from tests.kit.streams import MINUTE, SCHEMA, row, stream
from transforms import counters
from transforms.elements import Rejects
from transforms.testing import FromBatches, Gather, batches, embedded
from transforms.validate import Validate

BROKEN: dict[int, dict[str, Any]] = {
    3: {"x": float("inf")},
    4: {"t": "soon"},
    17: {"y": "much"},
    18: {"c": [1.5]},
}


def broken(count: int = 40) -> list[dict[str, Any]]:
    """Rows of which those in ``BROKEN`` break the schema."""
    rows = stream(count, 300)
    return [{**r, **BROKEN.get(i, {})} for i, r in enumerate(rows)]


def part_rows(rows: list[dict[str, Any]], batch_rows: int) -> tuple[list[Any], list[Any]]:
    with embedded() as pipeline:
        source = FromBatches(batches(rows, SCHEMA, MINUTE, batch_rows))
        accepted, rejected = pipeline | source | Validate(SCHEMA)
        good, bad = accepted | "Good" >> Gather(), rejected | "Bad" >> Gather()
    return good, bad


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_rows_that_break_the_schema_leave_with_their_reason_and_the_others_go_on(
    batch_rows: int,
) -> None:
    rows = broken()
    good, bad = part_rows(rows, batch_rows)
    ids = sorted(i for one in good for i in one.value.rows["__id"].to_pylist())
    assert ids == [i for i in range(40) if i not in BROKEN]
    message = {item.where: item.reason for one in bad for item in one.value.items}
    assert set(message) == {f"rows:{i}" for i in BROKEN}
    for i, change in BROKEN.items():
        assert repr(next(iter(change))) in message[f"rows:{i}"]


def test_accepted_and_rejected_rows_keep_their_batchs_tag_and_stamp() -> None:
    made = {tag_of(batch).key: batch for batch in batches(broken(), SCHEMA, MINUTE, 7)}
    good, bad = part_rows(broken(), 7)
    for one in good:
        tag = one.value.tag
        assert tag == tag_of(made[tag.key])
        assert one.at == tag.at
    for one in bad:
        assert isinstance(one.value, Rejects)
        assert one.value.tag == tag_of(made[one.value.tag.key])
        assert one.at == one.value.tag.at
        assert all(item.at == one.at for item in one.value.items)


def test_it_shows_the_same_as_the_plain_function() -> None:
    made = batches(broken(), SCHEMA, MINUTE, 7)
    good, bad = part_rows(broken(), 7)
    plain = [validate(batch, SCHEMA) for batch in made]
    by_key = lambda one: one.value.tag.key  # noqa: E731
    assert [repr(one.value.rows.to_pylist()) for one in sorted(good, key=by_key)] == [
        repr(accepted.to_pylist()) for accepted, _ in plain if accepted.num_rows
    ]
    found = sorted(item.where for one in bad for item in one.value.items)
    assert found == sorted(item.where for _, rejects in plain for item in rejects)


def test_rejects_are_counted() -> None:
    counters.reset()
    part_rows(broken(), 7)
    assert counters.counts() == {"rows rejected": len(BROKEN)}


def test_no_row_gives_neither_and_a_batch_of_bad_rows_nothing_accepted() -> None:
    assert part_rows([], 10) == ([], [])
    good, bad = part_rows([row(0, x=float("inf"))], 10)
    assert good == [] and [len(one.value.items) for one in bad] == [1]
