"""Encoders of single features, beside scikit-learn's on the same rows."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from model.artefact import load_bytes
from model.encoder import Encoder
from model.encoders import Encoded, FeatureEncoder, encode_window, fit_target
from model.errors import UserError
from model.manifest import Learner, describe_other
from model.moments import suffice
from model.pickling import dump
from model.schema import Schema, schema_of
from model.statistics import MANY
from model.training import normalize, train
from monitor.exporting.to_onnx import to_onnx
from monitor.exporting.to_pipeline import to_pipeline
from tests.kit.rows import WINDOW, accept
from tests.kit.sums import summarize_batch

CATEGORIES = st.sampled_from([None, "a", "b", "c", "d e", "ç"])


def schema(encoders: dict[str, Any], **features: Any) -> Schema:
    keys = {"numeric": ["x"], "categorical": ["c", "k"], **features, "encoders": encoders}
    return schema_of({"name": "s", "time": "t", "target": "y", "features": keys}, "test")


RICH = schema({"k": "target", "c": {"max_categories": 2}, "x": {"add_indicator": True}})


def rows(number: int, of: Schema = RICH, seed: int = 0, kinds: int = 40) -> pa.RecordBatch:
    """Rows whose target goes by nothing; nulls in x and k."""
    rng = np.random.default_rng(seed)
    k = [None if n == 0 else f"k{n}" for n in (rng.zipf(1.5, number) % kinds).tolist()]
    c = rng.choice(["a", "b", "c", "d"], number, p=[0.5, 0.3, 0.15, 0.05]).tolist()
    x = np.where(rng.random(number) < 0.2, np.nan, rng.normal(3, 2, number))
    y = rng.normal(3, 2, number)
    return accept(of, {"y": y, "x": x, "c": c, "k": k})


def encode(batch: pa.RecordBatch, of: Schema = RICH) -> Encoded:
    return encode_window(batch, summarize_batch(batch, of), of)


def by_scikit_learn(folds: int = 5) -> TargetEncoder:
    """Its own encoder, cross-fitted by folds of rows in their order."""
    if sklearn_version() < (1, 9):
        return TargetEncoder(target_type="continuous", cv=folds, shuffle=False)
    return TargetEncoder(target_type="continuous", cv=KFold(folds))


def sklearn_version() -> tuple[int, ...]:
    return tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def as_column(batch: pa.RecordBatch, name: str) -> Any:
    values = [np.nan if v is None else v for v in batch.column(name).to_pylist()]
    return np.array(values, dtype=object)[:, None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CATEGORIES, st.floats(-1e3, 1e3)), min_size=5, max_size=60))
def test_target_encoding_is_that_of_scikit_learn(pairs: list[tuple[str | None, float]]) -> None:
    values, target = pa.array([c for c, _ in pairs], pa.string()), np.array([y for _, y in pairs])
    means, encoded = fit_target(values, target)
    theirs = by_scikit_learn()
    texts = np.array([np.nan if c is None else c for c, _ in pairs], dtype=object)[:, None]
    np.testing.assert_allclose(encoded, theirs.fit_transform(texts, target)[:, 0], rtol=1e-12)
    asked = ["a", "b", "c", "d e", "ç", "never seen", None]
    matrix = np.array([np.nan if c is None else c for c in asked], dtype=object)[:, None]
    found = means.encode(pa.array(asked))
    np.testing.assert_allclose(found, theirs.transform(matrix)[:, 0], rtol=1e-12)


def test_a_target_encoder_has_the_same_bytes_in_whatever_order_its_values_came() -> None:
    texts, target = ["b", "a", None, "c", "b", "a"], np.arange(6.0)
    found = set()
    for order in (["a", "b", "c"], ["c", "unused", "b", "a"]):
        codes = pa.array([None if text is None else order.index(text) for text in texts])
        means, encoded = fit_target(pa.DictionaryArray.from_arrays(codes, order), target)
        found.add((dump(means), encoded.tobytes()))
    assert len(found) == 1


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_window_of_fewer_rows_than_folds_is_encoded_too(number: int) -> None:
    values, target = (
        pa.array(["a", "b", "a", "a"][:number]),
        np.array([1.0, 5.0, 2.0, 4.0][:number]),
    )
    means, encoded = fit_target(values, target)
    assert means.mean == target.mean()
    if number == 1:
        assert encoded.tolist() == [1.0]
    else:
        theirs = by_scikit_learn(number)
        texts = np.array(values.to_pylist(), dtype=object)[:, None]
        np.testing.assert_allclose(encoded, theirs.fit_transform(texts, target)[:, 0], rtol=1e-12)


def test_a_windows_matrix_is_that_of_scikit_learns_steps() -> None:
    batch = rows(500)
    y = batch.column("y").to_numpy()
    found = encode(batch)
    assert found.encoder.names == ["x", "k", "c=a", "c=b", "c=other", "x_missing"]
    assert found.encoder.owners == ["x", "k", "c", "c", "c", "x"]
    target, scale = by_scikit_learn(), StandardScaler()
    trained = scale.fit_transform(target.fit_transform(as_column(batch, "k"), y))
    later = rows(300, seed=1, kinds=60)
    hot = OneHotEncoder(max_categories=3, handle_unknown="infrequent_if_exist", sparse_output=False)
    hot.fit(as_column(batch, "c"))
    x = batch.column("x").to_numpy()
    for rows_, matrix, theirs in (
        (batch, found.matrix, trained),
        (batch, np.asarray(found.scored), scale.transform(target.transform(as_column(batch, "k")))),
        (
            later,
            found.encoder.transform(later),
            scale.transform(target.transform(as_column(later, "k"))),
        ),
    ):
        own = rows_.column("x").to_numpy()
        numbers = np.nan_to_num((own - np.nanmean(x)) / np.nanstd(x), nan=0.0)
        missing = np.isnan(own).astype(float)
        wanted = np.column_stack([numbers, theirs, hot.transform(as_column(rows_, "c")), missing])
        np.testing.assert_allclose(matrix, wanted, rtol=1e-12, atol=1e-12)


def test_rows_of_a_window_do_not_see_their_own_target() -> None:
    batch = rows(400, kinds=400)
    y = batch.column("y").to_numpy()
    found = encode(batch)
    changed = batch.set_column(
        batch.schema.get_field_index("y"),
        batch.schema.field("y"),
        pa.array(np.where(np.arange(400) == 7, y + 1e3, y)),
    )
    # The other rows of its fold, and it, have the encodings that they had.
    other = encode(changed)
    ours = found.encoder.means[1] + found.matrix[:80, 1] * found.encoder.scales[1]
    theirs = other.encoder.means[1] + other.matrix[:80, 1] * other.encoder.scales[1]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("learner", ["ridge", "forest", "boosting"])
def test_a_model_opens_and_predicts_with_its_encoders(learner: str) -> None:
    batch = rows(300)
    data = normalize(batch, summarize_batch(batch, RICH), RICH, WINDOW)
    dumped, manifest = train(data, RICH, Learner(learner, {}, 1))
    artefact = load_bytes(dumped)
    assert manifest.features == data.encoder.names
    columns = {name: batch.column(name).to_pylist() for name in ("x", "c", "k")}
    predicted = artefact.predict(batch)
    assert artefact.predict_columns(columns).tolist() == predicted.tolist()
    scored = artefact.score(batch)
    assert scored.histogram is not None
    assert artefact.profile is not None
    # The profile is of the rows as scoring has them: they have not drifted from themselves.
    assert (
        sum(artefact.profile.features.values(), ())
        == scored.histogram.bins[: -len(artefact.profile.prediction)]
    )
    assert artefact.profile.prediction == scored.histogram.bins[-len(artefact.profile.prediction) :]
    assert artefact.unknown_columns(columns | {"k": ["never"] * 300}) == {
        "k": 300,
        **artefact.unknown_columns(columns),
    }


def test_the_fingerprint_tells_every_value_apart_that_a_target_encoder_does() -> None:
    of = schema({"k": "target"}, categorical=["k"])
    number = 2 * MANY
    names = [f"v{n}" for n in range(number)]
    other = [*names[:-2], names[-1], names[-2]]
    prints = set()
    for k in (names, other):
        batch = accept(of, {"y": np.arange(number) % 2.0, "x": np.zeros(number), "k": k})
        statistics = summarize_batch(batch, of).cut(of.max_categories)
        prints.add(normalize(batch, statistics, of, WINDOW).fingerprint)
    assert len(prints) == 2


def test_as_many_values_have_a_column_as_the_schema_says() -> None:
    of = schema({"k": {"max_categories": 300}}, categorical=["k"])
    k = [f"v{n}" for n in range(1_200) for _ in range(n % 50 + 1)]
    batch = accept(of, {"y": np.zeros(len(k)), "x": np.zeros(len(k)), "k": k})
    statistics = summarize_batch(batch, of).cut(of.max_categories)
    data = normalize(batch, statistics, of, WINDOW)
    ranked = sorted(pd.Series(k).value_counts().items(), key=lambda item: (-item[1], item[0]))
    assert len(ranked) == 1_200
    assert data.encoder.categories["k"] == tuple(sorted(name for name, _ in ranked[:300]))
    _, manifest = train(data, of, Learner("ridge", {}, 1))
    assert manifest.other["k"].values == 900
    assert manifest.other["k"].rows == sum(count for _, count in ranked[300:])
    assert '"other"' in manifest.as_json().decode()


def test_without_encoders_nothing_is_another() -> None:
    plain = schema({})
    batch = rows(50, plain)
    assert "encoders" not in plain.model_dump_json()
    found = encode(batch, plain)
    assert type(found.encoder) is Encoder
    assert found.scored is None
    _, manifest = train(
        normalize(batch, summarize_batch(batch, plain), plain, WINDOW),
        plain,
        Learner("ridge", {}, 1),
    )
    assert b'"other"' not in manifest.as_json()


def test_encoders_survive_their_json_and_need_rows() -> None:
    again = Schema.model_validate_json(RICH.model_dump_json())
    assert again == RICH
    assert isinstance(encode(rows(20)).encoder, FeatureEncoder)
    number = schema({"x": {"add_indicator": True}}, categorical=[])
    assert not suffice("ridge", {}, number)
    assert suffice("ridge", {}, schema({}, categorical=[]))


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ({"z": "target"}, "'z' must be one of the features: x, c, k"),
        ({"x": "target"}, r"'x' is numeric: must be as \{ add_indicator = true \}"),
        ({"c": "hash"}, 'features.encoders.c.encoder: must be "onehot" or "target"'),
        ({"c": {"encoder": "target", "max_categories": 3}}, "encoders.c: max_categories goes with"),
        ({"c": {"max_categories": 0}}, "features.encoders.c.max_categories: must be >= 1"),
        ({"c": {"smooth": 1}}, "features.encoders.c.smooth: is not a known key"),
        (["c"], "must be a table of features with their encoders"),
    ],
)
def test_what_no_encoder_is_is_refused_in_one_line(encoders: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        schema(encoders)
    assert "\n" not in str(refused.value)


def test_a_class_has_no_mean_to_encode_by() -> None:
    keys = {"name": "s", "time": "t", "target": "y", "task": "classification"}
    for encoder, fine in (("target", False), ({"max_categories": 5}, True)):
        features = {"categorical": ["c"], "encoders": {"c": encoder}}
        if fine:
            assert schema_of({**keys, "features": features}, "s").max_categories == {"c": 5}
            continue
        with pytest.raises(UserError, match=r"'c': encoder = \"target\" has means of a number"):
            schema_of({**keys, "features": features}, "s")


def test_an_indicator_that_has_a_features_name_is_refused() -> None:
    with pytest.raises(UserError, match="the indicator of 'x' has the name of another feature"):
        schema({"x": {"add_indicator": True}}, numeric=["x", "x_missing"])


@pytest.mark.parametrize("learner", ["ridge", "forest"])
def test_an_exported_pipeline_predicts_as_the_model_does(learner: str) -> None:
    batch, later = rows(300), rows(200, seed=3, kinds=60)
    data = normalize(batch, summarize_batch(batch, RICH), RICH, WINDOW)
    artefact = load_bytes(train(data, RICH, Learner(learner, {}, 1))[0])
    pipeline = pickle.loads(pickle.dumps(to_pipeline(artefact)))
    for asked in (batch, later):
        columns = {name: asked.column(name).to_pylist() for name in ("x", "c", "k")}
        frame = pd.DataFrame(columns).astype({"c": object, "k": object})
        frame["k"] = [np.nan if k is None and n % 2 else k for n, k in enumerate(columns["k"])]
        # scikit-learn's ridge multiplies many rows at once, which changes last digits.
        exact = 0.0 if learner == "forest" else 1e-12
        found = pipeline.predict(frame)
        np.testing.assert_allclose(found, artefact.predict(asked), rtol=exact, atol=exact)
    with pytest.raises(UserError, match=r"cannot be exported as ONNX: must be a .joblib"):
        to_onnx(artefact)


def test_a_line_names_what_of_a_feature_has_no_column_of_its_own() -> None:
    batch = rows(400)
    data = normalize(batch, summarize_batch(batch, RICH), RICH, WINDOW)
    manifest = train(data, RICH, Learner("ridge", {}, 1))[1]
    c = pd.Series(batch.column("c").to_pylist()).value_counts()
    start = f"column 'c': {len(c)} values, the 2 most frequent are columns, "
    share = f"{100 * c.iloc[2:].sum() / 400:.1f} % of rows fall into other; "
    assert describe_other(manifest) == [start + share + 'encoder = "target" keeps all']
    of_classes = manifest.model_copy(update={"task": "classification"})
    [line] = describe_other(of_classes)
    assert line.endswith(f"; max_categories = {len(c)} keeps all")
    rare = manifest.model_copy(update={"rows": manifest.other["c"].rows * 2_001})
    assert ", less than 0.1 % of rows fall into other; " in describe_other(rare)[0]
