"""Standard output and standard error as rich sees them, and a line that shows that work goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.text import Text

LINE_INTERVAL = 5.0
"""Seconds between progress lines where there is no terminal."""


def consoles() -> tuple[Console, Console]:
    """Standard output and standard error, as rich sees them."""
    return _console(sys.stdout, stderr=False), _console(sys.stderr, stderr=True)


def _console(stream: TextIO, stderr: bool) -> Console:
    terminal = stream.isatty()
    return Console(
        stderr=stderr,
        markup=False,
        highlight=False,
        width=None if terminal else 100,
        force_interactive=None if terminal else False,  # FORCE_COLOR asks for colours alone
    )


@contextmanager
def show_status(console: Console, first: str) -> Iterator[Callable[[str], None]]:
    """Shows a line while something takes long; what the context gives replaces the line.

    Without a terminal it prints a line now and then.
    """
    if console.is_terminal:
        with console.status(Text(first)) as status:
            yield lambda line: status.update(Text(line))
        return
    last = time.monotonic()

    def show(line: str) -> None:
        nonlocal last
        if time.monotonic() - last > LINE_INTERVAL:
            last = time.monotonic()
            console.print(line, soft_wrap=True)

    yield show
