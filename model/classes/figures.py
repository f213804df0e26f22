"""Figures of classification over the rows of a refresh, from sums that merge.

All sums are whole numbers: counts, scores in units of 2**-36, losses in units of 2**-44. So they
are the same in whatever order, and however cut, the rows are added, and the figures are those of
scikit-learn to 1e-9 and better (``python -m benchmarks.classes``). The areas under curves go by
counts of scores in ``SCORES`` equal bins, whose rows count as ties; each comes with a bound of the
error that this may make.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import fsum
from operator import add
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.baselines import (
    CLASS_BASELINES,
    LEAST,
    Link,
    Past,
    RefreshSummary,
    Tally,
    dump_links,
    join_links,
    load_links,
)
from model.classes.decision import Classified, Places, find_places

UNIT = 2.0**36
"""Scores are summed as whole numbers of this many to 1: a batch of a million stays below 2**63."""
LOSS_UNIT = 2.0**44
"""Losses are summed as whole numbers of this many to 1.

They are finer than scores, since ``skill`` divides by the baseline's loss, which is 0.005 where one
row in a thousand is positive.
"""
EDGE = 1e-9
"""A score this near below a bin's edge, in bins, lies above it.

The shares of a forest's trees lie at edges, and their last digit depends on who computes them.
"""
SCORES = 1_000
"""Number of bins of scores, from which the areas under curves are computed."""
DRAWN = 100
"""Number of bins of scores that a report has, to draw curves from."""
BINS = 20
"""Number of bins of the calibration error, as equal parts of the scores from 0 to 1."""

CONFUSED = 50
"""Maximum number of classes in a report's ``confusion``: those of the most rows, which either are
of the class or were predicted as it. Figures are of all classes."""

Counts = tuple[int, ...]


class Reliability(NamedTuple):
    """What scores and outcomes are in each of ``BINS`` bins of scores.

    Attributes:
        rows: how many there are.
        hits: how many are of the class that the score is of.
        scores: sums of scores, in units.
    """

    rows: Counts
    hits: Counts
    scores: Counts

    def merge(self, other: Reliability) -> Reliability:
        """Of both parts' rows."""
        return Reliability(*(_add(a, b) for a, b in zip(self, other, strict=True)))

    def error(self) -> float | None:
        """The expected calibration error: how far scores are from shares, over all rows.

        (Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using
        Bayesian binning".) Null without a row.
        """
        total = sum(self.rows)
        gaps = (
            abs(score / UNIT - hits) for hits, score in zip(self.hits, self.scores, strict=True)
        )
        return fsum(gaps) / total if total else None

    def as_dict(self) -> dict[str, Any]:
        """As a report has it: rows, mean score and share of hits, bin by bin."""
        rows = self.rows
        return {
            "rows": list(rows),
            "score": [s / UNIT / n if n else None for s, n in zip(self.scores, rows, strict=True)],
            "share": [h / n if n else None for h, n in zip(self.hits, rows, strict=True)],
        }


class Losses(NamedTuple):
    """How far some probabilities are from the classes that came.

    Attributes:
        log, brier: sums of the log loss, and of squared errors over all classes, in loss units.
        reliability: of their scores.
    """

    log: int
    brier: int
    reliability: Reliability

    def merge(self, other: Losses) -> Losses:
        """Of both parts' rows."""
        reliability = self.reliability.merge(other.reliability)
        return Losses(self.log + other.log, self.brier + other.brier, reliability)


class ClassSums(NamedTuple):
    """Sums over scored rows with a class, from which figures follow.

    Attributes:
        labelled: how many there are.
        losses: of the probabilities; None without a row.
        raw: of those before calibration; None if some rows have none.
        baseline: the log loss of the class shares of the model's window, in loss units.
        unseen: rows of a class that the model's window had not.
        confusion: how often (class, predicted class) came, in order.
        positive: the class that ``scores`` are of; "" if some model has not two classes, or
            models differ in it.
        scores: rows of the positive, then all others, in ``SCORES`` bins of scores each.
        links: of each batch, what the baseline ``last`` needs, of its unscored rows too.
        usual: rows of the class that was the most frequent in the model's window; None in sums of
            older versions.
    """

    labelled: int = 0
    losses: Losses | None = None
    raw: Losses | None = None
    baseline: int = 0
    unseen: int = 0
    confusion: tuple[tuple[str, str, int], ...] = ()
    positive: str = ""
    scores: Counts = ()
    links: tuple[Link, ...] = ()
    usual: int | None = 0

    @property
    def task(self) -> str:
        """The task's name."""
        return "classification"

    def summary(self) -> RefreshSummary | None:
        """What later refreshes need of these, the sums of a whole refresh; None if nothing."""
        if not self.labelled and not self.links:
            return None
        shares = Tally(self.labelled, self.baseline / LOSS_UNIT)
        return RefreshSummary(self.labelled, {"shares": shares}, join_links(self.links).rounded())

    def merge(self, other: ClassSums) -> ClassSums:
        """Of both parts' rows."""
        links = self.links + other.links
        if self.losses is None or other.losses is None:
            return (self if other.losses is None else other)._replace(links=links)
        same = self.positive == other.positive
        raw = self.raw.merge(other.raw) if self.raw and other.raw else None
        cells: dict[tuple[str, str], int] = {}
        for known, predicted, count in (*self.confusion, *other.confusion):
            cells[known, predicted] = cells.get((known, predicted), 0) + count
        return ClassSums(
            labelled=self.labelled + other.labelled,
            losses=self.losses.merge(other.losses),
            raw=raw,
            baseline=self.baseline + other.baseline,
            unseen=self.unseen + other.unseen,
            confusion=tuple((*pair, count) for pair, count in sorted(cells.items())),
            positive=self.positive if same else "",
            scores=_add(self.scores, other.scores) if same else (),
            links=links,
            usual=None if self.usual is None or other.usual is None else self.usual + other.usual,
        )

    def figures(self, past: Past) -> dict[str, Any]:
        """The figures of a refresh: ``compute_class_figures``, and those of the baselines.

        Args:
            past: what is known of the refreshes before.
        """
        found, summary = compute_class_figures(self), self.summary()
        if not self.labelled or summary is None:
            summary = RefreshSummary()
        tallies, last = past.tally(summary), past.follow(summary.chain)
        losses = {name: tallies.get(name, Tally()).mae for name in CLASS_BASELINES}
        best = past.best()
        least = None if best is None else losses[best]
        usual = self.usual / self.labelled if self.labelled and self.usual is not None else None
        return {
            **found,
            "baselines": losses,
            "baseline_accuracy": {
                "shares": usual,
                "last": 1 - float(last.absolute) / last.rows if last.rows else None,
            },
            "baseline_rows": {name: tallies.get(name, Tally()).rows for name in CLASS_BASELINES},
            "best_baseline": best,
            "skill_best": 1 - found["log_loss"] / least if self.labelled and least else None,
        }

    def errors(self) -> dict[str, Any]:
        """The figures of a cohort: those that need nothing of the refreshes before."""
        return compute_class_figures(self)

    def fields(self) -> list[Any]:
        """The sums as JSON has them, to the last digit."""
        *plain, links, usual = self
        linked = dump_links(links)
        return [*plain, linked, usual]


def load_class_sums(fields: Sequence[Any]) -> ClassSums:
    """The sums of their fields, as JSON has them; those that were added later may be absent."""
    labelled, losses, raw, baseline, unseen, confusion, positive, scores, *later = fields
    links, usual = later or ((), None)
    return ClassSums(
        labelled,
        None if losses is None else _load_losses(losses),
        None if raw is None else _load_losses(raw),
        baseline,
        unseen,
        tuple((known, predicted, count) for known, predicted, count in confusion),
        positive,
        tuple(scores),
        load_links(links),
        usual,
    )


def _load_losses(fields: Sequence[Any]) -> Losses:
    log, brier, reliability = fields
    return Losses(log, brier, Reliability(*map(tuple, reliability)))


def sum_classes(target: pa.Array, classified: Classified) -> ClassSums:
    """The sums of a batch's rows.

    Args:
        target: their classes, dictionary<int32, string>; null: unlabelled.
        classified: what was predicted for them.

    Returns:
        The sums over the rows with a class.
    """
    if target.null_count:
        mask = target.is_valid().to_numpy(zero_copy_only=False)
        target, classified = target.filter(pa.array(mask)), classified.take(np.flatnonzero(mask))
    if not len(target):
        return ClassSums()
    classes = classified.classes
    places = find_places(target, classes)
    known = places >= 0
    shares = np.where(known, classified.shares[places], 0.0)
    positive, scores = "", tuple[int, ...]()
    if classified.positive is not None:
        positive = classes[classified.positive]
        scores = _count_scores(classified.score, places == classified.positive)
    raw = classified.raw
    return ClassSums(
        labelled=len(target),
        losses=_losses(classified.probabilities, places, classified),
        raw=None if raw is None else _losses(raw, places, classified),
        baseline=_units(-np.log(np.maximum(shares, LEAST))),
        unseen=int(np.count_nonzero(shares == 0)),
        confusion=_count_pairs(target, places, classified),
        positive=positive,
        scores=scores,
        usual=int(np.count_nonzero(places == classified.shares.argmax())),
    )


def _losses(probabilities: Matrix, places: Places, classified: Classified) -> Losses:
    rows = np.arange(len(places))
    known = places >= 0
    chosen = np.where(known, probabilities[rows, places], 0.0)
    # Over all classes (p - hit)**2 is the sum of p**2, and of 1 - 2p for the class that came.
    squares = np.einsum("ij,ij->i", probabilities, probabilities) + 1 - 2 * chosen
    place = classified.predicted if classified.positive is None else classified.positive
    reliability = _measure(classified.score_of(probabilities), places == place)
    return Losses(_units(-np.log(np.maximum(chosen, LEAST))), _units(squares), reliability)


def _units(values: Matrix) -> int:
    units = np.rint(values * LOSS_UNIT).astype(np.int64)
    # Summed in halves: a batch's whole sum may be greater than 2**63.
    return (int((units >> 32).sum()) << 32) + int((units & 0xFFFFFFFF).sum())


def _measure(score: Matrix, hits: npt.NDArray[np.bool_]) -> Reliability:
    bins = _bin(score, BINS)
    units = np.rint(score * UNIT).astype(np.int64)
    sums = np.zeros(BINS, np.int64)
    np.add.at(sums, bins, units)  # not bincount's weights, which are floats
    rows, good = (np.bincount(one, minlength=BINS).tolist() for one in (bins, bins[hits]))
    return Reliability(tuple(rows), tuple(good), tuple(sums.tolist()))


def _count_scores(score: Matrix, hits: npt.NDArray[np.bool_]) -> Counts:
    bins = _bin(score, SCORES)
    counts = (np.bincount(bins[one], minlength=SCORES).tolist() for one in (hits, ~hits))
    positives, negatives = counts
    return (*positives, *negatives)


def _bin(score: Matrix, bins: int) -> Places:
    return np.clip((score * bins + EDGE).astype(np.int64), 0, bins - 1)


def _count_pairs(
    target: pa.Array, places: Places, classified: Classified
) -> tuple[tuple[str, str, int], ...]:
    """How often each class was predicted as each; unseen ones by their own name."""
    names = [*classified.classes]
    if (places < 0).any():
        others = sorted(set(target.dictionary.to_pylist()) - set(names))
        names += others
        places = find_places(target, tuple(names))
    width = len(classified.classes)
    pairs, counts = np.unique(places * width + classified.predicted, return_counts=True)
    found = [
        (names[pair // width], names[pair % width], count)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return tuple(sorted(found))


def _add(a: Counts, b: Counts) -> Counts:
    return tuple(map(add, a, b))


class Area(NamedTuple):
    """An area under a curve, and how far it may be from that of the scores themselves."""

    value: float
    bound: float


def measure_roc_area(positives: Sequence[int], negatives: Sequence[int]) -> Area | None:
    """The area under the receiver operating characteristic; None without both outcomes.

    It is the share of pairs of a positive and a negative in which the positive has the greater
    score, ties counting half (Mann and Whitney 1947). Pairs within a bin count as ties: half of
    their share is the bound.

    Args:
        positives: rows of the positive in each bin of scores, rising.
        negatives: all others, likewise.

    Example:
        >>> measure_roc_area([0, 1, 1], [3, 1, 0])
        Area(value=0.9375, bound=0.0625)
    """
    pairs = sum(positives) * sum(negatives)
    if not pairs:
        return None
    below = doubled = ties = 0
    for positive, negative in zip(positives, negatives, strict=True):
        doubled += positive * (2 * below + negative)
        ties += positive * negative
        below += negative
    return Area(doubled / (2 * pairs), ties / (2 * pairs))


def measure_average_precision(positives: Sequence[int], negatives: Sequence[int]) -> Area | None:
    """The average precision; None without a positive.

    It is the mean, over positives, of the precision where their score is the threshold, as
    scikit-learn has it. The bound is by the best and the worst order within each bin.

    Args:
        positives: rows of the positive in each bin of scores, rising.
        negatives: all others, likewise.

    Example:
        >>> measure_average_precision([0, 1], [3, 0])
        Area(value=1.0, bound=0.0)
    """
    total = sum(positives)
    if not total:
        return None
    hits = rows = 0
    values, above, below = [], [], []
    for positive, negative in zip(reversed(positives), reversed(negatives), strict=True):
        if positive:
            best = (hits + positive) / (rows + positive)
            worst = (hits + 1) / (rows + negative + 1)
            value = (hits + positive) / (rows + positive + negative)
            values.append(positive * value)
            above.append(positive * (best - value))
            below.append(positive * max(0.0, value - worst))
        hits += positive
        rows += positive + negative
    return Area(fsum(values) / total, max(fsum(above), fsum(below)) / total)


FIGURES = (
    *("log_loss", "brier", "accuracy", "f1", "precision", "recall"),
    *("roc_auc", "roc_auc_bound", "average_precision", "average_precision_bound"),
    *("labelled", "calibration_error", "baseline_log_loss", "skill", "unseen"),
    *("positive", "confusion", "confusion_left_out", "reliability", "scores", "raw"),
)
"""The figures of classification by name, in the order of a report."""


def compute_class_figures(sums: ClassSums) -> dict[str, Any]:
    """The figures of a refresh's scored rows with a class.

    Returns:
        By name (``FIGURES``). Of two classes precision, recall and F1 are the positive's, null
        where there is nothing to divide by; else the mean of all classes that came or were
        predicted, where nothing to divide by counts as 0 (scikit-learn's macro average). The Brier
        score of two classes is half the sum over both, as scikit-learn has it. ``roc_auc`` and
        ``average_precision`` are null beyond two classes, or without both outcomes. All are null
        without a row, ``unseen`` is 0.
    """
    empty = {**dict.fromkeys(FIGURES), "labelled": sums.labelled, "unseen": sums.unseen}
    if sums.losses is None:
        return empty
    losses, baseline = _describe(sums.losses, sums), sums.baseline / LOSS_UNIT / sums.labelled
    correct = sum(count for known, predicted, count in sums.confusion if known == predicted)
    confusion = _confuse(sums)
    return {
        **empty,
        **losses,
        "accuracy": correct / sums.labelled,
        **_by_class(sums),
        **_areas(sums),
        "baseline_log_loss": baseline,
        "skill": 1 - losses["log_loss"] / baseline if baseline else None,
        "positive": sums.positive or None,
        "confusion": confusion,
        "confusion_left_out": sums.labelled
        - sum(sum(mine.values()) for mine in confusion.values()),
        "reliability": sums.losses.reliability.as_dict(),
        "raw": None if sums.raw is None else _describe(sums.raw, sums),
    }


def _confuse(sums: ClassSums) -> dict[str, dict[str, int]]:
    """Rows by class, then by predicted class, of the ``CONFUSED`` most frequent classes."""
    rows: Counter[str] = Counter()
    for known, predicted, count in sums.confusion:
        rows.update({known: count})
        rows.update({predicted: count})
    shown = set(sorted(rows, key=lambda name: (-rows[name], name))[:CONFUSED])
    found: dict[str, dict[str, int]] = {}
    for known, predicted, count in sums.confusion:
        if known in shown and predicted in shown:
            found.setdefault(known, {})[predicted] = count
    return found


def _describe(losses: Losses, sums: ClassSums) -> dict[str, Any]:
    halved = 2 if sums.positive else 1
    return {
        "log_loss": losses.log / LOSS_UNIT / sums.labelled,
        "brier": losses.brier / LOSS_UNIT / sums.labelled / halved,
        "calibration_error": losses.reliability.error(),
    }


def _by_class(sums: ClassSums) -> dict[str, float | None]:
    names = {name for known, predicted, _ in sums.confusion for name in (known, predicted)}
    if sums.positive:
        precision, recall, f1 = _rates(sums, sums.positive)
        return {"f1": f1, "precision": precision, "recall": recall}
    rates = [_rates(sums, name) for name in sorted(names)]
    precision, recall, f1 = (
        fsum(rate or 0.0 for rate in column) / len(rates) for column in zip(*rates, strict=True)
    )
    return {"f1": f1, "precision": precision, "recall": recall}


def _rates(sums: ClassSums, name: str) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1 of a class; null where there is nothing to divide by."""
    hits = sum(n for known, predicted, n in sums.confusion if known == predicted == name)
    came = sum(n for known, _, n in sums.confusion if known == name)
    chosen = sum(n for _, predicted, n in sums.confusion if predicted == name)
    return (
        hits / chosen if chosen else None,
        hits / came if came else None,
        2 * hits / (came + chosen) if came + chosen else None,
    )


def _areas(sums: ClassSums) -> dict[str, Any]:
    if not sums.positive:
        return {}
    positives, negatives = sums.scores[:SCORES], sums.scores[SCORES:]
    roc, precision = (
        measure(positives, negatives) for measure in (measure_roc_area, measure_average_precision)
    )
    return {
        "roc_auc": None if roc is None else roc.value,
        "roc_auc_bound": None if roc is None else roc.bound,
        "average_precision": None if precision is None else precision.value,
        "average_precision_bound": None if precision is None else precision.bound,
        "scores": {"positive": _coarse(positives), "negative": _coarse(negatives)},
    }


def _coarse(counts: Iterable[int]) -> list[int]:
    fine, step = list(counts), SCORES // DRAWN
    edges = pairwise(range(0, SCORES + 1, step))
    return [sum(fine[low:high]) for low, high in edges]
