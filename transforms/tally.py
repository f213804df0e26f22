"""Counts of what this process's workers did: Beam's counters, and a tally at hand.

Beam's counters tell of the whole job, but most runners show them only when it has ended. The
launcher reads the tally to show progress where the workers are its own threads.
"""

from __future__ import annotations

import threading
from collections import Counter

from apache_beam.metrics import Metrics

NAMESPACE = "correnteza"
_lock = threading.Lock()
_tally: Counter[str] = Counter()


def count(name: str, number: int = 1) -> None:
    """Adds to a count."""
    Metrics.counter(NAMESPACE, name).inc(number)
    with _lock:
        _tally[name] += number


def note(name: str, value: int) -> None:
    """Keeps the greatest value that was noted under a name."""
    with _lock:
        _tally[name] = max(_tally[name], value)


def tally() -> dict[str, int]:
    """The counts of this process so far."""
    with _lock:
        return dict(_tally)


def reset() -> None:
    """Begins anew; the command line does so before a run."""
    with _lock:
        _tally.clear()
