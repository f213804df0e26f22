"""What a resumed run leaves out: refreshes that were reported before."""

from __future__ import annotations

from transforms.elements import AcceptedBatch, Rejects


def is_unreported(element: AcceptedBatch | Rejects, since: int | None) -> bool:
    """Whether a batch, or a batch's rejects, belong to the refreshes that are still to report.

    Args:
        element: the batch, or the rejects.
        since: the start of the first such refresh, microseconds; None for all.
    """
    return since is None or element.tag.at >= since
