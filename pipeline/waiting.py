"""What a long wait for labels costs, for who is about to run a job: ``check`` says it."""

from __future__ import annotations

from model.batch import SECOND
from model.cohorts import Clock
from model.wording import format_count, format_duration

MOST_REFRESHES = 200
"""Maximum number of refreshes that a wait spans without a warning."""
PIECE_BYTES = 30_000
"""Bytes of a batch's part in one refresh of labels, beside its rows; see docs/labels.md."""
ROW_BYTES = 100
"""Bytes of a row that waits for its label, with four features; see docs/labels.md."""


def describe_wait(clock: Clock, apart: bool = False) -> str:
    """What waits for labels, and how much memory that takes, in one line.

    Args:
        clock: when questions can be answered.
        apart: whether labels are a stream of their own, for which questions wait in files.

    Example:
        >>> describe_wait(Clock(every=60 * SECOND, wait=3600 * SECOND))
        'wait = 1 hour: questions stay open for up to 60 refreshes; 1,000,000 open ones take about 100 MB, and each batch 30 kB for each refresh in which labels of it become known'
    """  # noqa: E501
    refreshes = count_refreshes(clock)
    line = (
        f"wait = {format_duration(clock.wait // SECOND)}: questions stay open for up to "
        f"{format_count(refreshes, 'refresh')}; "
    )
    if apart:
        return f"{line}they wait in files, of which each refresh looks at those of one wait"
    return (
        f"{line}1,000,000 open ones take about {ROW_BYTES} MB, and "
        f"each batch {PIECE_BYTES // 1000} kB for each refresh in which labels of it become known"
    )


def count_refreshes(clock: Clock) -> int:
    """How many refreshes a wait spans, rounded up."""
    return -(-clock.wait // clock.every)


def warn_of_wait(clock: Clock, apart: bool = False) -> str | None:
    """The warning of a wait that spans too many refreshes; None of another.

    Args:
        clock: when questions can be answered.
        apart: whether labels are a stream of their own, for which questions wait in files.

    Example:
        >>> warn_of_wait(Clock(every=60 * SECOND, wait=3600 * SECOND))
    """
    if count_refreshes(clock) <= MOST_REFRESHES:
        return None
    cost = (
        "each refresh looks at files of all of them"
        if apart
        else "batches are cut into a piece for each"
    )
    return (
        f"warning: wait spans {count_refreshes(clock):,} refreshes, more than {MOST_REFRESHES}: "
        f"{cost}; choose a longer --every, or a shorter wait"
    )
