"""Figures as text: short numbers, times, error bars in one line; nothing a terminal obeys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

BLOCKS, ASCII_BLOCKS = "▁▂▃▄▅▆▇█", "_.-:=+*#"


def format_figure(value: float | None) -> str:
    """A figure as a table shows it, in a dozen characters at most; ``-`` for none.

    Example:
        >>> [format_figure(value) for value in (1234.5678, 0.12345, -1.5e60, None)]
        ['1,235', '0.123', '-1.5e+60', '-']
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def sparkline(values: Iterable[float | None], blocks: str = BLOCKS) -> str:
    """Numbers as a line of blocks, from the least (the lowest block) to the greatest.

    Args:
        values: a block each; a space where there is none, or no finite one.
        blocks: from the lowest to the highest.

    Example:
        >>> sparkline([1.0, None, 2.0, 8.0])
        '▁ ▂█'
    """
    finite = [value if value is not None and math.isfinite(value) else None for value in values]
    known = [value for value in finite if value is not None]
    low = min(known, default=0.0)
    step = (max(known, default=0.0) - low) / len(blocks) or 1.0
    top = len(blocks) - 1
    heights = [None if value is None else min(int((value - low) / step), top) for value in finite]
    return "".join(" " if height is None else blocks[height] for height in heights)


def clean(text: str, encoding: str = "utf-8") -> str:
    r"""Text of a file as a terminal can show it: what would steer it, or it lacks, becomes ``?``.

    Example:
        >>> clean("a\x1b[2Jb")
        'a?[2Jb'
    """
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable.encode(encoding, "replace").decode(encoding)


def times(names: Sequence[str], short: bool = False) -> list[str]:
    """The times of files' names; short ones leave out what is the same for all.

    Args:
        names: as ``20261123T070100Z``.
        short: without the date if it is one day, without the time if all are midnights, else
            without the year.

    Example:
        >>> times(["20261123T070100Z"]), times(["20261123T070100Z"], short=True)
        (['2026-11-23 07:01:00'], ['07:01:00'])
    """
    dates = [f"{name[:4]}-{name[4:6]}-{name[6:8]}" for name in names]
    clocks = [f"{name[9:11]}:{name[11:13]}:{name[13:15]}" for name in names]
    if short and len(set(dates)) == 1:
        return clocks
    if short and set(clocks) == {"00:00:00"}:
        return dates
    return [f"{date[5 * short :]} {clock}" for date, clock in zip(dates, clocks, strict=True)]


def pack_lines(parts: Iterable[str], width: int) -> list[str]:
    """Lines of parts, as many in each as there is room for; a part is never broken.

    Example:
        >>> pack_lines(["12 rows read", "2 models", "live"], 22)
        ['12 rows read, 2 models', 'live']
    """
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}, {part}" if lines else part
        if lines and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines
