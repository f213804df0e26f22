"""Ctrl-C and SIGTERM: both interrupt a run; one that comes while it ends, ends the process.

Docker, systemd and Kubernetes send SIGTERM, and kill some seconds later what is still there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

HANDLED = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 2.0


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; in all but the exit code it is as Ctrl-C."""


def exit_code(error: BaseException | None) -> int:
    """The exit code after an interrupt, as a shell gives it for the signal.

    Example:
        >>> exit_code(KeyboardInterrupt()), exit_code(Terminated())
        (130, 143)
    """
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


def raise_on_signals() -> None:
    """Has SIGINT raise KeyboardInterrupt in the main thread from now on, and SIGTERM Terminated."""
    _handle(signal.SIGINT, signal.default_int_handler)
    _handle(signal.SIGTERM, _terminate)


def exit_on_signals(last: Callable[[], object] = int) -> None:
    """Has each signal end the process at once from now on.

    Args:
        last: is called before, in a thread that has ``PATIENCE`` seconds: this one may hold a
            lock that it needs.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        calling = threading.Thread(target=last, daemon=True)
        calling.start()
        calling.join(PATIENCE)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(128 + number)

    for number in HANDLED:
        _handle(number, leave)


@contextmanager
def interruptible() -> Iterator[None]:
    """The context in which a run can be interrupted; after it signals do what they did before."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    raise_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            _handle(number, handler)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _handle(number: signal.Signals, handler: object) -> None:
    with suppress(ValueError):  # only the main thread may set handlers, and only it is interrupted
        signal.signal(number, handler)  # type: ignore[arg-type]
