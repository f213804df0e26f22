"""Modules are loaded by one thread at a time.

Python locks each module while it is loaded. Who opens an artefact loads a module within a package
(``sklearn.linear_model._ridge``), and locks it before the package; ``from sklearn.linear_model
import Ridge`` locks them the other way round. Two bundles that do so at once wait for each other,
and one ends with ``_DeadlockError`` (python/cpython#83065). So whatever loads modules once workers
run does it within ``loading()``.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_LOCK = threading.RLock()


@contextmanager
def import_lock() -> Iterator[None]:
    """A context in which no other thread loads modules, if it does so in this context too.

    Example:
        >>> with import_lock():
        ...     from sklearn.linear_model import Ridge
    """
    with _LOCK:
        yield


@cache
def load_module(name: str) -> Any:
    """The module of that name, loaded when it is first asked for: of a library that takes long.

    Example:
        >>> load_module("sklearn.linear_model").Ridge().alpha
        1.0
    """
    with import_lock():
        return importlib.import_module(name)
