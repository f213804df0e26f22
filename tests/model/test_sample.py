"""The sample: the k rows of least hash, whatever the parts; the hash is the published one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID
from model.sample import bottom_k, splitmix64

MASK = 2**64 - 1
any_id = st.integers(-(2**63), 2**63 - 1)


def splitmix(value: int) -> int:
    """The next number of a SplitMix64 whose state is ``value``, in Python's whole numbers."""
    z = (value + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def part(ids: list[int]) -> pa.RecordBatch:
    return pa.record_batch({ID: pa.array(ids, pa.int64()), "text": pa.array([str(i) for i in ids])})


def cut(ids: list[int], data: st.DataObject) -> list[list[int]]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ids)), max_size=5)))
    return [ids[a:b] for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True)]


def test_the_hash_gives_the_published_first_numbers_of_splitmix64() -> None:
    # Of seed 0 (the reference implementation by Vigna) and of seed 1234567 (Rosetta Code).
    golden = 0x9E3779B97F4A7C15
    states = [0, golden, 2 * golden, 3 * golden]
    of_zero = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert (
        splitmix64(np.array([s & MASK for s in states], np.uint64).view(np.int64)).tolist()
        == of_zero
    )
    states = [1234567 + i * golden for i in range(5)]
    assert splitmix64(np.array([s & MASK for s in states], np.uint64).view(np.int64)).tolist() == [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423),
        *(4593380528125082431, 16408922859458223821),
    ]


@given(st.lists(any_id, min_size=1, max_size=50))
@settings(max_examples=50, deadline=None)
def test_the_hash_is_that_of_plain_python_numbers(values: list[int]) -> None:
    assert splitmix64(np.array(values, np.int64)).tolist() == [splitmix(v & MASK) for v in values]


@given(st.lists(any_id, max_size=60, unique=True), st.integers(1, 70), st.data())
@settings(max_examples=80, deadline=None)
def test_the_k_rows_of_least_hash_stay_in_order_whatever_the_parts(
    ids: list[int], k: int, data: st.DataObject
) -> None:
    parts = cut(ids, data)
    least = set(sorted(ids, key=lambda i: splitmix(i & MASK))[:k])
    kept = bottom_k([part(p) for p in parts], k)
    assert [b.column(ID).to_pylist() for b in kept] == [[i for i in p if i in least] for p in parts]
    for batch in kept:
        assert batch.column("text").to_pylist() == [str(i) for i in batch.column(ID).to_pylist()]


@given(st.lists(any_id, max_size=60, unique=True), st.integers(1, 20), st.data())
@settings(max_examples=50, deadline=None)
def test_parts_that_are_cut_down_before_they_meet_give_the_same_sample(
    ids: list[int], k: int, data: st.DataObject
) -> None:
    parts = [part(p) for p in cut(ids, data)]
    early = [b for p in parts for b in bottom_k([p], k)]
    last = bottom_k(early, k)
    assert [b.to_pylist() for b in last] == [b.to_pylist() for b in bottom_k(parts, k)]


def test_the_sample_of_ids_in_a_row_is_spread_evenly() -> None:
    [kept] = bottom_k([part(list(range(20_000)))], 5_000)
    in_quarters = np.histogram(kept.column(ID).to_numpy(), bins=4, range=(0, 20_000))[0]
    assert kept.num_rows == 5_000
    assert np.abs(in_quarters - 1_250).max() < 5 * np.sqrt(5_000 * 0.25 * 0.75)
