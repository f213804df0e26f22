"""A progress bar by tqdm, where that is installed and somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(total: int, title: str, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """What takes how many more rows are done, and shows it.

    Args:
        total: how many rows there are to do.
        title: stands before the bar.
        wanted: whether to show it; None: in a notebook and on a terminal.
    """
    shown = (in_notebook() or sys.stderr.isatty()) if wanted is None else wanted
    tqdm = _tqdm() if shown else None
    if tqdm is None:
        yield lambda rows: None
        return
    with tqdm(total=total, desc=title, unit=" rows", unit_scale=True, leave=False) as drawn:
        yield drawn.update


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:  # no package that this one needs
        return None
    return tqdm


def in_notebook() -> bool:
    """Whether this is an IPython session with a front end that shows HTML."""
    shell = sys.modules.get("IPython")
    session = shell.get_ipython() if shell is not None else None
    return session is not None and hasattr(session, "kernel")
