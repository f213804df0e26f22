"""Learners: scikit-learn regressors by a short name, or by the import path of a factory."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import FitFailed, UserError
from model.loading import import_lock, load_module
from model.wording import first_line

Matrix = npt.NDArray[np.float64]
Parameters = Mapping[str, Any]


def forest(seed: int, **parameters: Any) -> Any:
    """A RandomForestRegressor of 100 trees; leaves of 20 rows keep it small (3 MB) and quick."""
    from sklearn.ensemble import RandomForestRegressor

    defaults = {"n_estimators": 100, "min_samples_leaf": 20, "max_features": 1 / 3}
    return RandomForestRegressor(**{**defaults, "random_state": seed, **parameters})


def ridge(seed: int, **parameters: Any) -> Any:
    """A Ridge regression with scikit-learn's defaults (alpha 1)."""
    from sklearn.linear_model import Ridge

    return Ridge(**parameters)


def boosting(seed: int, **parameters: Any) -> Any:
    """A HistGradientBoostingRegressor with scikit-learn's defaults."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**{"random_state": seed, **parameters})


LEARNERS: dict[str, Callable[..., Any]] = {"forest": forest, "ridge": ridge, "boosting": boosting}


MANY = 1_000
"""With this many rows or more, a learner's defaults are those of its factory."""


def defaults_for(learner: str, rows: int) -> dict[str, Any]:
    """The defaults of a built-in learner that depend on the rows that it is fitted to.

    Leaves of 20 rows, good for many, leave a tree of 24 rows without a single split. So the
    leaves grow with the rows; and of few rows a forest's splits see all features, as
    scikit-learn's own do. ``docs/design.md`` has the figures by which they were chosen.

    Example:
        >>> defaults_for("forest", 24), defaults_for("forest", 1_000)
        ({'min_samples_leaf': 1, 'max_features': 1.0}, {})
        >>> defaults_for("boosting", 24), defaults_for("boosting", 240)
        ({'min_samples_leaf': 3}, {})
    """
    if learner == "forest" and rows < MANY:
        return {"min_samples_leaf": max(1, rows // 50), "max_features": 1.0}
    if learner == "boosting" and rows < 240:
        return {"min_samples_leaf": max(3, rows // 12)}
    return {}


def parse_parameter(text: str, option: str = "--learner-param") -> tuple[str, Any]:
    """A parameter from ``name=value``; the value is a Python literal, or else text.

    Args:
        text: the parameter.
        option: where it was given, for messages.

    Raises:
        UserError: if there is no ``=`` or no name.

    Example:
        >>> parse_parameter("max_depth=8"), parse_parameter("criterion=squared_error")
        (('max_depth', 8), ('criterion', 'squared_error'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"{option} {text!r}: must be name=value, as in max_depth=8")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, {"true": True, "false": False}.get(value, value)


def make(learner: str, parameters: Parameters, seed: int, rows: int = MANY) -> Any:
    """A regressor that is not fitted yet.

    Args:
        learner: ``forest``, ``ridge``, ``boosting``, or ``package.module:factory``; the
            factory is called with the parameters and returns a regressor.
        parameters: for the regressor's constructor.
        seed: its random state, where it has one.
        rows: how many it will be fitted to (``defaults_for``); given parameters win.

    Raises:
        UserError: if there is no such learner or parameter, or it takes no such value.
    """
    factory = LEARNERS.get(learner) or _import_factory(learner)
    seeds = (seed,) if learner in LEARNERS else ()
    try:
        with import_lock():
            estimator = factory(*seeds, **{**defaults_for(learner, rows), **parameters})
    except (TypeError, ValueError) as error:
        raise UserError(f"--learner {learner}: {first_line(error)}") from error
    able = callable(getattr(estimator, "fit", None)) and hasattr(estimator, "predict")
    if not able or isinstance(estimator, type):
        raise UserError(
            f"--learner {learner}: gives a {type(estimator).__name__}; "
            "must give a regressor with fit and predict"
        )
    unseeded = [name for name, value in _deep(estimator, "random_state").items() if value is None]
    return _set(estimator, dict.fromkeys(unseeded, seed))


TRIALS = ((64, 1), (2_000, 1), (2_000, 65))
"""Rows of the trials of ``check``, and how many columns each feature has there."""


def check(learner: str, parameters: Parameters, seed: int, features: int = 2) -> None:
    """Tries a learner on made-up rows, so that a bad parameter is refused before anything runs.

    One of ``LEARNERS`` as it is needs no trial: loading scikit-learn takes half a second. A
    learner may need many rows, many columns, or a target above 0 (as a Poisson regressor), so
    it is refused only if it can be fitted in no trial, or if a parameter is wrong in any.

    Args:
        learner: as for ``make``.
        parameters: as for ``make``.
        seed: as for ``make``.
        features: how many the schema has.

    Raises:
        UserError: as ``make``, and if no fit succeeds.
    """
    if learner in LEARNERS and not parameters:
        return
    first: Exception | None = None
    for positive, (rows, columns) in product((False, True), TRIALS):
        estimator = make(learner, parameters, seed)
        rng = np.random.default_rng(0)
        matrix, target = rng.normal(size=(rows, max(features, 1) * columns)), rng.normal(size=rows)
        try:
            fit(estimator, matrix, np.abs(target) + 0.1 if positive else target)
            return
        except Exception as error:  # whatever a regressor raises for its parameters
            first = first or error
            if type(error.__cause__).__name__ == "InvalidParameterError":  # scikit-learn's
                break
    assert first is not None
    reason = first_line(first.__cause__ if isinstance(first.__cause__, Exception) else first)
    raise UserError(f"--learner {learner}: {reason}") from first


def fit(estimator: Any, matrix: Matrix, target: Matrix) -> Any:
    """Fits a regressor so that its digits depend on the rows and their order alone.

    A forest's trees are grown by many threads, which changes no digit; linear algebra and
    boosting add in an order that depends on the number of threads, so they get one.

    Args:
        estimator: what ``make`` returned.
        matrix: shape (rows, features), C order.
        target: shape (rows,).

    Returns:
        The estimator, fitted, with n_jobs=1: a forest that predicts with more sums its
        trees in the order in which they end.

    Raises:
        FitFailed: if the estimator's own fit raises anything but a MemoryError or an OSError.
    """
    alone = dict.fromkeys(_deep(estimator, "n_jobs"), 1)
    _set(estimator, alone)
    with ExitStack() as during:
        if _is_forest(estimator):
            _keep_signature(type(estimator.estimator).__init__)
            _set(estimator, {"n_jobs": during.enter_context(_cores.share())})
        during.enter_context(one_thread())
        during.enter_context(_finite())
        with fit_failures():
            estimator.fit(matrix, target)
    return _set(estimator, alone)


@contextmanager
def fit_failures() -> Iterator[None]:
    """Turns what an estimator raises into ``FitFailed``; its message has the error's type.

    What the machine lacks (memory, a file) is no fault of the window and passes as it is, as
    does what ends a process.
    """
    try:
        yield
    except (MemoryError, OSError, FitFailed):
        raise
    except Exception as error:
        raise FitFailed(f"{type(error).__name__}: {error}") from error


@cache
def _keep_signature(function: Any) -> None:
    """Has a function hold its signature, as PEP 362 lets it.

    scikit-learn clones a forest's trees one after another before it grows them, and asks
    ``inspect.signature`` for their parameters at each: 10 ms of a fit that all cores wait for.
    """
    function.__signature__ = inspect.signature(function)


class _Cores:
    """What forests that are grown at the same time share.

    One alone is grown by all cores, but for what only one thread does: 1.8 of two. Two with a
    core each keep both busy, and wait less for Python's lock; more than cores would only wait.
    """

    def __init__(self) -> None:
        self._turns = threading.Semaphore(_count())
        self._lock = threading.Lock()
        self._growing = 0

    @contextmanager
    def share(self) -> Iterator[int]:
        """How many threads a forest is grown by; it waits while there is no core for it."""
        with self._turns:
            with self._lock:
                self._growing += 1
                threads = max(1, _count() // self._growing)
            try:
                yield threads
            finally:
                with self._lock:
                    self._growing -= 1


def _count() -> int:
    return os.cpu_count() or 1


_cores = _Cores()
ROWS_A_THREAD = 1_000
"""A forest's rows are predicted in so many at least for each thread."""


def predict(estimator: Any, matrix: Matrix) -> Matrix:
    """Predictions of shape (rows,), the same to the last digit on every call.

    A forest's rows are shared out to threads: each row's trees are still summed in order.
    A ridge multiplies, as its own ``predict`` does after checks that take six times as long.
    """
    if _is_ridge(estimator):
        one_for_algebra()
        return np.asarray(matrix @ estimator.coef_ + estimator.intercept_)
    threads = min(_count(), len(matrix) // ROWS_A_THREAD)
    with one_thread(), _finite():
        if threads < 1 or not _is_forest(estimator):
            return np.asarray(estimator.predict(matrix), dtype=np.float64).reshape(len(matrix))
        mine, *others = np.array_split(matrix, threads)
        theirs = [_pool().submit(_by_trees, estimator, piece) for piece in others]
        done = [_by_trees(estimator, mine), *(their.result() for their in theirs)]
        return np.concatenate(done)


def _by_trees(forest: Any, matrix: Matrix) -> Matrix:
    """A forest's predictions of rows: the mean of its trees', summed in order.

    That is what ``ForestRegressor.predict`` does with one job, tree by tree, each in contexts of
    its own that take threads as long as the trees do. Rows are gone through in the order of the
    first tree's leaves: they take much the same ways through the others too, and the processor
    foresees their branches, which saves a quarter. Each row's digits are its own.
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


def _deep(estimator: Any, last: str) -> dict[str, Any]:
    """The parameters of that name, the estimator's own and those of estimators within it."""
    every = params_of(estimator, deep=True)
    return {name: value for name, value in every.items() if name.split("__")[-1] == last}


def _set(estimator: Any, parameters: dict[str, Any]) -> Any:
    if parameters:
        estimator.set_params(**parameters)
    return estimator


def one_for_algebra() -> None:
    """From now on linear algebra has one thread in this process.

    Given back at the end, the limit would change under another thread that still fits.
    """
    _openmp()


def one_thread() -> Any:
    """A context in which OpenMP has one thread, within the calling thread; as has linear algebra.

    The latter from now on: see ``one_for_algebra``.
    """
    return _openmp().limit(limits=1)


def _finite() -> Any:
    """A context in which scikit-learn does not look for NaN and infinity: the encoder did."""
    return load_module("sklearn").config_context(assume_finite=True)


@cache
def _openmp() -> Any:
    load_module("sklearn.linear_model")  # its libraries must be loaded to be found
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    controller.select(user_api="blas").limit(limits=1)
    return controller.select(user_api="openmp")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="predict")


def _import_factory(path: str) -> Callable[..., Any]:
    module, colon, name = path.partition(":")
    names = ", ".join(LEARNERS)
    if not colon:
        raise UserError(f"--learner {path!r}: must be {names}, or package.module:factory")
    try:
        with import_lock():
            factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"--learner {path}: cannot be imported: {error}") from error
    if not callable(factory):
        raise UserError(f"--learner {path}: is no factory of a regressor: it cannot be called")
    result: Callable[..., Any] = factory
    return result
