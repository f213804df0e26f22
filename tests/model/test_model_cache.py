"""The model cache: few artefacts stay open, each is opened once, and a replaced one is refused."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from model.asof import format_name
from model.batch import SECOND
from model.manifest import Reference
from model.store import DamagedArtefact, ModelCache, Store, model_cache
from tests.kit.rows import NOON, RIDGE, rides, train_model

NAMES = [format_name(NOON + i * 60 * SECOND) for i in range(1, 5)]
OLD, NEW = train_model(RIDGE, rides(30, 0)), train_model(RIDGE, rides(30, 1))


@dataclass(frozen=True)
class CountingStore(Store):
    loads: list[str] = field(default_factory=list, compare=False)

    def read_verified(self, name: str, sha256: str | None = None) -> bytes:
        self.loads.append(name)
        return super().read_verified(name, sha256)


def fill_store(path: Path, artefacts: int) -> tuple[CountingStore, list[Reference]]:
    store = CountingStore(str(path))
    for name in NAMES[:artefacts]:
        store.commit(name, *OLD)
    return store, [store.reference(name) for name in NAMES[:artefacts]]


def test_a_cache_keeps_the_models_used_last(tmp_path: Path) -> None:
    store, (a, b, c) = fill_store(tmp_path, 3)
    kept = ModelCache(store, capacity=2 * len(OLD[0]))
    first = kept.get(a)
    kept.get(b)
    assert kept.get(a) is first
    kept.get(c)  # b was taken longest ago: it goes
    assert kept.get(a) is first
    kept.get(b)
    assert store.loads == [a.name, b.name, c.name, b.name]


def test_an_artefact_larger_than_the_cache_is_kept_alone(tmp_path: Path) -> None:
    store, (a, b) = fill_store(tmp_path, 2)
    kept = ModelCache(store, capacity=1)
    assert kept.get(a) is kept.get(a)
    kept.get(b)
    kept.get(a)
    assert store.loads == [a.name, b.name, a.name]


def test_threads_that_take_the_same_artefacts_open_each_once(tmp_path: Path) -> None:
    store, references = fill_store(tmp_path, 4)
    taken: list[tuple[str, int]] = []
    kept, start = ModelCache(store), threading.Barrier(6)

    def take() -> None:
        start.wait()
        taken.extend((r.name, id(kept.get(r))) for _ in range(20) for r in references)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 6 * 20 * 4
    assert (len(set(taken)), sorted(store.loads)) == (4, NAMES[:4])


def test_a_cache_refuses_an_artefact_that_was_replaced(tmp_path: Path) -> None:
    store, [old] = fill_store(tmp_path, 1)
    store.commit(old.name, *NEW)
    with pytest.raises(DamagedArtefact, match="changed since it was referred to"):
        ModelCache(store).get(old)
    kept = ModelCache(store)
    replaced = store.reference(old.name)
    assert kept.get(replaced).baseline == store.load(old.name).baseline


def test_an_artefact_that_failed_to_open_is_tried_again(tmp_path: Path) -> None:
    store, [reference] = fill_store(tmp_path, 1)
    kept, model = ModelCache(store), tmp_path / reference.name / "model.joblib"
    model.write_bytes(b"damaged")
    with pytest.raises(DamagedArtefact):
        kept.get(reference)
    model.write_bytes(OLD[0])
    assert kept.get(reference) is kept.get(reference)


def test_what_was_put_there_is_not_opened_and_makes_room_like_any_other(tmp_path: Path) -> None:
    store, (a, b) = fill_store(tmp_path, 2)
    made = store.load(a.name)
    store.loads.clear()
    kept = ModelCache(store, capacity=len(OLD[0]))
    kept.put(a, made, len(OLD[0]))
    kept.put(a, store.load(b.name), len(OLD[0]))
    store.loads.clear()
    assert kept.get(a) is made
    assert store.loads == []
    kept.get(b)
    assert kept.get(a) is not made
    assert store.loads == [b.name, a.name]


def test_a_process_has_one_cache_for_a_store(tmp_path: Path) -> None:
    assert model_cache(str(tmp_path)) is model_cache(str(tmp_path))
    assert model_cache(str(tmp_path)) is not model_cache(str(tmp_path / "other"))
