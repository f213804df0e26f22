"""An artefact's bytes are the same in any process, and only an artefact's are opened."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
import pytest

from model.artefact import Artefact, load_bytes
from model.encoder import Encoder
from model.manifest import Learner
from model.pickling import SteadyPickler, dump, without_gaps
from model.schema import Features, Schema
from model.statistics import Statistics
from model.training import train
from tests.kit.rows import LEARNERS, RIDES, normalize_rows, rides, train_model
from tests.kit.sums import summarize_batch

OTHER_PROCESS = """
import numpy as np
dirt = [np.full(n, 255, np.uint8) for n in range(16, 20_000, 8)]
texts = ["".join(["s", "quared_error", str(i)]) for i in range(20_000)]
del dirt[::2], texts[::3]
from hashlib import sha256
from tests.kit.rows import LEARNERS, rides, train_model
del dirt
for learner in LEARNERS:
    print(sha256(train_model(learner, rides(400))[0]).hexdigest())
"""


def test_the_bytes_are_the_same_in_another_process_with_another_hash_seed_and_other_memory() -> (
    None
):
    root = str(Path(__file__).parents[2])
    other = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS],
        capture_output=True,
        text=True,
        cwd=root,
        env=os.environ | {"PYTHONHASHSEED": "12345", "PYTHONPATH": root},
    )
    assert other.returncode == 0, other.stderr
    here = [sha256(train_model(learner, rides(400))[0]).hexdigest() for learner in LEARNERS]
    assert other.stdout.split() == here


def test_gaps_between_the_fields_of_a_trees_nodes_are_zeros() -> None:
    wide = np.dtype({"names": ["a", "b"], "formats": ["<f8", "u1"], "itemsize": 16})
    records = np.frombuffer(bytearray(b"\xff" * 48), wide)
    records["a"], records["b"] = [1.5, 2.5, 3.5], 7
    clean = without_gaps(records)
    assert clean.dtype == wide and clean.tolist() == records.tolist()
    for array, byte in ((records, 0xFF), (clean, 0)):
        assert set(array.view(np.uint8).reshape(3, 16)[:, 9:].ravel().tolist()) == {byte}
    dirty, zeroed = io.BytesIO(), io.BytesIO()
    SteadyPickler(dirty).dump({"nodes": [records, records[:2]]})
    SteadyPickler(zeroed).dump({"nodes": [clean, clean[:2]]})
    assert dirty.getvalue() == zeroed.getvalue()
    back = joblib.load(io.BytesIO(dirty.getvalue()))["nodes"]
    assert [part.tolist() for part in back] == [clean.tolist(), clean[:2].tolist()]


def test_equal_texts_give_the_same_bytes_whether_they_are_one_object_or_two() -> None:
    schema = Schema(name="n", time="t", target="y", features=Features(categorical=("c", "d")))

    def dumped(one: str, two: str) -> bytes:
        encoder = Encoder((), np.zeros(0), np.zeros(0), {"c": (one,), "d": (two,)})
        return dump(Artefact(schema, Statistics(columns={}), encoder, None))

    yes, again = ("".join(["y", "es"]) for _ in range(2))
    assert yes is not again
    assert dumped(yes, yes) == dumped(yes, again)
    assert dumped(yes, yes) != dumped(yes, "no!")


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_is_loaded_predicts_the_same_digits_and_dumps_to_the_same_bytes(
    learner: Learner,
) -> None:
    data = train_model(learner, rides(400))[0]
    loaded = load_bytes(data)
    assert dump(loaded) == data
    assert (loaded.schema, loaded.statistics) == (RIDES, summarize_batch(rides(400), RIDES))
    assert loaded.predict(rides(9)).tobytes() == load_bytes(data).predict(rides(9)).tobytes()


@pytest.mark.parametrize("learner", LEARNERS)
def test_data_that_went_from_one_process_to_another_before_the_fit_gives_the_same_bytes(
    learner: Learner,
) -> None:
    carried = pickle.loads(pickle.dumps(normalize_rows(rides(400))))
    assert train(carried, RIDES, learner) == train_model(learner, rides(400))


def test_a_joblib_file_of_something_else_is_refused() -> None:
    buffer = io.BytesIO()
    joblib.dump({"not": "an artefact"}, buffer)
    with pytest.raises(TypeError, match="holds a dict, not an artefact"):
        load_bytes(buffer.getvalue())
