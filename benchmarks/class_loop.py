"""The plain loop of classes that the job is compared with: pyarrow, scikit-learn, joblib, no more.

``python -m benchmarks.class_loop FILE LEARNER WINDOW_ROWS FOLDER`` does with a classifier what
``benchmarks.loop`` does with a regressor: of each window of a Parquet file it predicts the
probabilities by the model of the window before, and takes their log loss; then a StandardScaler, a
fit, a joblib file. It prints the log losses as a JSON list.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.loop import Floats, Window, windows
from benchmarks.loop import loop as plain_loop
from model.baselines import LEAST


def classifier(learner: str) -> Any:
    """A classifier with the settings that the job has."""
    if learner == "logistic":
        return LogisticRegression(random_state=42, max_iter=1_000)
    return RandomForestClassifier(
        n_estimators=100, min_samples_leaf=20, random_state=42, n_jobs=os.cpu_count()
    )


def measure_loss(estimator: Any, features: Floats, target: Any) -> float:
    """The log loss of a classifier."""
    probabilities = estimator.predict_proba(features)
    bounded = np.maximum(probabilities, LEAST)  # as the job; scikit-learn's least is 2e-16
    return float(log_loss(target, bounded, labels=estimator.classes_))


def loop(found: Iterable[Window], learner: str, folder: Path) -> list[float]:
    """As ``benchmarks.loop.loop``; gives the log losses."""
    return plain_loop(found, learner, folder, classifier, measure_loss)


if __name__ == "__main__":
    file, name, size, out = sys.argv[1:]
    print(json.dumps(loop(windows(file, int(size)), name, Path(out))))
