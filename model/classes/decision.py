"""From a classifier's probabilities to a prediction: the classes, the positive, the threshold.

Artefacts name ``model.classes.decision.Decision`` in their pickles: it must stay where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.arrays import Matrix
from model.classes.calibration import Calibrator
from model.numbers import is_number
from model.schema import Schema

Places = npt.NDArray[np.int64]


class Classified(NamedTuple):
    """What a model predicted for some rows.

    Attributes:
        classes: the model's, in order.
        positive: the place of the positive among them; None unless they are two.
        probabilities: of each class, shape (rows, classes). They sum to 1 up to rounding; all are
            0 in a row for which the model gives no finite number.
        predicted: the place of the predicted class, shape (rows,).
        shares: of the model's window: how frequent each class was, shape (classes,).
        raw: the probabilities before calibration; None without one.
    """

    classes: tuple[str, ...]
    positive: int | None
    probabilities: Matrix
    predicted: Places
    shares: Matrix
    raw: Matrix | None = None

    @property
    def score(self) -> Matrix:
        """The probability of the positive, or of the predicted class; shape (rows,)."""
        return self.score_of(self.probabilities)

    def score_of(self, probabilities: Matrix) -> Matrix:
        """``score`` by other probabilities of the same rows, as those before calibration."""
        if self.positive is not None:
            return probabilities[:, self.positive]
        return probabilities[np.arange(len(self.predicted)), self.predicted]

    @property
    def names(self) -> pa.Array:
        """The predicted classes by name, as strings."""
        return pa.array(self.classes, pa.string()).take(pa.array(self.predicted))

    def take(self, places: Places) -> Classified:
        """The predictions of some of the rows."""
        return self._replace(
            probabilities=self.probabilities[places],
            predicted=self.predicted[places],
            raw=None if self.raw is None else self.raw[places],
        )


@dataclass(frozen=True)
class Decision:
    """How a classifier's probabilities become predictions.

    Attributes:
        classes: in order.
        columns: the places among them of the estimator's own classes.
        shares: how frequent each class was in the window, shape (classes,).
        positive: the place of the positive; None unless there are two classes.
        threshold: of two classes the positive is predicted where its probability is above this.
        calibrator: of probabilities; None without one.
    """

    classes: tuple[str, ...]
    columns: tuple[int, ...]
    shares: Matrix
    positive: int | None
    threshold: float | None
    calibrator: Calibrator | None = None

    def classify(self, found: Matrix) -> Classified:
        """The predictions of an estimator's probabilities, shape (rows, its own classes)."""
        raw = np.zeros((len(found), len(self.classes)))
        raw[:, list(self.columns)] = found
        raw = normalize(raw)
        if self.calibrator is None:
            return Classified(*self._named, raw, self._choose(raw), self.shares)
        calibrated = normalize(self.calibrator.calibrate(raw))
        return Classified(*self._named, calibrated, self._choose(calibrated), self.shares, raw)

    @property
    def _named(self) -> tuple[tuple[str, ...], int | None]:
        return self.classes, self.positive

    def _choose(self, probabilities: Matrix) -> Places:
        if self.positive is None or self.threshold is None:
            return np.asarray(probabilities.argmax(axis=1))
        chosen = probabilities[:, self.positive] > self.threshold
        return np.where(chosen, self.positive, 1 - self.positive)


def normalize(probabilities: Matrix) -> Matrix:
    """Probabilities that sum to 1 in each row, shape (rows, classes).

    A row's sum is taken in the order of the classes, so its digits do not depend on the rows
    beside it. A row without a finite positive sum has zeros.

    Example:
        >>> normalize(np.array([[1.0, 3.0], [np.nan, 1.0]])).tolist()
        [[0.25, 0.75], [0.0, 0.0]]
    """
    sums = np.einsum("ij->i", probabilities)
    good = np.isfinite(sums) & (sums > 0)
    if good.all():
        return np.asarray(probabilities / sums[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(good[:, None], probabilities / sums[:, None], 0.0)


def order_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Classes in order: by value if all are numbers, else by their text.

    Example:
        >>> order_classes({"10", "9", "-1"}), order_classes({"yes", "no"})
        (('-1', '9', '10'), ('no', 'yes'))
    """
    known = sorted(names)
    return tuple(sorted(known, key=float) if known and all(map(is_number, known)) else known)


def classes_of(seen: Iterable[str], schema: Schema) -> tuple[str, ...]:
    """The classes of a model: those of the schema, or those of its window and the positive."""
    if schema.classes is not None:
        return schema.classes
    return order_classes({*seen, *([] if schema.positive is None else [schema.positive])})


def place_positive(classes: tuple[str, ...], schema: Schema) -> int | None:
    """The place of the positive among a model's classes; None unless they are two."""
    if len(classes) != 2:
        return None
    return 1 if schema.positive is None else classes.index(schema.positive)


def find_positive_fault(seen: Iterable[str], schema: Schema) -> str | None:
    """What is wrong with a schema's positive, beside the classes of some rows; None if nothing.

    Example:
        >>> from model.schema import Features
        >>> schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)),
        ...                 task="classification", positive="yes")
        >>> find_positive_fault({"no", "maybe"}, schema)
        "positive goes with 2 classes: 'yes' is one, and there are 2 others, as 'maybe' and 'no'"
    """
    if schema.positive is None:
        return None
    others = order_classes({*seen} - {schema.positive})
    if len(others) < 2:
        return None
    return (
        f"positive goes with 2 classes: {schema.positive!r} is one, and there are "
        f"{len(others):,} others, as {others[0]!r} and {others[1]!r}"
    )


def class_names(values: pa.Array) -> npt.NDArray[np.object_]:
    """The classes of rows as Python strings, shape (rows,).

    Args:
        values: dictionary<int32, string>, without null.
    """
    names: npt.NDArray[np.object_] = np.array(values.dictionary.to_pylist(), dtype=object)
    places: Places = values.indices.to_numpy()
    return names[places]


def find_places(values: pa.Array, classes: tuple[str, ...]) -> Places:
    """The place of each row's class among a model's; -1 for another class and for null.

    Args:
        values: dictionary<int32, string>, shape (rows,).
        classes: the model's.
    """
    names = values.dictionary.to_pylist()
    known = {name: place for place, name in enumerate(classes)}
    places = np.array([known.get(name, -1) for name in names] + [-1], np.int64)
    indices = values.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    found: Places = places[indices]
    return found
