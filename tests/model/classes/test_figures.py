"""The figures of classes are those of scikit-learn on the same rows, however they are cut."""

from __future__ import annotations

import json
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from model.classes.decision import Classified, Decision, normalize
from model.classes.figures import (
    BINS,
    ClassSums,
    compute_class_figures,
    load_class_sums,
    sum_classes,
)

Ints = npt.NDArray[np.int64]


def draw(
    rows: int, classes: int, seed: int, rare: float | None = None, extra: bool = False
) -> tuple[Ints, Classified]:
    """Classes of some rows by place, and what a model that knows a little predicts for them."""
    rng = np.random.default_rng(seed)
    shares = np.full(classes, 1 / classes) if rare is None else np.array([1 - rare, rare])
    known = rng.choice(classes, size=rows, p=shares)
    logits = rng.normal(size=(rows, classes)) + np.log(shares)
    logits[np.arange(rows), known] += 1.0
    names = tuple(f"c{place:02d}" for place in range(classes))
    decision = Decision(
        names,
        tuple(range(classes)),
        shares,
        1 if classes == 2 else None,
        0.5 if classes == 2 else None,
    )
    classified = decision.classify(normalize(np.exp(logits)))
    if extra:  # a class that the model has not
        known[rng.random(rows) < 0.1] = classes
    return known, classified


def column(known: Ints, classes: int) -> pa.Array:
    names = pa.array([f"c{place:02d}" for place in range(classes + 1)])
    return pa.DictionaryArray.from_arrays(pa.array(known.astype(np.int32)), names)


def expected(known: Ints, classified: Classified) -> dict[str, Any]:
    """What scikit-learn says of the same rows."""
    rows, classes = classified.probabilities.shape
    padded = np.column_stack([classified.probabilities, np.zeros(rows)])
    chosen = np.maximum(padded[np.arange(rows), known], 1e-15)
    shares = np.maximum(np.append(classified.shares, 0.0)[known], 1e-15)
    predicted, binary = classified.predicted, classes == 2
    hot = np.eye(classes + 1)[known]
    found = {
        "log_loss": -np.log(chosen).mean(),
        "baseline_log_loss": -np.log(shares).mean(),
        "brier": np.square(padded - hot).sum(axis=1).mean() / (2 if binary else 1),
        "accuracy": metrics.accuracy_score(known, predicted),
        "unseen": int((known == classes).sum()),
    }
    truth, guess = (known == 1, predicted == 1) if binary else (known, predicted)
    averages = {"average": "binary" if binary else "macro", "zero_division": 0}
    for name in ("precision", "recall", "f1"):
        found[name] = getattr(metrics, f"{name}_score")(truth, guess, **averages)
    return found


CASES = {
    "two": (2, None, False),
    "three": (3, None, False),
    "twenty": (20, None, False),
    "one in a thousand": (2, 0.001, False),
    "a class that the model has not": (3, None, True),
    "two, and a class that the model has not": (2, None, True),
}


@pytest.mark.parametrize("case", CASES)
def test_figures_are_those_of_scikit_learn(case: str) -> None:
    classes, rare, extra = CASES[case]
    for seed in range(12):
        known, classified = draw(2_000, classes, seed, rare, extra)
        figures = compute_class_figures(sum_classes(column(known, classes), classified))
        for name, value in expected(known, classified).items():
            if figures[name] is None:  # nothing to divide by, which scikit-learn counts as 0
                assert name in ("precision", "recall", "f1") and value == 0
            else:
                assert figures[name] == pytest.approx(value, abs=1e-9), (name, seed)


def test_without_a_class_that_the_model_lacks_log_loss_and_brier_are_scikit_learns_own() -> None:
    for classes in (2, 3, 20):
        known, classified = draw(3_000, classes, 7)
        figures = compute_class_figures(sum_classes(column(known, classes), classified))
        found = classified.probabilities
        labels = list(range(classes))
        wanted = metrics.log_loss(known, found, labels=labels)
        assert figures["log_loss"] == pytest.approx(wanted, abs=1e-9)
        score = found[:, 1] if classes == 2 else found
        wanted = metrics.brier_score_loss(known, score, labels=labels)
        assert figures["brier"] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("rare", [None, 0.001])
def test_areas_are_within_their_stated_bounds_of_those_of_the_scores(rare: float | None) -> None:
    for seed in range(12):
        known, classified = draw(3_000, 2, seed, rare)
        figures = compute_class_figures(sum_classes(column(known, 2), classified))
        if not known.any():
            assert figures["roc_auc"] is None and figures["average_precision"] is None
            continue
        exact = metrics.roc_auc_score(known, classified.score)
        assert abs(figures["roc_auc"] - exact) <= figures["roc_auc_bound"] + 1e-12
        exact = metrics.average_precision_score(known, classified.score)
        bound = figures["average_precision_bound"]
        assert abs(figures["average_precision"] - exact) <= bound + 1e-12


def test_areas_are_exact_where_no_bin_has_both_outcomes() -> None:
    rng = np.random.default_rng(3)
    score = (rng.integers(0, 1_000, 500) + 0.5) / 1_000
    known = ((score * 1_000).astype(int) % 7 < 3).astype(np.int64)
    probabilities = np.column_stack([1 - score, score])
    classified = Classified(
        ("c00", "c01"), 1, probabilities, (score > 0.5).astype(np.int64), np.array([0.5, 0.5])
    )
    figures = compute_class_figures(sum_classes(column(known, 2), classified))
    assert figures["roc_auc_bound"] == 0
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(known, score), abs=1e-12)
    exact = metrics.average_precision_score(known, score)
    assert figures["average_precision"] == pytest.approx(exact, abs=1e-12)


def test_the_calibration_error_is_the_gap_of_scores_and_shares_in_equal_bins() -> None:
    for classes in (2, 3):
        known, classified = draw(5_000, classes, 11)
        figures = compute_class_figures(sum_classes(column(known, classes), classified))
        score = classified.score
        hits = known == (1 if classes == 2 else classified.predicted)
        bins = np.minimum((score * BINS).astype(int), BINS - 1)
        gaps = [
            abs(score[bins == one].mean() - hits[bins == one].mean()) * (bins == one).sum()
            for one in range(BINS)
            if (bins == one).any()
        ]
        assert figures["calibration_error"] == pytest.approx(sum(gaps) / len(known), abs=1e-9)
        assert figures["reliability"]["rows"] == np.bincount(bins, minlength=BINS).tolist()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([2, 3, 5]),
    st.lists(st.integers(0, 300), max_size=6),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_however_rows_are_cut_and_in_whatever_order_they_merge_the_sums_are_the_same(
    classes: int, cuts: list[int], seed: int, order: Any
) -> None:
    known, classified = draw(300, classes, seed, extra=True)
    whole = sum_classes(column(known, classes), classified)
    edges = [0, *sorted(cuts), 300]
    pieces = [np.arange(a, b) for a, b in pairwise(edges)]
    parts = [sum_classes(column(known[p], classes), classified.take(p)) for p in pieces]
    order.shuffle(parts)
    assert reduce(ClassSums.merge, parts, ClassSums()) == whole
    assert load_class_sums(json.loads(json.dumps(whole.fields()))) == whole


def test_models_of_different_classes_merge_by_name() -> None:
    first = draw(200, 2, 1)
    second = draw(200, 3, 2)
    both = sum_classes(column(first[0], 3), first[1]).merge(
        sum_classes(column(second[0], 3), second[1])
    )
    figures = compute_class_figures(both)
    guesses = np.concatenate([first[1].predicted, second[1].predicted])
    truth = np.concatenate([first[0], second[0]])
    table = metrics.confusion_matrix(truth, guesses, labels=[0, 1, 2])
    for row, name in enumerate(("c00", "c01", "c02")):
        for place, other in enumerate(("c00", "c01", "c02")):
            assert figures["confusion"].get(name, {}).get(other, 0) == table[row, place]
    assert figures["roc_auc"] is None and figures["positive"] is None
    wanted = metrics.f1_score(truth, guesses, average="macro")
    assert figures["f1"] == pytest.approx(wanted, abs=1e-12)


def test_confusion_has_the_most_frequent_classes_and_all_figures_are_of_all() -> None:
    rng = np.random.default_rng(1)
    known = np.minimum(rng.geometric(0.03, size=5_000) - 1, 119)
    probabilities = normalize(rng.random((5_000, 120)) + 3 * np.eye(120)[known])
    names = tuple(f"c{place:03d}" for place in range(120))
    predicted = probabilities.argmax(axis=1)
    classified = Classified(names, None, probabilities, predicted, np.full(120, 1 / 120))
    target = pa.DictionaryArray.from_arrays(pa.array(known.astype(np.int32)), pa.array(names))
    figures = compute_class_figures(sum_classes(target, classified))
    rows = np.bincount(known, minlength=120) + np.bincount(predicted, minlength=120)
    shown = set(sorted(range(120), key=lambda place: (-rows[place], names[place]))[:50])
    table = metrics.confusion_matrix(known, predicted, labels=range(120))
    found = {(a, b): n for a, mine in figures["confusion"].items() for b, n in mine.items()}
    kept = {(names[a], names[b]): table[a, b] for a in shown for b in shown if table[a, b]}
    assert found == kept
    assert figures["confusion_left_out"] == 5_000 - sum(kept.values()) > 0
    assert figures["accuracy"] == pytest.approx((known == predicted).mean())
    wanted = metrics.f1_score(known, predicted, average="macro", zero_division=0)
    assert figures["f1"] == pytest.approx(wanted, abs=1e-12)


def test_without_a_row_there_is_no_figure() -> None:
    figures = compute_class_figures(ClassSums())
    assert figures.pop("labelled") == figures.pop("unseen") == 0
    assert set(figures.values()) == {None}
