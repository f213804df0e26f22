"""The models that a run keeps: what their manifests say, whether their files are whole.

A model file is opened only after its hash has matched (``model.store``), and only the newest
one is: for its feature importance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.display import DISPLAY
from model.manifest import Manifest, describe_other
from model.metrics import Metrics
from model.pooling import find_errors
from model.store import DamagedArtefact, Store
from monitor.report.history import History

COMMON: int = DISPLAY["common_values"]
"""Maximum number of values of a categorical column that are listed."""


@dataclass(frozen=True)
class Model:
    """A model of a run.

    Attributes:
        name: its folder's, its window's end.
        manifest: what is known of it; None if that cannot be read.
        damage: why its file is not to be opened, or None.
        fit_seconds: how long its fit took, if that is known.
        served: the reports of the refreshes that it scored.
    """

    name: str
    manifest: Manifest | None
    damage: str | None
    fit_seconds: float | None = None
    served: list[Metrics] = field(default_factory=list)

    @property
    def other(self) -> list[str]:
        """What of its categorical features has no column of its own, a line each."""
        return [] if self.manifest is None else describe_other(self.manifest)

    @property
    def served_error(self) -> float | None:
        """Its error, of classes the log loss, in the first refresh that it scored."""
        return find_errors(self.served[0])[0] if self.served else None


@dataclass(frozen=True)
class Importance:
    """How much a model goes by each of its features.

    Attributes:
        model: its name.
        description: of the weights; or why there are none.
        weights: by the name of the encoded feature, 0 or more.
        columns: the sums over the encoded features of each column of the schema.
    """

    model: str
    description: str
    weights: dict[str, float] = field(default_factory=dict)
    columns: dict[str, float] = field(default_factory=dict)


def manifests(store: Store) -> dict[str, Manifest]:
    """The manifests of a store that can be read, by name, in the order of time."""
    found = {}
    for name in store.names():
        manifest, _ = _manifest(store, name)
        if manifest is not None:
            found[name] = manifest
    return found


def read(
    store: Store, names: Sequence[str], history: History, show: Callable[[str], None]
) -> list[Model]:
    """Models, each with its file matched against its hash; none is opened.

    Args:
        store: where they are.
        names: which. One that retention removes meanwhile is left out.
        history: what they did.
        show: called with a line for each thing that is being done.
    """
    found = []
    for number, name in enumerate(names, 1):
        show(f"looking at models: {number:,} of {len(names):,}")
        manifest, damage = _manifest(store, name)
        if manifest is not None:
            damage = _damage(store, name)
        if manifest is None and damage is None:
            continue
        served = [report for report in history.reports if report.model == name]
        found.append(Model(name, manifest, damage, history.fits.get(name), served))
    return found


def importance(store: Store, name: str) -> Importance:
    """How much the model of that name goes by each feature.

    It is what the regressor itself reports: a forest's impurity decrease, the size of linear
    coefficients. Others, as boosting, say nothing.
    """
    try:
        artefact = store.load(name)
    except Exception as error:  # whatever opening it raises; it may be of another version
        return Importance(name, f"it cannot be opened: {error}")
    names = artefact.encoder.names
    known = WEIGHTS if artefact.decision is None else CLASS_WEIGHTS
    for attribute, meaning in known.items():
        weights = np.abs(_weights(artefact.estimator, attribute))
        if weights.ndim == 2:  # of each class, or of one of two
            weights = weights.mean(axis=0)
        if weights.shape == (len(names),) and np.isfinite(weights).all():
            values = weights.tolist()
            columns = dict.fromkeys((*artefact.encoder.numeric, *artefact.encoder.categories), 0.0)
            for column, weight in zip(artefact.encoder.owners, values, strict=True):
                columns[column] += weight
            return Importance(name, meaning, dict(zip(names, values, strict=True)), columns)
    return Importance(name, f"a {type(artefact.estimator).__name__} has none")


WEIGHTS = {
    "feature_importances_": "share of the decrease of squared error in its trees",
    "coef_": "size of its coefficient, per standard deviation or 0/1 column",
}
"""The attributes of scikit-learn's regressors that have it, with what they are."""
CLASS_WEIGHTS = {
    "feature_importances_": "share of the decrease of impurity in its trees",
    "coef_": "mean size of its coefficients, per standard deviation or 0/1 column",
}
"""The same of classifiers."""


def _weights(estimator: Any, attribute: str) -> Any:
    return np.asarray(getattr(estimator, attribute, ()), dtype=np.float64)


def _manifest(store: Store, name: str) -> tuple[Manifest | None, str | None]:
    """A manifest, or why it cannot be read; neither if it is gone."""
    try:
        return store.manifest(name), None
    except FileNotFoundError:
        return None, None
    except DamagedArtefact as error:
        return None, _without_name(error)


def _damage(store: Store, name: str) -> str | None:
    try:
        store.read_verified(name)
    except FileNotFoundError:  # retention was quicker
        return None
    except DamagedArtefact as error:
        return _without_name(error)
    return None


def _without_name(error: Exception) -> str:
    return str(error).partition(": ")[2]


def common(values: Mapping[str, int], total: int) -> list[tuple[str, float]]:
    """The commonest values of a column with their shares; ties by name.

    Example:
        >>> common({"a": 1, "b": 3}, 4)
        [('b', 0.75), ('a', 0.25)]
    """
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return [(value, number / total) for value, number in ranked[:COMMON]]
