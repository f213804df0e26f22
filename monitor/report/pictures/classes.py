"""Pictures of classification: what probabilities are worth, and what a threshold would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from monitor.report.pictures.canvas import NAMED, TEXT, legend, plain, sheet, svg
from monitor.report.pictures.palette import CARD, HEATS, LINES, SOFT
from monitor.report.pictures.texts import count, figure

Values = npt.NDArray[np.float64]
TALL = 230
DOT = 90.0
"""The area of the point of the bin with the most rows, square points."""
SHOWN = 12
"""Maximum number of classes in the picture of confusion: the most frequent."""


def reliability(rows: Values, scores: Values, shares: Values) -> str:
    """How frequent what was predicted is, by its probability.

    Args:
        rows: in each bin of scores, shape (bins,); one has some at least.
        scores: their mean scores, NaN without a row.
        shares: which share of them was of the class that the score is of, NaN without a row.
    """
    drawing, axes = sheet(TALL, legend_rows=0)
    there = rows > 0
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
    axes.plot(scores[there], shares[there], color=LINES[0], linewidth=1)
    # A point's area goes by its rows: one of few rows may lie anywhere.
    areas = DOT * rows[there] / rows.max() + 4
    axes.scatter(scores[there], shares[there], areas, color=LINES[0], clip_on=False, zorder=3)
    _unit(axes, "predicted probability", "share that came")
    gap = float((rows[there] * np.abs(scores[there] - shares[there])).sum() / rows.sum())
    many = count(int(rows.sum()))
    description = f"{many} rows; the mean gap to the dashed line is {figure(gap)}."
    return svg(drawing, "reliability", "How frequent what was predicted is", description)


def curves(positives: Values, negatives: Values) -> tuple[str, str]:
    """The receiver operating characteristic, and precision by recall.

    Args:
        positives: rows of the positive in each bin of scores, rising; some at least.
        negatives: all others, likewise.
    """
    hits, misses = (np.cumsum(one[::-1]) for one in (positives, negatives))
    recall, fall_out = hits / hits[-1], misses / misses[-1]
    drawing, axes = sheet(TALL, legend_rows=0)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
    axes.plot([0, *fall_out], [0, *recall], color=LINES[0], linewidth=1.5)
    _unit(axes, "share of negatives above", "share of positives above")
    area = float(np.trapezoid([0, *recall], [0, *fall_out]))
    roc = svg(drawing, "roc", "Receiver operating characteristic", f"The area is {figure(area)}.")
    drawing, axes = sheet(TALL, legend_rows=0)
    with np.errstate(invalid="ignore"):
        precision = hits / (hits + misses)
    share = float(hits[-1] / (hits[-1] + misses[-1]))
    axes.axhline(share, color=SOFT, linewidth=1, linestyle="--")
    axes.plot(recall, precision, color=LINES[0], linewidth=1.5)
    _unit(axes, "recall", "precision")
    text = f"{figure(100 * share)} % of the rows are positive (dashed)."
    return roc, svg(drawing, "precision-recall", "Precision by recall", text)


def threshold(positives: Values, negatives: Values, chosen: float | None) -> str:
    """Precision, recall and the share of positive predictions at each threshold.

    Args:
        positives: rows of the positive in each bin of scores, rising; some at least.
        negatives: all others, likewise.
        chosen: the threshold of the newest model.
    """
    drawing, axes = sheet(TALL)
    at = np.arange(len(positives)) / len(positives)
    hits, misses = (np.cumsum(one[::-1])[::-1] for one in (positives, negatives))
    with np.errstate(invalid="ignore"):
        lines = {
            "precision": hits / (hits + misses),
            "recall": hits / hits[0],
            "predicted positive": (hits + misses) / (hits[0] + misses[0]),
        }
    for colour, (name, values) in zip(LINES, lines.items(), strict=False):
        axes.plot(at, values, color=colour, linewidth=1.5, label=NAMED + name)
    if chosen is not None:
        axes.axvline(chosen, color=SOFT, linewidth=1, linestyle="--")
    _unit(axes, "threshold", "share")
    legend(axes)
    where = "" if chosen is None else f" The newest model's is {figure(chosen)} (dashed)."
    return svg(drawing, "threshold", "What each threshold would give", f"By its score.{where}")


def confusion(cells: Mapping[str, Mapping[str, int]]) -> str:
    """How often each class was predicted as each: shares of the rows of a class.

    Args:
        cells: rows by class, then by predicted class; not empty.
    """
    names = _frequent(cells)
    drawing, axes = sheet(TALL, legend_rows=0)
    for line, name in enumerate(reversed(names)):
        mine = cells.get(name, {})
        total = sum(mine.values())
        for place, other in enumerate(names):
            share = mine.get(other, 0) / total if total else 0.0
            level = int(np.ceil(share * len(HEATS)))
            if level:
                axes.bar(place, 0.94, 0.94, line - 0.47, color=HEATS[level - 1])
            text = f"{100 * share:.0f} %"
            colour = CARD if 2 * level > len(HEATS) else SOFT
            axes.text(place, line, text, ha="center", va="center", fontsize=TEXT, color=colour)
    labels = [plain(name, 12) for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set_yticks(range(len(names)), labels[::-1])
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(-0.5, len(names) - 0.5)
    axes.grid(visible=False)
    axes.set_xlabel("predicted", fontsize=TEXT, color=SOFT)
    description = "Each line is a class: which share of its rows was predicted as what."
    more = len(_count(cells)) - len(names)
    if more:
        description += f" The {len(names)} most frequent classes; {count(more)} more are not shown."
    return svg(drawing, "confusion", "Classes and what was predicted for them", description)


def _frequent(cells: Mapping[str, Mapping[str, int]]) -> Sequence[str]:
    counts = _count(cells)
    return sorted(sorted(counts, key=lambda name: (-counts[name], name))[:SHOWN])


def _count(cells: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, mine in cells.items():
        for other, number in mine.items():
            counts[name] = counts.get(name, 0) + number
            counts[other] = counts.get(other, 0) + number
    return counts


def _unit(axes: Axes, across: str, up: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xlabel(across, fontsize=TEXT, color=SOFT)
    axes.set_ylabel(up, fontsize=TEXT, color=SOFT)
