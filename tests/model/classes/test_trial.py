"""The trial of classes is scikit-learn's on two halves; what shows no skill does not serve."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from model.batch import LATE
from model.gate import Kind, judge
from model.manifest import ClassTrial, Gate, Learner, Window
from model.sample import in_half, splitmix64
from model.schema import Features, Schema
from model.training import Normalized, fit_artefact, normalize
from tests.kit.rows import NOON, accept
from tests.kit.sums import summarize_batch

SCHEMA = Schema(
    name="s", time="t", target="y", task="classification", features=Features(numeric=("a", "b"))
)
WINDOW = Window(NOON, NOON + 86_400_000_000)
LOGISTIC, FOREST = Learner("logistic", {}, 1), Learner("forest", {}, 1)


def make_rows(
    rows: int, classes: int, seed: int, shuffled: bool = False, rare: float | None = None
) -> pa.RecordBatch:
    """Rows whose class goes with two numbers, or with nothing."""
    rng = np.random.default_rng(seed)
    shares = None if rare is None else [1 - rare, rare]
    places = rng.choice(classes, size=rows, p=shares)
    a, b = rng.normal(size=(2, rows)) + np.stack([places, -places])
    names = np.array([f"c{place:02d}" for place in places])
    if shuffled:
        names = rng.permutation(names)
    return accept(SCHEMA, {"y": names.tolist(), "a": a, "b": b})


def data_of(batch: pa.RecordBatch) -> Normalized:
    assert not batch.column(LATE).true_count
    return normalize(batch, summarize_batch(batch, SCHEMA), SCHEMA, WINDOW)


def verdict(batch: pa.RecordBatch, learner: Learner = LOGISTIC, kind: Kind = "auto") -> Gate:
    data = data_of(batch)
    artefact, _ = fit_artefact(data, SCHEMA, learner)
    found = judge(artefact.estimator, data, SCHEMA, learner, kind)
    assert found is not None
    return found


def try_by_sklearn(batch: pa.RecordBatch) -> tuple[float, float, float]:
    """The log losses of the trial, and z, by plain scikit-learn and a loop over the rows."""
    data = data_of(batch)
    y = np.array(batch.column("y").to_pylist())
    half = in_half(splitmix64(np.arange(len(y))))
    names = sorted(set(y))
    loss = by_shares = gain = deviation = 0.0
    for mine, other in ((half, ~half), (~half, half)):
        fitted = LogisticRegression(max_iter=1_000).fit(data.matrix[mine], y[mine])
        shares = np.array([(y[mine] == name).mean() for name in names])
        p = (fitted.predict_proba(data.matrix[other]) + shares) / 2
        came = y[other]
        loss += log_loss(came, p, labels=names) * len(came)
        by_shares += log_loss(came, np.tile(shares, (len(came), 1)), labels=names) * len(came)
        variance = 0.0
        for row, name in zip(p - shares, came, strict=True):
            far = row - (row * shares).sum()
            gain += far[names.index(name)]
            variance += (shares * far**2).sum()
        deviation += sqrt(variance)
    return loss / len(y), by_shares / len(y), gain / deviation


@pytest.mark.parametrize("classes", [2, 4])
def test_a_trial_has_the_figures_of_scikit_learn(classes: int) -> None:
    batch = make_rows(800, classes, 1)
    found = verdict(batch)
    assert found.accepted and isinstance(found.trial, ClassTrial)
    got = found.trial.log_loss, found.trial.shares_log_loss, found.trial.z
    assert got == pytest.approx(try_by_sklearn(batch), rel=1e-6)
    assert found.trial.rows == 800 and found.trial.last_log_loss is None


@pytest.mark.parametrize("learner", [LOGISTIC, FOREST])
@pytest.mark.parametrize(
    ("rows", "classes", "rare"), [(320, 2, None), (900, 4, None), (6_000, 2, 0.01)]
)
def test_shuffled_targets_are_refused_and_those_that_go_with_the_features_are_not(
    learner: Learner, rows: int, classes: int, rare: float | None
) -> None:
    for seed in range(2):
        assert verdict(make_rows(rows, classes, seed, rare=rare), learner).accepted
        bad = verdict(make_rows(rows, classes, seed, shuffled=True, rare=rare), learner)
        assert not bad.accepted and bad.reason is not None and bad.trial is not None
        assert bad.reason.startswith("in a trial of ")


def test_of_a_window_with_more_rows_than_a_trial_has_the_rare_class_stays() -> None:
    batch = make_rows(30_000, 2, 5, rare=0.004)
    found = verdict(batch)
    assert found.accepted and found.trial is not None and found.trial.rows <= 10_000
    rare = np.mean(np.array(batch.column("y").to_pylist()) == "c01")
    wanted = -(rare * np.log(rare) + (1 - rare) * np.log(1 - rare))
    assert isinstance(found.trial, ClassTrial)
    assert found.trial.shares_log_loss == pytest.approx(wanted, rel=0.05)
    assert not verdict(make_rows(30_000, 2, 6, shuffled=True, rare=0.004)).accepted


@pytest.mark.parametrize(
    ("rows", "rare", "reason"),
    [
        (250, None, "no trial: 250 rows, where 300 are needed"),
        (2_000, 0.01, " of other classes than the most frequent one, where 50 are needed"),
    ],
)
def test_without_rows_enough_there_is_no_trial_and_the_reason_says_why(
    rows: int, rare: float | None, reason: str
) -> None:
    found = verdict(make_rows(rows, 2, 1, rare=rare))
    assert found.accepted and found.trial is None
    assert found.reason is not None and found.reason.endswith(reason)


def test_boosting_has_a_trial_only_if_it_is_asked_for() -> None:
    batch, boosting = make_rows(400, 2, 1), Learner("boosting", {"max_iter": 5}, 1)
    assert verdict(batch, boosting).reason == "no trial: --gate auto has none for boosting"
    assert verdict(batch, boosting, "trial").trial is not None


def test_a_model_of_classes_that_do_not_change_is_refused_beside_the_last_class() -> None:
    batch = make_rows(600, 2, 1)
    order: Any = np.argsort(batch.column("y").to_pylist(), kind="stable")
    y = pa.array(np.array(batch.column("y").to_pylist())[order]).dictionary_encode()
    batch = accept(
        SCHEMA,
        {"y": y.to_pylist(), **{n: batch.column(n).to_numpy()[order] for n in ("a", "b")}},
    )
    assert verdict(batch, kind="trial").accepted
    found = verdict(batch, kind="last")
    assert not found.accepted and isinstance(found.trial, ClassTrial)
    assert found.trial.last_log_loss == pytest.approx(-np.log(1e-15) / 599, rel=1e-9)
