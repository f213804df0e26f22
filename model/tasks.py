"""What a task brings into a refresh's figures: sums that merge, and what becomes of them.

A task (a number to predict, or a class) has figures of its own, from sums of its own. Everything
between a batch and a report knows only this: such sums merge, and have fields and figures.

To add a task: write a class with the methods of ``TaskSums``, have it in ``TASKS`` by its name,
give its figures fields in ``model.metrics.Metrics`` (those that are not given are not written),
and make its sums of a batch where ``transforms.evaluate.sum_scored`` and
``pipeline.frames.replay`` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from model.baselines import Past, RefreshSummary
from model.classes.figures import ClassSums, load_class_sums
from model.regression import RegressionSums


class TaskSums(Protocol):
    """Sums over the scored rows of a batch, or several batches, that have a target."""

    @property
    def task(self) -> str:
        """The task's name in ``TASKS``."""

    @property
    def labelled(self) -> int:
        """How many rows they are over."""

    def merge(self, other: Any) -> TaskSums:
        """The sums of both parts, those of the earlier batches on the left."""

    def figures(self, past: Past) -> dict[str, Any]:
        """The fields of ``metrics/<refresh start>.json``, of a whole refresh.

        Args:
            past: what is known of the refreshes before.
        """

    def summary(self) -> RefreshSummary | None:
        """What later refreshes need of these, the sums of a whole refresh; None if nothing."""

    def errors(self) -> dict[str, Any]:
        """The figures of a cohort: those that need nothing of what came before."""

    def fields(self) -> list[Any]:
        """The sums as JSON has them, to the last digit; ``TASKS`` makes sums of them again."""


TASKS: dict[str, Callable[[list[Any]], TaskSums]] = {
    "regression": RegressionSums.of_fields,
    "classification": load_class_sums,
}
"""What makes sums of their fields, by the name of the task."""


def no_sums(task: str) -> TaskSums:
    """The sums of no row."""
    return ClassSums() if task == "classification" else RegressionSums()
