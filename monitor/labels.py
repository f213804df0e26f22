"""What came of a run's questions, and of its labels, as the terminal, report and page show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from model.display import DISPLAY
from model.labels import LabelDelay
from model.wording import format_count, format_seconds

TITLES: dict[str, str] = {field: title for title, field in DISPLAY["labels"]}
"""How counts of questions and labels are called, by the fields of a report."""
BESIDE = {name: title for name, title in TITLES.items() if name not in ("answered", "expired")}
"""Those of what came beside the answers."""
NOUNS = {"duplicates": "duplicate", "conflicts": "conflict", "orphans": "orphan"}
TEXTS = {
    "label_late": "after the wait",
    "id_reused": "with another open question of their id",
    "label_behind": "behind the watermark",
    "labels_rejected": "rejected",
    "labels_read": "read",
    "labels_open": "open",
    "missing": "missing, filled in",
    "early": "before their question",
}
"""How they read in a line: as nouns, or so; the others are called as their fields are."""


class LabelFigures(NamedTuple):
    """What came of questions and labels in the refreshes that were looked at.

    Attributes:
        refreshes: how many they are.
        counts: by the fields of a report (``TITLES``); only those that reports have.
        delay: from questions to their answers, of those that came in the newest refreshes: as
            many as a wait is long, and two. None if it is not known.
    """

    refreshes: int
    counts: Mapping[str, int]
    delay: LabelDelay | None = None

    def lines(self) -> Iterator[str]:
        """A summary of them, in two lines at most.

        Example:
            >>> delay = LabelDelay(p50=42.0, p90=200.0, max=7300.0)
            >>> figures = LabelFigures(3, {"answered": 2000, "expired": 0, "orphans": 1}, delay)
            >>> for line in figures.lines():
            ...     print(line)
            labels in 3 refreshes: 2,000 answered, 1 orphan
            delay of the newest labels: 50 % within 42 s, 90 % within 3 min, all within 2.0 h
        """
        found = list_counts(self.counts)
        if found:
            yield f"labels in {format_count(self.refreshes, 'refresh')}: {', '.join(found)}"
        if self.delay is not None:
            yield f"delay of the newest labels: {describe_delay(self.delay)}"


def list_counts(counts: Mapping[str, int]) -> list[str]:
    """What is not 0 of counts, a short text each.

    Example:
        >>> list_counts({"duplicates": 2, "label_late": 1200, "missing": 0})
        ['2 duplicates', '1,200 after the wait']
    """
    return [
        format_count(count, NOUNS[name]) if name in NOUNS else f"{count:,} {TEXTS.get(name, name)}"
        for name, count in counts.items()
        if count
    ]


def describe_labels(counts: Mapping[str, int]) -> Iterator[str]:
    """What came in a stream of labels beside the answers, in a line; none if nothing did.

    Example:
        >>> list(describe_labels({"labels_read": 1900, "orphans": 1200, "missing": 0}))
        ['labels: 1,900 read, 1,200 orphans']
    """
    found = list_counts(counts)
    if found:
        yield f"labels: {', '.join(found)}"


def describe_delay(delay: LabelDelay) -> str:
    """How long after their questions labels came."""
    p50, p90, greatest = map(format_seconds, (delay.p50, delay.p90, delay.max))
    return f"50 % within {p50}, 90 % within {p90}, all within {greatest}"
