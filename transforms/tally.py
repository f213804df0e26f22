"""Counts of what this process's workers did: Beam's counters, and a tally at hand.

Beam's counters tell of the whole job, but most runners show them only when it has ended. The
launcher reads the tally to show progress where the workers are its own threads.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from functools import cache
from typing import Any

from apache_beam.metrics import Metrics

NAMESPACE = "correnteza"
_lock = threading.Lock()
_tally: Counter[str] = Counter()
_counted_at: dict[str, float] = {}
"""When each name was last counted, by ``time.monotonic``."""
OBSERVED = 10_000
"""Of each kind so many of the latest observations are at hand."""
_observed: dict[str, deque[tuple[float, float]]] = {}
"""By kind when each was observed, seconds since the epoch, and how long it took."""


def count(name: str, number: int = 1) -> None:
    """Adds to a count."""
    _counter(name).inc(number)
    with _lock:
        _tally[name] += number
        _counted_at[name] = time.monotonic()


def counted_at(name: str) -> float | None:
    """When something was last counted, by ``time.monotonic``; None if it was not."""
    with _lock:
        return _counted_at.get(name)


@cache
def _counter(name: str) -> Any:
    return Metrics.counter(NAMESPACE, name)  # it finds its bundle when it counts


def note(name: str, value: int) -> None:
    """Keeps the greatest value that was noted under a name."""
    with _lock:
        _tally[name] = max(_tally[name], value)


def observe(name: str, seconds: float) -> None:
    """Notes how long something took; Beam's distribution has it in milliseconds."""
    Metrics.distribution(NAMESPACE, f"{name} (ms)").update(round(seconds * 1000))
    with _lock:
        _observed.setdefault(name, deque(maxlen=OBSERVED)).append((time.time(), seconds))


def observed(name: str, since: float = 0.0) -> list[float]:
    """The latest observations of a kind in this process, seconds, in their order.

    Args:
        name: the kind.
        since: those that were made before are left out; seconds since the epoch.
    """
    with _lock:
        return [seconds for at, seconds in _observed.get(name, ()) if at >= since]


def tally() -> dict[str, int]:
    """The counts of this process so far."""
    with _lock:
        return dict(_tally)


def reset() -> None:
    """Begins anew; the command line does so before a run."""
    with _lock:
        _tally.clear()
        _observed.clear()
        _counted_at.clear()
