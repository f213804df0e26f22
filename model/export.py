"""A model as a plain scikit-learn pipeline, which needs nothing of this project to predict.

The pipeline normalises and encodes as the artefact does, with scikit-learn's own transformers, and
ends in the artefact's regressor. It takes a pandas frame with the schema's features, or a NumPy
matrix of them in the order of the schema: numbers first, then categories as text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from model.artefact import Artefact
from model.encoder import BOUND
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
    encoder = artefact.encoder
    numeric, categorical = list(encoder.numeric), list(encoder.categories)
    steps = []
    if numeric:
        places = list(range(len(numeric)))
        steps.append(("numeric", _scale(encoder, clip), places))
    for place, name in enumerate(categorical, len(numeric)):
        steps.append((f"category {name}", _one_hot(encoder.categories[name]), [place]))
    columns = compose.ColumnTransformer(steps, remainder="drop", sparse_threshold=0)
    columns.fit(_example(artefact))
    for name, made, _ in columns.transformers_:
        if name == "numeric":
            _set_scale(made, encoder)
    order = preprocessing.FunctionTransformer(np.ascontiguousarray)  # BLAS goes by the order
    kinds = [("encode", columns), ("order", order), ("regressor", artefact.estimator)]
    return pipeline.Pipeline(kinds if clip else [kinds[0], kinds[2]])


def _scale(encoder: Any, clip: bool) -> Any:
    pipeline = load_module("sklearn.pipeline")
    preprocessing = load_module("sklearn.preprocessing")
    impute = load_module("sklearn.impute")
    steps = [
        ("null", impute.SimpleImputer(keep_empty_features=True)),
        ("scale", preprocessing.StandardScaler()),
    ]
    if clip:
        bounds = {"a_min": -BOUND, "a_max": BOUND}
        steps.append(("clip", preprocessing.FunctionTransformer(np.clip, kw_args=bounds)))
    return pipeline.Pipeline(steps)


def _set_scale(fitted: Any, encoder: Any) -> None:
    """Sets means and scales to the window's: what takes their place when fitted is an example."""
    fitted.named_steps["null"].statistics_ = encoder.means.copy()
    scaler = fitted.named_steps["scale"]
    scaler.mean_, scaler.scale_ = encoder.means.copy(), encoder.scales.copy()
    scaler.var_ = np.square(encoder.scales)


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
    columns: dict[str, Any] = {
        name: np.full(rows, mean) for name, mean in zip(encoder.numeric, encoder.means, strict=True)
    }
    for name, known in encoder.categories.items():
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
