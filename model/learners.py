"""Learners: scikit-learn estimators by a short name, or by the import path of a factory."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from model.classes.learners import CLASSIFIERS
from model.classes.learners import defaults_for as class_defaults_for
from model.classes.probabilities import predict_probabilities
from model.errors import UserError
from model.fitting import deep_params, fit, predict, set_params
from model.loading import import_lock
from model.wording import first_line

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


KINDS = {"regression": "regressor", "classification": "classifier"}
"""What a task's learner is called."""
TWINS = {"ridge": "logistic", "logistic": "ridge"}
"""The linear learner of the other task."""


def learners_of(task: str) -> dict[str, Callable[..., Any]]:
    """The built-in learners of a task, by name."""
    return CLASSIFIERS if task == "classification" else LEARNERS


def parse_parameter(text: str, option: str = "--learner-param") -> tuple[str, Any]:
    """A parameter from ``name=value``: a Python literal, ``true`` or ``false``, else text.

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


def make(
    learner: str, parameters: Parameters, seed: int, rows: int = MANY, task: str = "regression"
) -> Any:
    """An estimator that is not fitted yet: a regressor, or a classifier.

    Args:
        learner: ``forest``, ``boosting``, ``ridge`` (under classification ``logistic``), or
            ``package.module:factory``; the factory is called with the parameters and returns an
            estimator.
        parameters: for the regressor's constructor.
        seed: its random state, where it has one.
        rows: how many it will be fitted to (``defaults_for``); given parameters win.
        task: ``regression`` or ``classification``.

    Raises:
        UserError: if there is no such learner or parameter, or it takes no such value.
    """
    known = learners_of(task)
    factory = known.get(learner) or _import_factory(learner, task)
    seeds = (seed,) if learner in known else ()
    defaults = defaults_for(learner, rows)
    if task == "classification":
        defaults = class_defaults_for(learner, rows, MANY)
    try:
        with import_lock():
            estimator = factory(*seeds, **{**defaults, **parameters})
    except (TypeError, ValueError) as error:
        raise UserError(f"--learner {learner}: {first_line(error)}") from error
    predict = "predict_proba" if task == "classification" else "predict"
    able = callable(getattr(estimator, "fit", None)) and hasattr(estimator, predict)
    if not able or isinstance(estimator, type):
        raise UserError(
            f"--learner {learner}: gives a {type(estimator).__name__}; "
            f"must give a {KINDS[task]} with fit and {predict}"
        )
    # Without a seed, a retry would give other digits.
    states = deep_params(estimator, "random_state")
    unseeded = [name for name, state in states.items() if state is None]
    return set_params(estimator, dict.fromkeys(unseeded, seed))


TRIALS = ((64, 1), (2_000, 1), (2_000, 65))
"""Rows of the trials of ``check``, and how many columns each feature has there."""


def check(
    learner: str,
    parameters: Parameters,
    seed: int,
    features: int = 2,
    task: str = "regression",
) -> str | None:
    """Tries a learner on made-up rows, so that a bad parameter is refused before anything runs.

    One of ``LEARNERS`` as it is needs no trial: loading scikit-learn takes half a second. A
    learner may need many rows, many columns, or a target above 0 (as a Poisson regressor), so
    it is refused only if it can be fitted in no trial, or if a parameter is wrong in any.

    Args:
        learner: as for ``make``.
        parameters: as for ``make``.
        seed: as for ``make``.
        features: how many the schema has.
        task: as for ``make``.

    Returns:
        A warning if the predictions of a learner of one's own depend on how rows are cut.

    Raises:
        UserError: as ``make``, and if no fit succeeds.
    """
    if learner in learners_of(task) and not parameters:
        return None
    first: Exception | None = None
    fitted: Any = None
    for positive, (rows, columns) in product((False, True), TRIALS):
        estimator = make(learner, parameters, seed, task=task)
        rng = np.random.default_rng(0)
        matrix, target = rng.normal(size=(rows, max(features, 1) * columns)), rng.normal(size=rows)
        try:
            fitted = fit(estimator, matrix, _trial_target(target, positive, task))
            break
        except Exception as error:  # whatever a regressor raises for its parameters
            first = first or error
            if type(error.__cause__).__name__ == "InvalidParameterError":
                # scikit-learn's, by name: importing it would load scikit-learn for learners
                # without it. A parameter that it refuses is wrong for any rows.
                break
    if fitted is None:
        assert first is not None
        reason = first_line(first.__cause__ if isinstance(first.__cause__, Exception) else first)
        raise UserError(f"--learner {learner}: {reason}") from first
    if learner in learners_of(task) or not depends_on_cut(fitted, matrix.shape[1], task):
        return None
    return (
        f"--learner {learner}: its prediction of a row depends on the rows that it is predicted "
        "with, by its last digits at least: another --batch-rows or runner may give other ones"
    )


CUTS = (1, 8, 1_032)
"""Where the rows of ``depends_on_cut`` are cut; they are 3,000."""


def depends_on_cut(estimator: Any, columns: int, task: str) -> bool:
    """Whether rows have other predictions, by any bit, all at once than in pieces.

    One that cannot predict made-up rows is taken for one that does not.

    Args:
        estimator: a fitted one.
        columns: of its rows.
        task: as for ``make``.
    """
    ask = predict_probabilities if task == "classification" else predict
    rows = np.random.default_rng(1).normal(size=(3_000, columns))
    try:
        pieces = [ask(estimator, piece) for piece in np.split(rows, CUTS)]
        return np.concatenate(pieces).tobytes() != ask(estimator, rows).tobytes()
    except Exception:  # whatever a regressor raises for rows that it was not made for
        return False


def _trial_target(values: Any, positive: bool, task: str) -> Any:
    if task == "classification":
        return np.where(values > 0, "b", "a")
    return np.abs(values) + 0.1 if positive else values


def _import_factory(path: str, task: str) -> Callable[..., Any]:
    module, colon, name = path.partition(":")
    names = ", ".join(learners_of(task))
    if path in TWINS:
        other = "regression" if task == "classification" else "classification"
        raise UserError(
            f"--learner {path}: is for {other}, and the schema's task is {task}: "
            f"--learner {TWINS[path]} is its like"
        )
    if not colon:
        raise UserError(f"--learner {path!r}: must be {names}, or package.module:factory")
    try:
        with import_lock():
            factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"--learner {path}: cannot be imported: {error}") from error
    if not callable(factory):
        raise UserError(
            f"--learner {path}: is not a factory of a {KINDS[task]}: it cannot be called"
        )
    result: Callable[..., Any] = factory
    return result
