"""What a resumed run leaves out: refreshes that were reported before."""

from __future__ import annotations

import pyarrow as pa

from model.batch import tag_of
from transforms.validate import Rejects


def unreported(element: pa.RecordBatch | Rejects, since: int | None) -> bool:
    """Whether a batch, or a batch's rejects, belong to the refreshes that are still to report.

    Args:
        element: a tagged batch or rejects.
        since: the start of the first such refresh, microseconds; None for all.
    """
    if since is None:
        return True
    tag = element.tag if isinstance(element, Rejects) else tag_of(element)
    return tag.at >= since
