"""The manifest: the description of an artefact, and the small types that name and order one."""

from __future__ import annotations

import builtins
import platform
from functools import cache
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from model.asof import format_name, parse_iso
from model.drift import Profile
from model.labels import LabelDelay
from model.statistics import Categorical, Numeric

PACKAGES = ("scikit-learn", "numpy", "joblib", "pyarrow", "apache-beam")


class Window(NamedTuple):
    """The bounds of a training window, in microseconds: start included, end not."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """The name of its artefact's folder."""
        return format_name(self.end)


class Reference(NamedTuple):
    """An artefact's name and hash: they travel through the job in place of the model."""

    name: str
    sha256: str


class Learner(NamedTuple):
    """The regressor to train, its parameters and its seed."""

    name: str
    parameters: dict[str, Any]
    seed: int


class Fit(BaseModel):
    """Figures of predictions of the rows trained on; null where undefined.

    Those of the other task are not there: only what was given is written.
    """

    model_config = ConfigDict(frozen=True)

    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    accuracy: float | None = None
    roc_auc: float | None = None

    @model_serializer(mode="wrap")
    def _leave_out_others(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        return {name: written[name] for name in written if name in self.model_fields_set}


CLASS_FIT = ("log_loss", "brier", "accuracy", "roc_auc")
"""The figures of a classifier on the rows that it was trained on."""


class Other(BaseModel):
    """What of a categorical feature shares the column of all values that are not frequent.

    Attributes:
        rows: labelled rows of the window with such a value; nulls apart.
        values: how many such values there are.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    values: int


class Trial(BaseModel):
    """Errors of fits to one half of a window on its other half (``model.gate``).

    Attributes:
        rows: how many rows both halves have.
        rmse, mean_rmse: of the fits, and of the mean target of the half that was fitted to.
        last_rmse: of the target of the row before; null where it is no baseline.
        z: how many standard errors the predictions' correlation with the targets is above 0.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    rows: int
    rmse: float
    mean_rmse: float
    last_rmse: float | None = None
    z: float


class ClassTrial(BaseModel):
    """Log losses of fits to one half of a window on its other half (``model.classes.trial``).

    Attributes:
        rows: how many rows both halves have.
        log_loss, shares_log_loss: of the fits, and of the class shares of the half that was fitted
            to.
        last_log_loss: of the class of the row before; null where it is no baseline.
        z: how many standard errors the fits' gain over these shares is above 0.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    rows: int
    log_loss: float
    shares_log_loss: float
    last_log_loss: float | None = None
    z: float


class Gate(BaseModel):
    """The gate's verdict on a model.

    Attributes:
        accepted: whether it may serve.
        reason: why not, or why there was no trial, in one line; null after a trial that shows
            skill.
        trial: its figures, if there was one.
    """

    model_config = ConfigDict(frozen=True)

    accepted: bool
    reason: str | None = None
    trial: Trial | ClassTrial | None = None


class Manifest(BaseModel):
    """The description of an artefact, read without opening it; its fields are a contract."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    window_start: str
    window_end: str
    rows: int
    learner: str
    parameters: dict[str, Any]
    features: list[str]
    statistics: dict[str, Numeric | Categorical]
    training: Fit
    profile: Profile | None = None
    fingerprint: str
    versions: dict[str, str]
    sha256: str
    bytes: int
    other: dict[str, Other] = {}
    """What has no column of its own, by feature; there only if there is any."""
    newest_label_time: str | None = None
    """The newest of its labels' times, before ``window_end``; there only if labels have a time."""
    label_delay: LabelDelay | None = None
    """How long its labels took, from question to label; likewise."""
    task: Literal["classification"] | None = None
    """There, as the fields below, only if the model predicts a class."""
    classes: tuple[str, ...] | None = None
    """In the order of probabilities."""
    threshold: float | None = None
    """Of two classes the positive is predicted where its probability is above it."""
    calibration: str | None = None
    """``isotonic`` or ``sigmoid``; ``none`` without, also where the window gave no curve."""
    gate: Gate | None = None
    """The gate's verdict; there only if there was a gate."""

    @model_serializer(mode="wrap")
    def _leave_out_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = serialize(self)
        if not self.other:
            written.pop("other", None)  # it may be excluded
        if self.newest_label_time is None:
            del written["newest_label_time"], written["label_delay"]
        if self.task is None:
            for name in OF_CLASSES:
                written.pop(name)
        if self.gate is None:
            del written["gate"]
        return written

    def as_json(self) -> builtins.bytes:
        """The manifest file's bytes."""
        return (self.model_dump_json(indent=2) + "\n").encode()


OF_CLASSES = ("task", "classes", "threshold", "calibration")
"""The fields of a manifest that are there only if the model predicts a class."""
MOST_COLUMNS = 1_000
"""Maximum number of columns of a categorical feature: that of ``max_categories``."""


def describe_other(manifest: Manifest) -> list[str]:
    """A line for each feature of whose values some share the column ``other``."""
    lines = []
    for name, other in manifest.other.items():
        column = manifest.statistics.get(name)
        if not isinstance(column, Categorical):
            continue
        distinct = column.distinct or len(column.values)
        found = share_other(
            name, distinct, distinct - other.values, other.rows / max(manifest.rows, 1)
        )
        lines.append(f"{found}; {keep_all(distinct, manifest.task)}")
    return lines


def share_other(name: str, distinct: int, columns: int, share: float) -> str:
    """What of a categorical feature has no column of its own, without what to do about it.

    Args:
        name: of the feature.
        distinct: number of its values.
        columns: number of those that have a column of their own.
        share: of the rows whose value is none of these.

    Example:
        >>> share_other("to", 105, 64, 0.031)
        "column 'to': 105 values, the 64 most frequent are columns, 3.1 % of rows fall into other"
    """
    percent = f"{100 * share:.1f} %" if share >= 0.0005 else "less than 0.1 %"
    which = f"the {columns:,} most frequent are columns"
    return f"column {name!r}: {distinct:,} values, {which}, {percent} of rows fall into other"


def keep_all(distinct: int, task: str | None) -> str:
    """Which encoder keeps all values of a feature; a class has no mean, so no target encoding."""
    if task is None or task == "regression":
        return 'encoder = "target" keeps all'
    if distinct <= MOST_COLUMNS:
        return f"max_categories = {distinct} keeps all"
    return f"max_categories = {MOST_COLUMNS} keeps more"


def find_leak(manifest: Manifest) -> str | None:
    """What is wrong with the times of a model's labels; None if all were known at its window's end.

    Args:
        manifest: of a run whose labels have a time of their own.
    """
    newest = manifest.newest_label_time
    if newest is None:
        return "damaged: its manifest does not say when its labels became known"
    if parse_iso(newest) >= parse_iso(manifest.window_end):
        return f"leaks: holds a label of {newest}, which was not known at {manifest.window_end}"
    return None


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of ``PACKAGES`` in this process."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def to_printable(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON values; what JSON has no type for as ``str`` of it."""
    return {
        name: value if isinstance(value, str | int | float | bool | None) else str(value)
        for name, value in sorted(parameters.items())
    }
