"""A sample of classes keeps the rare ones, and is the same however its parts meet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import ID, row_ids
from model.classes.fit import weigh
from model.classes.sample import find_room, keep_classes
from model.statistics import count_values


def batch_of(places: Any, first: int = 0) -> pa.RecordBatch:
    names = pa.array(["a", "b", "c"])
    target = pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), names)
    return pa.record_batch({ID: pa.array(np.arange(first, first + len(places))), "y": target})


def counts_of(batches: list[pa.RecordBatch]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in batches:
        for name, count in count_values(batch.column("y")).values.items():
            found[name] = found.get(name, 0) + count
    return found


def test_a_rare_class_stays_whole_and_weights_add_up_to_the_window() -> None:
    rng = np.random.default_rng(0)
    places = rng.choice(3, size=20_000, p=[0.9, 0.0995, 0.0005])
    whole = batch_of(places)
    counts = counts_of([whole])
    [kept] = keep_classes([whole], "y", counts, 1_000)
    assert counts_of([kept])["c"] == counts["c"]
    assert kept.num_rows <= 1_000
    kept_places = np.array([{"a": 0, "b": 1, "c": 2}[n] for n in kept.column("y").to_pylist()])
    weights = weigh(kept_places, ("a", "b", "c"), count_values(whole.column("y")))
    assert weights is not None
    for place, name in enumerate("abc"):
        assert np.isclose(weights[kept_places == place].sum(), counts[name])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9), st.lists(st.integers(0, 400), max_size=5), st.integers(3, 300))
def test_parts_may_be_cut_down_before_they_meet(seed: int, cuts: list[int], rows: int) -> None:
    places = np.random.default_rng(seed).choice(3, size=400, p=[0.7, 0.28, 0.02])
    edges = [0, *sorted(cuts), 400]
    parts = [batch_of(places[a:b], a) for a, b in pairwise(edges)]
    counts = counts_of(parts)
    wanted = np.concatenate([row_ids(b) for b in keep_classes(parts, "y", counts, rows)])
    early = [kept for part in parts for kept in keep_classes([part], "y", counts_of([part]), rows)]
    found = np.concatenate([row_ids(b) for b in keep_classes(early, "y", counts, rows)])
    assert found.tolist() == wanted.tolist()


def test_each_class_has_the_same_room() -> None:
    assert find_room([900, 30, 10], 100) == 60
    assert find_room([3, 4], 100) == 100
    assert find_room([5, 5, 5], 2) == 1
