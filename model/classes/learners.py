"""Learners of classes: scikit-learn classifiers by a short name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def forest(seed: int, **parameters: Any) -> Any:
    """A RandomForestClassifier of 100 trees; leaves of 20 rows keep it small and quick."""
    from sklearn.ensemble import RandomForestClassifier

    defaults = {"n_estimators": 100, "min_samples_leaf": 20}
    return RandomForestClassifier(**{**defaults, "random_state": seed, **parameters})


def logistic(seed: int, **parameters: Any) -> Any:
    """A LogisticRegression with scikit-learn's defaults (C 1), of up to 1,000 iterations."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**{"random_state": seed, "max_iter": 1_000, **parameters})


def boosting(seed: int, **parameters: Any) -> Any:
    """A HistGradientBoostingClassifier with scikit-learn's defaults."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**{"random_state": seed, **parameters})


CLASSIFIERS: dict[str, Callable[..., Any]] = {
    "forest": forest,
    "logistic": logistic,
    "boosting": boosting,
}


def defaults_for(learner: str, rows: int, many: int) -> dict[str, Any]:
    """The defaults of a built-in learner that depend on the rows that it is fitted to.

    As those of regression, but a split of a forest sees the square root of the features.

    Args:
        learner: its name.
        rows: how many it is fitted to.
        many: with so many rows or more, a forest's defaults are those of its factory.

    Example:
        >>> defaults_for("forest", 24, 1_000), defaults_for("logistic", 24, 1_000)
        ({'min_samples_leaf': 1}, {})
    """
    if learner == "forest" and rows < many:
        return {"min_samples_leaf": max(1, rows // 50)}
    if learner == "boosting" and rows < 240:
        return {"min_samples_leaf": max(3, rows // 12)}
    return {}
