"""The keys of a schema for classification: ``task``, ``classes``, ``positive``, ``costs``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from model.schema import Schema

ONLY = ("classes", "positive", "costs", "calibration")
"""The keys that go with classification alone."""
COLUMNS = ("score", "probabilities")
"""Further columns of predictions, whose names no column in ``keep`` may have."""


class Costs(BaseModel):
    """What mistakes cost, in any one unit.

    Attributes:
        fp: of a positive prediction of a negative row.
        fn: of a negative prediction of a positive row.

    Example:
        >>> Costs(fp=1, fn=19).threshold
        0.05
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fp: float = Field(gt=0, le=1e9, allow_inf_nan=False)
    fn: float = Field(gt=0, le=1e9, allow_inf_nan=False)

    @property
    def threshold(self) -> float:
        """The probability of the positive above which a positive prediction costs less.

        A positive prediction costs (1 - p) fp on average, a negative one p fn (Elkan 2001, "The
        foundations of cost-sensitive learning").
        """
        return self.fp / (self.fp + self.fn)


def read_class(value: Any) -> str:
    """The class of a value in a schema: its canonical text.

    Raises:
        ValueError: if it is none.

    Example:
        >>> read_class(True), read_class(2.0), read_class(" yes")
        ('true', '2', 'yes')
    """
    from model.categories import canonical_value  # here, to load no numpy where no class is named

    try:
        found = canonical_value(value)
    except TypeError as error:
        raise ValueError("must be text, a number or a boolean") from error
    if found is None:
        raise ValueError("must not be empty: a row without a class is an unlabelled row")
    return found


def read_classes(values: Any) -> Any:
    """The classes of a list of values, in its order; anything else is left to pydantic."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return values
    return tuple(read_class(value) for value in values)


def check_keys(schema: Schema) -> None:
    """Checks what a schema says of its classes.

    Raises:
        ValueError: if keys contradict each other, or go with another task.
    """
    if not schema.classifies:
        for name in ONLY:
            if name in schema.model_fields_set and getattr(schema, name) not in (None, "none"):
                raise ValueError(f'{name} goes with task = "classification"')
        return
    _check_classes(schema)
    if schema.costs is not None and schema.positive is None:
        raise ValueError('costs needs positive, as positive = "yes": which class fp and fn are of')
    if schema.costs is not None and schema.calibration == "none":
        raise ValueError(
            'costs needs calibration = "isotonic" or "sigmoid": a threshold by cost goes by '
            "probabilities that mean what they say"
        )
    for column, encoder in schema.encoders.items():
        if encoder.encoder == "target":
            raise ValueError(
                f"features.encoders: {column!r}: the mean of a target goes with "
                'task = "regression": must be "onehot"'
            )
    for column in schema.keep:
        if column in COLUMNS:
            raise ValueError(
                f"keep: column {column!r}: predictions have a column of their own of that name: "
                "rename it in the data"
            )


def _check_classes(schema: Schema) -> None:
    classes = schema.classes
    if classes is not None:
        if len(classes) < 2:
            raise ValueError(f"classes must be 2 or more (they are {', '.join(classes) or 'none'})")
        for name in classes:
            if classes.count(name) > 1:
                raise ValueError(f"classes: {name!r} is named twice: each must be named once")
    if schema.positive is None or classes is None:
        return
    if len(classes) > 2:
        raise ValueError(f"positive goes with 2 classes (there are {len(classes)})")
    if schema.positive not in classes:
        raise ValueError(f"positive must be one of {', '.join(classes)}")
