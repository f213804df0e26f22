"""Results as HTML with pictures, as a notebook shows them by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from model.wording import format_count

if TYPE_CHECKING:
    from pipeline.frames.backtesting import Backtest
    from pipeline.frames.comparison import Sweep

SHOWN = 12
"""Maximum number of refreshes whose figures are shown."""
FIGURES_SHOWN = {"MAE": "mae", "R2": "r2", "best": "skill_best", "skill": "skill"}
CLASS_SHOWN = {"log loss": "log_loss", "AUC": "roc_auc", "skill": "skill"}
"""The figures of a refresh that are shown, by their titles."""
STYLE = "display:inline-block;width:360px;max-width:100%;vertical-align:top;margin:0 1em 1em 0"


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as an HTML table, numbers as short as a person needs them.

    Example:
        >>> table(["a"], [[None]])
        '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>-</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(format_value(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def format_value(value: Any) -> str:
    """A figure for a person: three digits, thousands parted; ``-`` for None.

    Example:
        >>> [format_value(value) for value in (None, 0.12345, 12_345, 12_345.6, "ridge")]
        ['-', '0.123', '12,345', '12,346', 'ridge']
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def figures(pictures: Mapping[str, str]) -> str:
    """SVG pictures by their captions, side by side, as many as there is room for."""
    return "".join(
        f'<div style="{STYLE}"><small>{escape(caption)}</small><br>{picture}</div>'
        for caption, picture in pictures.items()
    )


def backtest_html(result: Backtest) -> str:
    """A backtest: a line, pictures (with matplotlib), and the newest refreshes."""
    lines = [f"<p><b>{escape(repr(result)[1:-1])}</b></p>"]
    lines.append(figures(backtest_pictures(result)))
    newest = result.metrics[-SHOWN:]
    if len(newest) < len(result.metrics):
        lines.append(f"<p>The last {SHOWN} of {format_count(len(result.metrics), 'refresh')}:</p>")
    shown = CLASS_SHOWN if result.schema.classifies else FIGURES_SHOWN
    rows = [
        (
            m.refresh_start[:19].replace("T", " "),
            m.rows,
            m.model,
            *(getattr(m, name) for name in shown.values()),
        )
        for m in newest
    ]
    lines.append(table(["refresh (UTC)", "rows", "model", *shown], rows))
    if result.skipped:
        reason = escape(result.skipped[-1].reason)
        number = format_count(len(result.skipped), "window")
        lines.append(f"<p>{number} made no model: the last: {reason}</p>")
    return "\n".join(lines)


def backtest_pictures(result: Backtest) -> dict[str, str]:
    """Error and skill over time as SVG; none without matplotlib (``pip install .[serve]``)."""
    try:
        from monitor.report import pictures
    except ImportError:
        return {}
    if any(metrics.log_loss is not None for metrics in result.metrics):
        name = "Skill of each refresh: 1 is exact, 0 no better than the class shares"
        return {
            "Log loss of each refresh": pictures.log_loss(result.metrics),
            name: pictures.skill(result.metrics),
        }
    if not any(metrics.mae is not None for metrics in result.metrics):
        return {}
    return {
        "Mean absolute error of each refresh": pictures.error(result.metrics),
        "Skill of each refresh: 1 is exact, 0 no better than the mean": pictures.skill(
            result.metrics
        ),
    }


COLUMNS = {
    "learner": "learner",
    "window": "window",
    "every": "every",
    "mae": "MAE",
    "rmse": "RMSE",
    "skill_best": "best",
    "gain": "less error than static",
    "least": "periods with the least error",
    "models": "models",
    "seconds": "seconds",
}
"""The columns of a sweep's results that are shown, and their titles."""


def sweep_rows(result: Sweep) -> list[list[Any]]:
    """The results of a sweep as they are shown, in the order of ``COLUMNS``."""
    rows = []
    for row in result.table.to_pylist():
        for name in ("gain", "least"):
            row[name] = None if row[name] is None else f"{row[name]:.1%}"
        rows.append([row[name] for name in COLUMNS])
    return rows


def sweep_html(result: Sweep) -> str:
    """A sweep: whether retraining pays, pictures (with matplotlib), and all results."""
    rows = f"{result.rows:,} rows that all have predicted"
    lines = [f"<p><b>{escape(result.verdict.text)}</b> ({rows})</p>"]
    lines.append(figures(sweep_pictures(result)))
    lines.append(table(list(COLUMNS.values()), sweep_rows(result)))
    return "\n".join(lines)


def sweep_pictures(result: Sweep) -> dict[str, str]:
    """Who had the least error, in all and in each period, as SVG; none without matplotlib."""
    try:
        from pipeline.frames import pictures
    except ImportError:
        return {}
    return {
        "Mean absolute error (orange: never retrained)": pictures.errors(result),
        "Rank in each period: the darker, the less error": pictures.periods(result),
    }
