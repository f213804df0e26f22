"""Results as HTML with pictures, as a notebook shows them by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from model.wording import format_count

if TYPE_CHECKING:
    from pipeline.frames.backtesting import Backtest

SHOWN = 12
"""Maximum number of refreshes whose figures are shown."""
STYLE = "display:inline-block;width:360px;max-width:100%;vertical-align:top;margin:0 1em 1em 0"


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as an HTML table, numbers as short as a person needs them.

    Example:
        >>> table(["a"], [[None]])
        '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>-</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown(value: Any) -> str:
    """A figure for a person: three digits, thousands parted; ``-`` for None.

    Example:
        >>> [shown(value) for value in (None, 0.12345, 12_345, 12_345.6, "ridge")]
        ['-', '0.123', '12,345', '12,346', 'ridge']
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figures(pictures: Iterable[str]) -> str:
    """SVG pictures side by side, as many as there is room for."""
    return "".join(f'<div style="{STYLE}">{picture}</div>' for picture in pictures)


def backtest_html(result: Backtest) -> str:
    """A backtest: a line, pictures (with matplotlib), and the newest refreshes."""
    lines = [f"<p><b>{escape(repr(result)[1:-1])}</b></p>"]
    lines.append(figures(backtest_pictures(result)))
    newest = result.metrics[-SHOWN:]
    if len(newest) < len(result.metrics):
        lines.append(f"<p>The last {SHOWN} of {format_count(len(result.metrics), 'refresh')}:</p>")
    rows = [
        (m.refresh_start[:19].replace("T", " "), m.rows, m.model, m.mae, m.r2, m.skill)
        for m in newest
    ]
    lines.append(table(["refresh (UTC)", "rows", "model", "MAE", "R2", "skill"], rows))
    if result.skipped:
        reason = escape(result.skipped[-1].reason)
        number = format_count(len(result.skipped), "window")
        lines.append(f"<p>{number} made no model: the last: {reason}</p>")
    return "\n".join(lines)


def backtest_pictures(result: Backtest) -> list[str]:
    """Error and skill over time as SVG; none without matplotlib (``pip install .[serve]``)."""
    try:
        from monitor.report import pictures
    except ImportError:
        return []
    if not any(metrics.mae is not None for metrics in result.metrics):
        return []
    return [pictures.error(result.metrics), pictures.skill(result.metrics)]
