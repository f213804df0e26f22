"""Fits estimators and predicts with regressors, with the same digits every time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np

from model.arrays import Matrix
from model.errors import FitFailed
from model.loading import load_module
from model.threads import cores, count_cores, limit_blas, one_thread, pool


def fit(
    estimator: Any, matrix: Matrix, target: Any, parallel: bool | None = None, **more: Any
) -> Any:
    """Fits an estimator so that its digits depend on the rows and their order alone.

    A forest's trees are grown by many threads, which changes no digit; linear algebra and
    boosting add in an order that depends on the number of threads, so they get one.

    Args:
        estimator: what ``model.learners.make`` returned.
        matrix: shape (rows, features), C order.
        target: shape (rows,).
        parallel: whether threads change no digit of it; None: it is a forest of regression trees.
        more: further arguments of its fit.

    Returns:
        The estimator, fitted, with n_jobs=1: a forest that predicts with more sums its
        trees in the order in which they end.

    Raises:
        FitFailed: if the estimator's own fit raises anything but a MemoryError or an OSError.
    """
    jobs = deep_params(estimator, "n_jobs")
    if parallel is False:  # None is one job, too; a logistic regression warns of any other
        jobs = {name: value for name, value in jobs.items() if value is not None}
    alone = dict.fromkeys(jobs, 1)
    set_params(estimator, alone)
    with ExitStack() as during:
        if _is_forest(estimator) if parallel is None else parallel:
            set_params(estimator, {"n_jobs": during.enter_context(cores.share())})
            during.enter_context(_FILTERS)
        during.enter_context(one_thread())
        during.enter_context(finite())
        with fit_failures():
            estimator.fit(matrix, target, **more)
    return set_params(estimator, alone)


class _WarningFilters:
    """Keeps the process's warning filters while scikit-learn's forests work in threads.

    Each tree sets ``warnings.filters`` and puts them back, which is not safe in threads: now and
    then all are gone for good, and from there on each tree of each forest warns of that. The first
    thread to enter keeps them, and the last one to leave restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._kept = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._kept.enter_context(warnings.catch_warnings())
                warnings.showwarning = partial(_show_others, warnings.showwarning)

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._kept.close()


def _show_others(show: Callable[..., None], message: Any, *args: Any, **more: Any) -> None:
    """Shows a warning, unless it is that of a tree that has found no filters."""
    if "sklearn.utils.parallel.delayed" not in str(message):
        show(message, *args, **more)


_FILTERS = _WarningFilters()


@contextmanager
def fit_failures() -> Iterator[None]:
    """Turns what an estimator raises into ``FitFailed``; its message has the error's type.

    What the machine lacks (memory, a file) is not the fault of the window and passes as it is, as
    does what ends a process.
    """
    try:
        yield
    except (MemoryError, OSError, FitFailed):
        raise
    except Exception as error:
        raise FitFailed(f"{type(error).__name__}: {error}") from error


ROWS_A_THREAD = 1_000
"""Minimum number of rows that a thread of its own predicts."""


def predict(estimator: Any, matrix: Matrix) -> Matrix:
    """Predictions of shape (rows,), the same to the last digit on every call.

    A forest's rows are divided among threads: each row's trees are still summed in order. A
    ridge multiplies row by row, so that a row's digits do not depend on the rows beside it.

    BLAS has one thread in this process from then on (``model.threads.limit_blas``).
    """
    if _is_ridge(estimator):
        limit_blas()
        # Not a product by BLAS, whose digits depend on which rows are multiplied together; and rows
        # that lie in one piece, for columns that do are added in another order.
        found: Matrix = np.einsum("ij,j->i", np.ascontiguousarray(matrix), estimator.coef_)
        found += estimator.intercept_
        return found
    threads = min(count_cores(), len(matrix) // ROWS_A_THREAD)
    with _FILTERS, one_thread(), finite():
        if threads < 1 or not _is_forest(estimator):
            return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(len(matrix))
        mine, *others = np.array_split(matrix, threads)
        theirs = [pool().submit(_by_trees, estimator, piece) for piece in others]
        done = [_by_trees(estimator, mine), *(their.result() for their in theirs)]
        return np.concatenate(done)


def _by_trees(forest: Any, matrix: Matrix) -> Matrix:
    """A forest's predictions of rows: the mean of its trees', summed in order.

    ``ForestRegressor.predict`` with one job gives the same digits, but enters contexts for each
    tree that take threads as long as the tree does. Rows go through the trees sorted by the first
    tree's leaves: neighbours then take similar paths through the other trees too, and the
    processor predicts their branches, which saves a quarter of the time. A row's digits do not
    depend on the order of rows.
    """
    first, *others = (tree.tree_ for tree in forest.estimators_)
    rows = matrix.astype(np.float32)
    order = np.argsort(first.apply(rows), kind="stable")
    rows = rows[order]
    sums = first.predict(rows)[:, 0]
    for tree in others:
        sums += tree.predict(rows)[:, 0]
    predictions = np.empty(len(matrix))
    predictions[order] = sums / len(forest.estimators_)
    return predictions


def _is_forest(estimator: Any) -> bool:
    forest_predict = load_module("sklearn.ensemble._forest").ForestRegressor.predict
    return getattr(type(estimator), "predict", None) is forest_predict


def _is_ridge(estimator: Any) -> bool:
    plain = load_module("sklearn.linear_model").Ridge
    return type(estimator) is plain and np.ndim(estimator.coef_) == 1


def params_of(estimator: Any, deep: bool = False) -> dict[str, Any]:
    """A regressor's parameters by name; none if it has no ``get_params``.

    Args:
        estimator: a regressor.
        deep: with those of estimators within it, as ``step__alpha``.
    """
    get = getattr(estimator, "get_params", None)
    return dict(get(deep=deep)) if get else {}


def deep_params(estimator: Any, last: str) -> dict[str, Any]:
    """The parameters of that name, the estimator's own and those of estimators within it."""
    every = params_of(estimator, deep=True)
    return {name: value for name, value in every.items() if name.split("__")[-1] == last}


def set_params(estimator: Any, parameters: dict[str, Any]) -> Any:
    """Sets parameters, if there are any; returns the estimator."""
    if parameters:
        estimator.set_params(**parameters)
    return estimator


def finite() -> Any:
    """A context in which scikit-learn does not check for NaN and infinity: the encoder has none."""
    return load_module("sklearn").config_context(assume_finite=True)
