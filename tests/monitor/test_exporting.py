"""Export: the plain pipeline predicts the artefact's digits, and knows nothing of this project."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artefact import Artefact
from model.asof import Cadence
from model.batch import ID, LATE, TIME, TIME_TYPE, Key, Tag, with_tag
from model.manifest import Learner
from model.schema import Features, Schema
from model.validation import validate
from monitor.exporting.to_pipeline import to_pipeline
from pipeline.frames.replay import Refresh, Replay

NUMBERS = Features(numeric=("x", "z"))
BOTH = Features(numeric=("x",), categorical=("c", "d"))
TEXTS = Features(categorical=("c",))
HOUR = 3_600_000_000


def frame(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "x": rng.normal(size=rows),
            "z": 1e5 + 1e3 * rng.normal(size=rows),
            "c": rng.choice(["a", "ç", "12"], rows),
            "d": rng.choice(list("abcdefgh"), rows),
        }
    )
    made["y"] = 2 * made.x + made.z / 1e3 + (made.c == "a") + rng.normal(size=rows)
    made.loc[::7, "x"] = np.nan
    made.loc[::11, "c"] = None
    return made


def trained(features: Features, learner: str) -> Artefact:
    """A model of the frame's rows."""
    schema = Schema(name="s", time="t", target="y", features=features)
    rows = frame()
    columns = {
        ID: pa.array(np.arange(len(rows))),
        TIME: pa.array(np.arange(len(rows)), TIME_TYPE),
        LATE: pa.array(np.zeros(len(rows), np.bool_)),
        **{name: pa.array(rows[name], from_pandas=True) for name in ("y", "x", "z", "c", "d")},
    }
    raw = with_tag(pa.record_batch(columns), Tag(Key(0, 0, 0), 0, "f", 1))
    accepted, rejects = validate(raw, schema)
    assert not rejects
    cadence = Cadence(window=HOUR, every=HOUR, latency=HOUR)
    parameters = {"forest": {"n_estimators": 5}, "boosting": {"max_iter": 10}}.get(learner, {})
    replay = Replay(schema, Learner(learner, parameters, 1), cadence)
    replay.step(Refresh(0, [accepted]))
    replay.finish(HOUR)
    [model] = replay.models
    return model.artefact


def as_matrix(rows: pd.DataFrame, features: Features) -> npt.NDArray[np.object_]:
    return rows[[*features.numeric, *features.categorical]].to_numpy(dtype=object)


@pytest.mark.parametrize("features", [NUMBERS, BOTH, TEXTS], ids=["numbers", "both", "texts"])
@pytest.mark.parametrize("learner", ["ridge", "forest", "boosting"])
def test_a_frame_and_a_matrix_get_the_artefacts_digits(features: Features, learner: str) -> None:
    artefact = trained(features, learner)
    rows = frame()
    rows.loc[3, "c"], rows.loc[4, "x"], rows.loc[5, "x"] = "never seen", 1e300, -1e300
    names = [*features.numeric, *features.categorical]
    expected = artefact.predict_columns({name: rows[name] for name in names})
    buffer = io.BytesIO()
    joblib.dump(to_pipeline(artefact), buffer)
    pipeline = joblib.load(buffer)
    shuffled = rows[rows.columns[::-1]]  # a frame's columns go by their names
    # A ridge of scikit-learn multiplies many rows at once: the last digit may be another.
    most = 1e-12 if learner == "ridge" else 0
    np.testing.assert_allclose(pipeline.predict(shuffled), expected, rtol=most)
    np.testing.assert_allclose(pipeline.predict(as_matrix(rows, features)), expected, rtol=most)
    if not features.categorical:
        np.testing.assert_allclose(pipeline.predict(rows[names].to_numpy()), expected, rtol=most)


ARTEFACT = trained(BOTH, "ridge")
PIPELINE = to_pipeline(ARTEFACT)
TEXT = st.one_of(
    st.none(), st.sampled_from(["a", "ç", "12", "h", "other"]), st.text("xyz", max_size=2)
)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(allow_infinity=False, allow_nan=True), TEXT, TEXT),
        min_size=1,
        max_size=9,
    )
)
def test_whatever_a_row_holds_the_pipeline_says_what_the_artefact_says(
    rows: list[tuple[float, str | None, str | None]],
) -> None:
    frame = pd.DataFrame(rows, columns=["x", "c", "d"]).astype({"c": object, "d": object})
    expected = ARTEFACT.predict_columns({name: list(frame[name]) for name in frame})
    np.testing.assert_allclose(PIPELINE.predict(frame), expected, rtol=1e-12, atol=1e-9)


def test_the_file_opens_where_this_project_is_not(tmp_path: Path) -> None:
    joblib.dump(to_pipeline(trained(BOTH, "forest")), tmp_path / "m.joblib")
    code = (
        "import sys, joblib, pandas as pd\n"
        f"model = joblib.load({str(tmp_path / 'm.joblib')!r})\n"
        "model.predict(pd.DataFrame({'x': [1.0], 'c': ['a'], 'd': [None]}))\n"
        "assert not {'model', 'pipeline', 'transforms', 'monitor'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path)
