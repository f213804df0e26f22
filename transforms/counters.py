"""Counters of what this process's workers did: Beam's own, and the same at hand.

Beam's counters are of the whole job, but most runners show them only when it has ended. The
launcher reads these to show progress where the workers are its own threads.
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
_counts: Counter[str] = Counter()
_counted_at: dict[str, float] = {}
"""When each name was last counted, by ``time.monotonic``."""
KEPT_LATENCIES = 10_000
"""Maximum number of latencies of a name that are kept: the latest."""
_latencies: dict[str, deque[tuple[float, float]]] = {}
"""By name when each was recorded, seconds since the epoch, and how long it took."""


def count(name: str, number: int = 1) -> None:
    """Adds to a count."""
    _counter(name).inc(number)
    with _lock:
        _counts[name] += number
        _counted_at[name] = time.monotonic()


def last_counted(name: str) -> float | None:
    """When a name was last counted, by ``time.monotonic``; None if it was not."""
    with _lock:
        return _counted_at.get(name)


@cache
def _counter(name: str) -> Any:
    return Metrics.counter(NAMESPACE, name)  # it finds its bundle when it counts


def max_gauge(name: str, value: int) -> None:
    """Keeps the greatest value that a name was given."""
    with _lock:
        _counts[name] = max(_counts[name], value)


def record_latency(name: str, seconds: float) -> None:
    """Records how long something took; Beam's distribution has it in milliseconds."""
    Metrics.distribution(NAMESPACE, f"{name} (ms)").update(round(seconds * 1000))
    with _lock:
        _latencies.setdefault(name, deque(maxlen=KEPT_LATENCIES)).append((time.time(), seconds))


def latencies(name: str, since: float = 0.0) -> list[float]:
    """The latest latencies of a name in this process, seconds, in their order.

    Args:
        name: what took so long.
        since: those that were recorded before are left out; seconds since the epoch.
    """
    with _lock:
        return [seconds for at, seconds in _latencies.get(name, ()) if at >= since]


def counts() -> dict[str, int]:
    """The counts of this process so far."""
    with _lock:
        return dict(_counts)


def reset() -> None:
    """Begins anew; the command line does so before a run."""
    with _lock:
        _counts.clear()
        _latencies.clear()
        _counted_at.clear()
