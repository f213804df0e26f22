"""Deterministic pickling: equal objects give equal bytes, in any process."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib.numpy_pickle import NumpyPickler


def dump(value: Any) -> bytes:
    """A value as joblib bytes: the same bytes for equal values, in any process."""
    buffer = io.BytesIO()
    SteadyPickler(buffer).dump(value)
    return buffer.getvalue()


class SteadyPickler(NumpyPickler):
    """joblib's pickler, made deterministic: equal artefacts give equal bytes.

    It writes zeros for the padding between the fields of structured arrays: each node of a
    scikit-learn tree has seven such bytes, with whatever the memory held. And it makes equal
    texts, and equal dtypes, one object: a pickler writes an object that it has seen before as
    a reference, and whether two equal ones are the same object depends on what the process
    did before (an array that was unpickled has a dtype of its own).
    """

    def save(self, value: Any) -> None:
        """Writes a part of what is dumped."""
        if isinstance(value, np.ndarray) and value.dtype.names:
            value = without_gaps(value)
            # The pickler's memo goes by id(): a copy that was freed could give its id to another.
            self.kept.append(value)
        elif type(value) is str:
            value = sys.intern(value)
        elif isinstance(value, np.dtype):
            value = self.dtypes.setdefault(value, value)
        super().save(value)

    def dump(self, value: Any) -> None:
        """Writes the whole."""
        self.kept: list[Any] = []
        self.dtypes: dict[np.dtype[Any], np.dtype[Any]] = {}
        super().dump(value)


def without_gaps(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of a structured array with zeros as padding between the fields."""
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names or ():
        clean[name] = records[name]
    return clean
