"""A model as a plain scikit-learn pipeline, which needs nothing of this project to predict.

The pipeline normalises and encodes as the artefact does, with scikit-learn's own transformers, and
ends in the artefact's regressor. It takes a pandas frame with the schema's features, or a NumPy
matrix of them in the order of the schema: numbers first, then categories as text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.arrays import Matrix
from model.artefact import Artefact
from model.encoder import BOUND
from model.encoders import FeatureEncoder, TargetMeans
from model.loading import load_module

OTHER = "\N{SYMBOL FOR NULL}other"
"""What stands for all values without a column of their own; no canonical category is so."""


def to_pipeline(artefact: Artefact, clip: bool = True) -> Any:
    """An artefact as a fitted scikit-learn ``Pipeline``.

    Args:
        artefact: the model.
        clip: whether standard scores beyond 1e30 are cut off, as the artefact does. A converter to
            another format may not know that step, which no sane row needs.

    Returns:
        The pipeline, with the steps ``encode``, ``order`` and ``regressor``. Categories must be
        text in their canonical form (``model.categories``): whole numbers without a decimal point,
        ``true`` and ``false``. Null, NaN and unknown ones count as all other values.
    """
    pipeline = load_module("sklearn.pipeline")
    preprocessing = load_module("sklearn.preprocessing")
    compose = load_module("sklearn.compose")
    encoder, schema = artefact.encoder, artefact.schema
    places = {name: n for n, name in enumerate((*schema.numeric, *schema.categorical))}
    steps = []
    if schema.numeric:
        steps.append(("numeric", _scale(clip), list(range(len(schema.numeric)))))
    targets = encoder.targets if isinstance(encoder, FeatureEncoder) else {}
    for name, means in targets.items():
        steps.append((f"target {name}", _target(means, clip), [places[name]]))
    for name, known in encoder.categories.items():
        steps.append((f"category {name}", _one_hot(known), [places[name]]))
    for name in encoder.indicators if isinstance(encoder, FeatureEncoder) else ():
        steps.append((f"missing {name}", _indicator(), [places[name]]))
    columns = compose.ColumnTransformer(steps, remainder="drop", sparse_threshold=0)
    example = _example(artefact)
    columns.fit(example, np.arange(len(example), dtype=np.float64))
    read = len(schema.numeric)
    for name, made, _ in columns.transformers_:
        if name == "numeric":
            _set_scale(made, encoder.means[:read], encoder.scales[:read])
        elif name.startswith("target "):
            place = encoder.numeric.index(name.removeprefix("target "))
            here = slice(place, place + 1)
            _set_scale(made, encoder.means[here], encoder.scales[here])
            _set_means(made, targets[encoder.numeric[place]])
    order = preprocessing.FunctionTransformer(np.ascontiguousarray)  # BLAS goes by the order
    last = "regressor" if artefact.decision is None else "classifier"
    kinds = [("encode", columns), ("order", order), (last, artefact.estimator)]
    return pipeline.Pipeline(kinds if clip else [kinds[0], kinds[2]])


def _scale(clip: bool) -> Any:
    """Standard scores of numbers, a null taking the mean."""
    pipeline = load_module("sklearn.pipeline")
    preprocessing = load_module("sklearn.preprocessing")
    impute = load_module("sklearn.impute")
    steps = [
        ("null", impute.SimpleImputer(keep_empty_features=True)),
        ("scale", preprocessing.StandardScaler()),
    ]
    return pipeline.Pipeline([*steps, *_clip(clip)])


def _clip(clip: bool) -> list[tuple[str, Any]]:
    if not clip:
        return []
    bounds = {"a_min": -BOUND, "a_max": BOUND}
    preprocessing = load_module("sklearn.preprocessing")
    return [("clip", preprocessing.FunctionTransformer(np.clip, kw_args=bounds))]


def _set_scale(fitted: Any, means: Matrix, scales: Matrix) -> None:
    """Sets means and scales to the window's: what takes their place when fitted is an example."""
    if "null" in fitted.named_steps:
        fitted.named_steps["null"].statistics_ = means.copy()
    scaler = fitted.named_steps["scale"]
    scaler.mean_, scaler.scale_ = means.copy(), scales.copy()
    scaler.var_ = np.square(scales)


def _target(means: TargetMeans, clip: bool) -> Any:
    """Standard scores of a target encoding; ``_set_means`` sets its means."""
    preprocessing = load_module("sklearn.preprocessing")
    # Either null is one: a frame may have None or NaN.
    known = np.array([*means.values, None, np.nan], dtype=object)
    steps = [
        ("means", preprocessing.TargetEncoder(categories=[known], target_type="continuous")),
        ("scale", preprocessing.StandardScaler()),
    ]
    return load_module("sklearn.pipeline").Pipeline([*steps, *_clip(clip)])


def _set_means(fitted: Any, means: TargetMeans) -> None:
    encoder = fitted.named_steps["means"]
    encoder.encodings_ = [np.array([*means.values.values(), means.null, means.null])]
    encoder.target_mean_ = means.mean


def _indicator() -> Any:
    """1 where a value is None or NaN, else 0."""
    pipeline, preprocessing = load_module("sklearn.pipeline"), load_module("sklearn.preprocessing")
    steps = [
        ("found", preprocessing.FunctionTransformer(load_module("pandas").isna)),
        ("number", preprocessing.FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})),
    ]
    return pipeline.Pipeline(steps)


def _one_hot(known: tuple[str, ...]) -> Any:
    """One-hot columns of the known values, and one for all others, as infrequent ones have it."""
    encoder = load_module("sklearn.preprocessing").OneHotEncoder(
        categories=[np.array([*known, OTHER], dtype=object)],
        handle_unknown="infrequent_if_exist",
        min_frequency=2,
        sparse_output=False,
    )
    return encoder


def _example(artefact: Artefact) -> Any:
    """Rows to fit the transformers to: each known category twice, the stand-in once."""
    encoder = artefact.encoder
    most = max((len(known) for known in encoder.categories.values()), default=0)
    rows = 2 * most + 1
    numeric = artefact.schema.numeric
    columns: dict[str, Any] = {
        name: np.full(rows, mean) for name, mean in zip(numeric, encoder.means, strict=False)
    }
    for name in artefact.schema.categorical:
        known = encoder.categories.get(name)
        if known is None:  # target-encoded: its categories are given
            columns[name] = np.full(rows, None, dtype=object)
            continue
        values = [*known, *known, OTHER]
        fill = known[0] if known else OTHER
        padded = [*values, *[fill] * (rows - len(values))]
        columns[name] = np.array(padded, dtype=object)
    try:
        import pandas
    except ImportError:  # then columns are known by their places alone
        matrix = np.empty((rows, len(columns)), dtype=object)
        for place, values in enumerate(columns.values()):
            matrix[:, place] = values
        return matrix
    return pandas.DataFrame(columns)
