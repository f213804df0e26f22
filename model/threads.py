"""Threads: what fits and predictions that run at the same time share, and how many they may use.

Digits must not depend on the number of threads. Linear algebra and boosting sum in an order that
depends on it, so they get one thread; a forest's trees are independent of each other, and get all
cores.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from model.loading import load_module


class Cores:
    """The cores, shared by the forests that are grown at the same time.

    A forest alone is grown by all cores; as parts of it are serial, it keeps 1.8 of two busy. Two
    forests with a core each keep both busy, and wait less for Python's lock. More forests than
    cores would only wait for each other.
    """

    def __init__(self) -> None:
        self._turns = threading.Semaphore(count_cores())
        self._lock = threading.Lock()
        self._growing = 0

    @contextmanager
    def share(self) -> Iterator[int]:
        """The number of threads to grow a forest with; waits until there is a core for it."""
        with self._turns:
            with self._lock:
                self._growing += 1
                threads = max(1, count_cores() // self._growing)
            try:
                yield threads
            finally:
                with self._lock:
                    self._growing -= 1


def count_cores() -> int:
    """The number of cores of this machine."""
    return os.cpu_count() or 1


cores = Cores()


def limit_blas() -> None:
    """Limits BLAS to one thread, in the whole process and for good.

    BLAS has one limit for all threads of a process. Were it lifted when a fit or a prediction
    ends, it would be lifted under another thread's fit too, and change that one's last digits.
    """
    _openmp()


def one_thread() -> Any:
    """A context in which OpenMP uses one thread, within the calling thread.

    BLAS is limited too, for good: see ``limit_blas``.
    """
    return _openmp().limit(limits=1)


@cache
def _openmp() -> Any:
    load_module("sklearn.linear_model")  # its libraries must be loaded to be found
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    controller.select(user_api="blas").limit(limits=1)
    return controller.select(user_api="openmp")


@cache
def pool() -> ThreadPoolExecutor:
    """This process's threads for predictions, one a core."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="predict")
