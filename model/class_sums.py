"""The sums of a batch where a class is predicted."""

from __future__ import annotations

import pyarrow as pa

from model.baselines import Before, Link
from model.classes.decision import Classified, class_names
from model.classes.figures import ClassSums, sum_classes
from model.drift import Histogram
from model.metrics import Sums


def sum_class_batch(
    target: pa.Array,
    late: int,
    classified: Classified | None,
    model: str | None,
    histogram: Histogram | None = None,
    profile: str = "",
    before: Before | None = None,
) -> Sums:
    """The sums of a batch.

    Args:
        target: the classes of its rows, dictionary<int32, string>; null where a row has none.
        late: how many of the rows are late.
        classified: what was predicted for them; None if no model scored them.
        model: the name of the artefact that predicted.
        histogram: counts of the rows in the bins of the artefact's profile, if it has one.
        profile: that profile, as JSON.
        before: where the batch stands, for the baseline ``last``; None: it has none.
    """
    rows, unlabelled = len(target), target.null_count
    links = () if before is None else _link(target, before, classified is not None)
    if classified is None:
        return Sums(rows=rows, unlabelled=unlabelled, late=late, figures=ClassSums(links=links))
    return Sums(
        rows=rows,
        scored=rows,
        unlabelled=unlabelled,
        late=late,
        model=model or "",
        bins=() if histogram is None else histogram.bins,
        sums=() if histogram is None else histogram.sums,
        profile=profile,
        figures=sum_classes(target, classified)._replace(links=links),
    )


def _link(target: pa.Array, before: Before, scored: bool) -> tuple[Link, ...]:
    labelled = target.is_valid().to_numpy(zero_copy_only=False)
    return before.links(class_names(target.drop_null()), labelled, scored)
