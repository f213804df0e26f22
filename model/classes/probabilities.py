"""Probabilities of a classifier's classes, with the same digits for a row whatever is beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from model import fitting
from model.arrays import Matrix
from model.loading import load_module
from model.threads import count_cores, one_thread, pool


def predict_probabilities(estimator: Any, matrix: Matrix) -> Matrix:
    """Probabilities of shape (rows, classes), in the order of the estimator's ``classes_``.

    A forest's rows are divided among threads, each row's trees summed in order; a logistic
    regression's products are summed feature by feature (BLAS sums in an order that depends on
    how many rows there are). Any other classifier predicts by itself.
    """
    if _is_logistic(estimator):
        return _by_weights(estimator, matrix)
    threads = min(count_cores(), len(matrix) // fitting.ROWS_A_THREAD)
    with one_thread(), fitting.finite():
        if not is_forest(estimator):
            found = np.asarray(estimator.predict_proba(matrix), dtype=np.float64)
            return found.reshape(len(matrix), -1)
        if threads < 2:
            return _by_trees(estimator, matrix)
        mine, *others = np.array_split(matrix, threads)
        theirs = [pool().submit(_by_trees, estimator, piece) for piece in others]
        done = [_by_trees(estimator, mine), *(their.result() for their in theirs)]
        return np.concatenate(done)


def _by_trees(forest: Any, matrix: Matrix) -> Matrix:
    """The mean of the trees' probabilities, as ``fitting.predict`` has that of their numbers."""
    classes = len(forest.classes_)
    first, *others = (tree.tree_ for tree in forest.estimators_)
    rows = matrix.astype(np.float32)
    order = np.argsort(first.apply(rows), kind="stable")
    rows = rows[order]
    sums = first.predict(rows)[:, :classes]
    for tree in others:
        sums = sums + tree.predict(rows)[:, :classes]
    found = np.empty((len(matrix), classes))
    found[order] = sums / len(forest.estimators_)
    return found


def _by_weights(logistic: Any, matrix: Matrix) -> Matrix:
    scores = np.empty((len(matrix), len(logistic.coef_)))
    for place, (weights, shift) in enumerate(zip(logistic.coef_, logistic.intercept_, strict=True)):
        scores[:, place] = np.einsum("ij,j->i", matrix, weights) + shift
    if scores.shape[1] == 1:
        positive = 1 / (1 + np.exp(-np.clip(scores[:, 0], -700, 700)))
        return np.stack([1 - positive, positive], axis=1)
    scores -= scores.max(axis=1, keepdims=True)
    powers = np.exp(scores)
    return np.asarray(powers / np.einsum("ij->i", powers)[:, None])


def is_forest(estimator: Any) -> bool:
    """Whether an estimator is one of scikit-learn's forests of classification trees."""
    plain = load_module("sklearn.ensemble._forest").ForestClassifier.predict_proba
    return getattr(type(estimator), "predict_proba", None) is plain


def _is_logistic(estimator: Any) -> bool:
    plain = load_module("sklearn.linear_model").LogisticRegression
    return type(estimator) is plain and estimator.coef_.ndim == 2
